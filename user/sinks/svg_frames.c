/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns where a frame's box lies and what colour it has: by its file, by the state that most of its
 * time went to, or by how it has changed. Children hang under their parent, from its left edge on.
 */
#include "sinks/svg_frames.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "profile.h"
#include "profile_about.h"
#include "profile_words.h"
#include "sinks/svg_colours.h"

#define FRAME_HEIGHT 17
#define LETTER_WIDTH 6.6
/* Narrower frames are left out: they cannot be seen, and only few can be zoomed to. */
#define WIDTH_MIN   0.05
#define LETTERS_MIN 3

struct svg_frames {
	const struct profile *profile;
	const struct profile_about *about;
	double scale;			       /* of side 0 */
	double whole_ns;		       /* of the root */
	uint64_t (*states_ns)[REQUEST_STATES]; /* of each node */
	uint32_t depth_max;		       /* drawn */
	uint32_t hidden;
};

/* What a node's width stands for: of two sides the mean, so that what is gone can be seen too. */
static double weight_of(const struct svg_frames *frames, uint32_t node)
{
	const struct profile_weight *total = frames->profile->nodes[node].total;

	if (!frames->about->is_diff)
		return (double)total[0].ns;
	return (frames->scale * (double)total[0].ns + (double)total[1].ns) / 2;
}

static double width_of(const struct svg_frames *frames, uint32_t node)
{
	return (SVG_WIDTH - 2 * SVG_MARGIN) * weight_of(frames, node) / frames->whole_ns;
}

/* The state of what a node did itself: its own, where it is one, else it ran. */
static void states_fill(struct svg_frames *frames)
{
	const struct profile *profile = frames->profile;

	for (uint32_t i = profile->node_count; i-- > 0;) {
		const struct profile_node *node = &profile->nodes[i];
		const struct profile_function *function = &profile->functions[node->function];
		uint64_t *states = frames->states_ns[i];

		states[function->kind == PROFILE_STATE ? function->state : REQUEST_CPU] +=
			node->self[0].ns;
		for (int state = 0; i && state < REQUEST_STATES; state++)
			frames->states_ns[node->parent][state] += states[state];
	}
}

/* What is drawn, how high, and what is not. A child is never wider than its parent. */
static void extent_fill(struct svg_frames *frames)
{
	const struct profile *profile = frames->profile;

	for (uint32_t i = 0; i < profile->node_count; i++) {
		if (width_of(frames, i) < WIDTH_MIN)
			frames->hidden++;
		else if (profile->nodes[i].depth > frames->depth_max)
			frames->depth_max = profile->nodes[i].depth;
	}
}

int svg_frames_new(const struct profile *profile, const struct profile_about *about,
		   struct svg_frames **out)
{
	struct svg_frames *frames = calloc(1, sizeof(*frames));

	if (!frames)
		return -ENOMEM;
	frames->states_ns = calloc(profile->node_count, sizeof(*frames->states_ns));
	if (!frames->states_ns) {
		free(frames);
		return -ENOMEM;
	}
	frames->profile = profile;
	frames->about = about;
	frames->scale = profile_scale(about);
	frames->whole_ns = fmax(weight_of(frames, 0), 1);
	states_fill(frames);
	extent_fill(frames);
	*out = frames;
	return 0;
}

void svg_frames_free(struct svg_frames *frames)
{
	free(frames->states_ns);
	free(frames);
}

int svg_frames_height(const struct svg_frames *frames)
{
	return FRAME_HEIGHT * ((int)frames->depth_max + 1);
}

static enum request_state state_most(const uint64_t states[REQUEST_STATES])
{
	enum request_state most = REQUEST_CPU;

	for (int state = 0; state < REQUEST_STATES; state++) {
		if (states[state] > states[most])
			most = (enum request_state)state;
	}
	return most;
}

/* How much of the whole a node has grown, -1 to 1. */
static double growth_of(const struct svg_frames *frames, uint32_t node)
{
	const struct profile_weight *total = frames->profile->nodes[node].total;

	return ((double)total[1].ns - frames->scale * (double)total[0].ns) / frames->whole_ns;
}

static void colours_put(const struct svg_frames *frames, FILE *out, uint32_t node)
{
	const struct profile *profile = frames->profile;
	char fill[SVG_COLOUR_BYTES], other[SVG_COLOUR_BYTES];

	if (frames->about->is_diff) {
		svg_colour_of_growth(growth_of(frames, node), fill);
		fprintf(out, " fill=\"%s\"", fill);
		return;
	}
	svg_colour_of_function(&profile->functions[profile->nodes[node].function], fill);
	svg_colour_of_state(state_most(frames->states_ns[node]), other);
	fprintf(out, " fill=\"%s\" data-other=\"%s\"", fill, other);
}

