/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SVG file with all it needs in it: frames as boxes (svg_frames.c), a style sheet (svg.css) and
 * a script (svg.js), which has no data of its own: it reads the boxes. Without the script, and on
 * paper, it is a picture.
 */
#include "profile_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"
#include "profile_about.h"
#include "profile_words.h"
#include "sinks/svg_colours.h"
#include "sinks/svg_frames.h"
#include "sinks/words.h"

static const char style[] =
#include "sinks/svg.css.h"
	;

static const char script[] =
#include "sinks/svg.js.h"
	;

#define HEAD_HEIGHT  78 /* heading, controls, the details of a frame */
#define LINE_HEIGHT  14
#define LEGEND_WIDTH 110

static int lines_count(const char *text)
{
	int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void open_put(FILE *out, int height)
{
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\">\n",
		SVG_WIDTH, height, SVG_WIDTH, height);
	fprintf(out, "<style><![CDATA[\n%s]]></style>\n", style);
	fprintf(out, "<rect id=\"paper\" width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
		SVG_WIDTH, height);
}

/* A heading in a memory of its own, since it must be escaped once more. */
static int heading_put(FILE *out, const struct profile *profile, const struct profile_about *about)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		return -ENOMEM;
	profile_heading_put(memory, profile, about);
	if (fclose(memory)) {
		free(text);
		return -ENOMEM;
	}
	fputs("<title>wsgiscope: ", out);
	profile_xml_put(out, text, bytes);
	fprintf(out, "</title>\n<text id=\"heading\" x=\"%d\" y=\"22\">", SVG_MARGIN);
	profile_xml_put(out, text, bytes);
	fputs("</text>\n", out);
	free(text);
	return 0;
}

/* Filled with life by the script, and shown only then. */
static void controls_put(FILE *out)
{
	fprintf(out,
		"<foreignObject id=\"controls\" x=\"%d\" y=\"30\" width=\"%d\" height=\"26\">"
		"<div xmlns=\"http://www.w3.org/1999/xhtml\">"
		"<input id=\"search\" type=\"search\" placeholder=\"Search ( / )\" "
		"aria-label=\"Search frames\"/>"
		"<button id=\"reset\" title=\"Esc\">Reset</button>"
		"<button id=\"colour\" title=\"c\">Colour by state</button>"
		"<span id=\"matched\" role=\"status\"></span></div></foreignObject>\n",
		SVG_MARGIN, SVG_WIDTH - 2 * SVG_MARGIN);
}

static void notes_put(FILE *out, const char *notes, int y)
{
	while (*notes) {
		size_t bytes = strcspn(notes, "\n");

		fprintf(out, "<text class=\"note\" x=\"%d\" y=\"%d\">", SVG_MARGIN, y);
		profile_xml_put(out, notes, bytes);
		fputs("</text>\n", out);
		notes += bytes + (notes[bytes] == '\n');
		y += LINE_HEIGHT;
	}
}

static void key_put(FILE *out, const struct profile_about *about, int y)
{
	const char *words = about->is_diff ? "Red: grew from before to after; blue: shrank; "
					     "the width is the mean of both."
					   : "Click or Enter: zoom; / search; arrows: walk; "
					     "c: colours by file or state; Esc: reset. States:";

	fprintf(out, "<text class=\"note\" x=\"%d\" y=\"%d\">%s</text>\n", SVG_MARGIN, y, words);
}

/* The colours of the states, which have none of their own in a comparison. */
static void legend_put(FILE *out, const struct profile_about *about, int y)
{
	for (int state = 0; !about->is_diff && state < REQUEST_STATES; state++) {
		int x = SVG_MARGIN + state * LEGEND_WIDTH;
		char colour[SVG_COLOUR_BYTES];

		svg_colour_of_state((enum request_state)state, colour);
		fprintf(out,
			"<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"%s\"/>"
			"<text class=\"note\" x=\"%d\" y=\"%d\">%s</text>\n",
			x, y - 9, colour, x + 14, y, state_name((enum request_state)state));
	}
}

static int svg_write(const struct profile *profile, const struct profile_about *about, FILE *out)
{
	struct svg_frames *frames;
	int error = svg_frames_new(profile, about, &frames);
	int y;

	if (error)
		return error;
	y = HEAD_HEIGHT + svg_frames_height(frames) + LINE_HEIGHT;
	open_put(out, y + LINE_HEIGHT * (3 + lines_count(about->notes)));
	error = heading_put(out, profile, about);
	if (!error) {
		controls_put(out);
		error = svg_frames_put(frames, out, HEAD_HEIGHT);
	}
	if (!error) {
		fprintf(out,
			"<text id=\"details\" x=\"%d\" y=\"%d\" aria-live=\"polite\"> </text>\n",
			SVG_MARGIN, HEAD_HEIGHT - 6);
		key_put(out, about, y);
		legend_put(out, about, y + LINE_HEIGHT);
		svg_frames_hidden_put(frames, out, y + 2 * LINE_HEIGHT);
		notes_put(out, about->notes, y + 3 * LINE_HEIGHT);
		fprintf(out, "<script><![CDATA[\n%s]]></script>\n</svg>\n", script);
	}
	svg_frames_free(frames);
	return error;
}

const struct profile_format format_svg = {
	.name = "svg",
	.ending = "svg",
	.diffs = true,
	.has_notes = true,
	.write = svg_write,
};
