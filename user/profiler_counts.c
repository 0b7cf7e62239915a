/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the words of a profile's footer: what is in it, what was left out as asked, what is missing
 * and why, what to try.
 */
#include "profiler_counts.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "stack_frames.h"

static void unwanted_print(FILE *out, const struct profiler_counts *counts)
{
	const struct {
		uint64_t count;
		const char *what;
	} rows[] = {
		{counts->filtered, "of requests that were filtered out"},
		{counts->outside_unwanted, "outside of requests (--outside shows them)"},
		{counts->inside_unwanted, "within requests (shown without --outside)"},
		{counts->waits_unwanted, "of waits (--off-cpu or --wall shows them)"},
		{counts->cpu_unwanted, "of running (--wall shows them too)"},
		{counts->open_unwanted, "of requests that had not ended (no filter can tell)"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].count)
			fprintf(out, "not shown: %" PRIu64 " %s\n", rows[i].count, rows[i].what);
	}
	if (counts->waits_unasked)
		fprintf(out,
			"not sampled: %" PRIu64 " waits outside of requests (--outside shows "
			"them)\n",
			counts->waits_unasked);
}

static void reasons_print(FILE *out, const struct stack_reason *reasons, const char *what)
{
	for (int i = 0; i < STACK_REASONS_MAX && reasons[i].text; i++)
		fprintf(out, "incomplete: %s %" PRIu64 " %s\n", what, reasons[i].count,
			reasons[i].text);
}

static void losses_print(FILE *out, const struct profiler_counts *counts)
{
	const struct {
		uint64_t count;
		const char *what, *why;
	} rows[] = {
		{counts->given_up, "samples", "too many waited for their request's end"},
		{counts->bad_weight, "samples", "of an impossible weight"},
		{counts->codes_lost, "names", "there were too many"},
		{counts->cut, "inner frames", "there were too many different stacks"},
		{counts->files_unwritten, "profiles of requests", "give --max-files more"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].count)
			fprintf(out, "lost: %s %" PRIu64 " (%s)\n", rows[i].what, rows[i].count,
				rows[i].why);
	}
}

void profiler_counts_print(FILE *out, const struct profiler_counts *counts,
			   const struct stack_frames *frames)
{
	fprintf(out, "samples: %" PRIu64 ", shown: %" PRIu64 " (%.3f s); requests: %" PRIu64,
		counts->samples, counts->shown, (double)counts->shown_ns / 1e9, counts->requests);
	if (counts->requests_unsampled)
		fprintf(out, " (with no sample: %" PRIu64 ")", counts->requests_unsampled);
	if (counts->open_shown)
		fprintf(out, "; shown of requests that had not ended: %" PRIu64,
			counts->open_shown);
	fputc('\n', out);
	unwanted_print(out, counts);
	reasons_print(out, frames->stacks, "stacks");
	reasons_print(out, frames->names, "frames");
	losses_print(out, counts);
}
