/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run that makes profiles, from its source to its output: what flame, replay and trace have in
 * common.
 */
#ifndef WSGISCOPE_PROFILE_RUN_H
#define WSGISCOPE_PROFILE_RUN_H

#include "pipeline.h"

struct config;
struct loop;
struct profile_format;
struct profile_output;
struct sink;
struct source;

/* One source to one profile; the output is opened before the source. 0 or -errno, message printed.
 * All borrowed. */
int profile_run(const struct config *config, const struct profile_format *format, struct loop *loop,
		struct source *source, struct profile_output *output);

/* One source to one profile a request in config->each, beside what the sinks show on stdout. */
int profile_run_each(const struct config *config, const struct profile_format *format,
		     struct loop *loop, struct source *source,
		     const struct sink *const sinks[PIPELINE_SINKS_MAX]);

/* Two recordings, config->against and config->input, to one profile of both. */
int profile_run_diff(const struct config *config, const struct profile_format *format);

#endif
