/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What became of each sample, and the footer that says so.
 */
#ifndef WSGISCOPE_PROFILER_COUNTS_H
#define WSGISCOPE_PROFILER_COUNTS_H

#include <stdint.h>
#include <stdio.h>

struct stack_frames;

struct profiler_counts {
	uint64_t samples; /* that came */
	uint64_t shown, shown_ns;
	uint64_t requests;	     /* that passed the filters */
	uint64_t requests_unsampled; /* of these: with no sample */
	uint64_t open_shown;	     /* of those shown: of requests that had not ended */
	/* Not shown, as was asked. */
	uint64_t filtered, outside_unwanted, inside_unwanted, waits_unwanted, cpu_unwanted;
	uint64_t open_unwanted;
	uint64_t waits_unasked; /* not sampled to begin with */
	/* Lost. */
	uint64_t given_up, bad_weight, codes_lost, cut, files_unwritten;
	uint64_t first_ns;  /* CLOCK_MONOTONIC of the first sample, 0: none */
	uint64_t period_ns; /* of the clock */
};

/* Lines, each with its newline. frames: why frames and names are missing. */
void profiler_counts_print(FILE *out, const struct profiler_counts *counts,
			   const struct stack_frames *frames);

#endif
