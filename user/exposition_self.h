/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metrics that are not of label sets: the threads of applications at the moment of a scrape,
 * and wsgiscope itself.
 */
#ifndef WSGISCOPE_EXPOSITION_SELF_H
#define WSGISCOPE_EXPOSITION_SELF_H

struct aggregate;
struct aggregate_moment;
struct metric_writer;

void exposition_pools(struct metric_writer *writer, const struct aggregate *aggregate,
		      const struct aggregate_moment *moment);
void exposition_self(struct metric_writer *writer, const struct aggregate *aggregate,
		     const struct aggregate_moment *moment);

#endif