static void numbers_put(const struct svg_frames *frames, FILE *out, uint32_t node)
{
	const struct profile_node *at = &frames->profile->nodes[node];

	if (frames->about->is_diff) {
		double before = frames->scale * (double)at->total[0].ns / 1e6;
		double after = (double)at->total[1].ns / 1e6;

		fprintf(out, "\n%.3f ms before, %.3f ms after (%+.3f)", before, after,
			after - before);
		return;
	}
	fprintf(out, "\n%.3f ms, %.2f %%, %llu samples", (double)at->total[0].ns / 1e6,
		100 * weight_of(frames, node) / frames->whole_ns,
		(unsigned long long)at->total[0].samples);
	if (at->self[0].ns)
		fprintf(out, "; itself %.3f ms", (double)at->self[0].ns / 1e6);
}

/* As many of the label's characters as fit; wide ones take two places. */
static size_t fitting_bytes(const char *label, size_t bytes, double width)
{
	double room = (width - 6) / LETTER_WIDTH;
	size_t at = 0, cut = 0;
	double used = 0;

	if (room < LETTERS_MIN)
		return 0;
	while (at < bytes) {
		uint32_t code;
		size_t length = escape_next(label + at, bytes - at, &code);

		used += code >= 0x1100 ? 2 : 1;
		if (used > room)
			return cut;
		at += length;
		if (used <= room - 2)
			cut = at; /* with two dots behind it */
	}
	return bytes;
}

static void box_put(const struct svg_frames *frames, FILE *out, uint32_t node, double x, int top,
		    const char *label, size_t bytes)
{
	double width = width_of(frames, node);
	uint32_t depth = frames->profile->nodes[node].depth;
	int y = top + FRAME_HEIGHT * (int)depth;
	size_t fitting = fitting_bytes(label, bytes, width);

	fprintf(out, "<g class=\"f\" data-d=\"%u\"><title>", depth);
	profile_xml_put(out, label, bytes);
	numbers_put(frames, out, node);
	fprintf(out, "</title><rect x=\"%.4f\" y=\"%d\" width=\"%.4f\" height=\"%d\"", x, y, width,
		FRAME_HEIGHT - 1);
	colours_put(frames, out, node);
	fprintf(out, "/><text x=\"%.2f\" y=\"%d\">", x + 3, y + 12);
	profile_xml_put(out, label, fitting);
	fputs(fitting && fitting < bytes ? "..</text></g>\n" : "</text></g>\n", out);
}

static int frame_put(const struct svg_frames *frames, FILE *out, uint32_t node, double x, int top)
{
	char *label = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&label, &bytes);

	if (!memory)
		return -ENOMEM;
	profile_frame_put(memory, frames->profile, node);
	if (fclose(memory)) {
		free(label);
		return -ENOMEM;
	}
	box_put(frames, out, node, x, top, label, bytes);
	free(label);
	return 0;
}

int svg_frames_put(struct svg_frames *frames, FILE *out, int top)
{
	const struct profile *profile = frames->profile;
	double right[PROFILE_DEPTH_MAX + 2]; /* of what was drawn last on each level */
	uint32_t node = 0;
	int error = 0;

	fputs("<g id=\"frames\">\n", out);
	right[0] = SVG_MARGIN;
	do {
		uint32_t depth = profile->nodes[node].depth;
		double x = right[depth];

		/* The first child begins where this one does. */
		right[depth + 1] = x;
		right[depth] = x + width_of(frames, node);
		if (width_of(frames, node) >= WIDTH_MIN)
			error = frame_put(frames, out, node, x, top);
		node = profile_next(profile, node);
	} while (node && !error);
	fputs("</g>\n", out);
	return error;
}

void svg_frames_hidden_put(const struct svg_frames *frames, FILE *out, int y)
{
	if (!frames->hidden)
		return;
	fprintf(out,
		"<text class=\"note\" x=\"%d\" y=\"%d\">not drawn: %u frames of less than %.4f %% "
		"each "
		"(--format folded has them)</text>\n",
		SVG_MARGIN, y, frames->hidden, 100 * WIDTH_MIN / (SVG_WIDTH - 2 * SVG_MARGIN));
}
