/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source -> decode -> assemble -> filter -> sinks, and what is counted on the way. trace, replay
 * and serve are this with another source and other sinks.
 */
#ifndef WSGISCOPE_PIPELINE_H
#define WSGISCOPE_PIPELINE_H

#include <stdint.h>

struct aggregate;
struct config;
struct loop;
struct pipeline;
struct profiler;
struct request_threads;
struct request_totals;
struct sink;
struct source;

#define PIPELINE_SINKS_MAX 4

/* Who gets what comes out. All borrowed. */
struct pipeline_outputs {
	const struct sink *sinks[PIPELINE_SINKS_MAX]; /* NULL: none in this place */
	int out_fd;		     /* what the sinks print to; -1: they print nothing */
	int stop_fd;		     /* loop_stop_fd(): a reader who stands still is left */
	struct aggregate *aggregate; /* gets each request that is shown; NULL: none */
	/* hear of each request and process; NULL: none */
	struct request_threads *threads;
	/* gets samples and what names them, and is at its end after the run; NULL: none */
	struct profiler *profiler;
};

/* Opens the sinks. config, source and outputs' members are borrowed. 0 or -errno, message printed.
 */
int pipeline_new(const struct config *config, const struct source *source,
		 const struct pipeline_outputs *outputs, struct pipeline **out);

/* NULL is fine. */
void pipeline_free(struct pipeline *pipeline);

/*
 * Shows what the source has until the loop ends, the reader goes or config->count requests were
 * shown; then the footers. Once. 0 or -errno, message printed.
 */
int pipeline_run(struct pipeline *pipeline, struct loop *loop, struct source *source);

/* All of the above, where nothing else is wanted of the pipeline. */
int pipeline_show(const struct config *config, struct loop *loop, struct source *source,
		  const struct pipeline_outputs *outputs);

/*
 * While it runs: takes in what the source has by now, and tells the threads what is in flight at
 * now_ns (CLOCK_MONOTONIC). 0 or -errno, which the run will meet, too.
 */
int pipeline_catch_up(struct pipeline *pipeline, struct source *source, uint64_t now_ns);

/* What was counted so far; valid until the next call. */
const struct request_totals *pipeline_totals(struct pipeline *pipeline);

#endif
