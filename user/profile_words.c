/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the words that the formats share.
 */
#include "profile_words.h"

#include <inttypes.h>
#include <string.h>

#include "escape.h"
#include "profile_about.h"

void profile_text_put(FILE *out, struct request_text text)
{
	size_t begin = 0;

	for (size_t i = 0; i <= text.bytes; i++) {
		if (i < text.bytes && text.ptr[i] != ' ')
			continue;
		escape_text(out, text.ptr + begin, i - begin);
		if (i < text.bytes)
			fputc(' ', out);
		begin = i + 1;
	}
}

void profile_xml_put(FILE *out, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		switch (text[i]) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			fputc(text[i], out);
		}
	}
}

void profile_frame_put(FILE *out, const struct profile *profile, uint32_t node)
{
	const struct profile_function *function =
		&profile->functions[profile->nodes[node].function];
	uint32_t line = profile->by_line ? profile->nodes[node].line : function->first_line;

	profile_text_put(out, function->name);
	if (!function->file.bytes)
		return;
	fputs(" (", out);
	profile_text_put(out, function->file);
	if (line)
		fprintf(out, ":%" PRIu32, line);
	fputc(')', out);
}

double profile_scale(const struct profile_about *about)
{
	if (!about->requests[0] || !about->requests[1])
		return 1;
	return (double)about->requests[1] / (double)about->requests[0];
}

static const char *verb_of(const struct profile_about *about)
{
	if (about->cpu && about->waits)
		return "ran and waited";
	return about->cpu ? "ran" : "waited";
}

static void amount_put(FILE *out, const struct profile *profile, const struct profile_about *about,
		       unsigned int side)
{
	const struct profile_weight *total = &profile->nodes[0].total[side];

	fprintf(out, "%.3f s in %" PRIu64 " sample%s", (double)total->ns / 1e9, total->samples,
		total->samples == 1 ? "" : "s");
	if (!about->outside)
		fprintf(out, " of %" PRIu64 " request%s", about->requests[side],
			about->requests[side] == 1 ? "" : "s");
}

void profile_heading_put(FILE *out, const struct profile *profile,
			 const struct profile_about *about)
{
	if (about->title)
		fprintf(out, "%s: where the request %s, ", about->title, verb_of(about));
	else if (about->outside)
		fprintf(out, "Where threads %s outside of requests, ", verb_of(about));
	else
		fprintf(out, "Where requests %s, ", verb_of(about));
	amount_put(out, profile, about, 0);
	if (!about->is_diff)
		return;
	fputs(", against ", out);
	amount_put(out, profile, about, 1);
}
