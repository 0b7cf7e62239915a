/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source -> decode -> assemble -> filter -> sink, and what is counted on the way. trace and replay
 * are this with another source.
 */
#ifndef WSGISCOPE_PIPELINE_H
#define WSGISCOPE_PIPELINE_H

struct config;
struct loop;
struct profiler;
struct sink;
struct source;

/*
 * Shows what the source has on descriptor out_fd, through the sink, until the loop ends, the
 * reader goes or config->count requests were shown. Samples and what names them go to the profiler,
 * where there is one, which is at its end after it. 0 or -errno, message printed. All borrowed.
 */
int pipeline_run(const struct config *config, struct loop *loop, struct source *source,
		 const struct sink *sink, int out_fd, struct profiler *profiler);

#endif
