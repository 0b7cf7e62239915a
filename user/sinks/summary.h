/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests added up by route, or path group where no route is known: the table under a trace.
 * Bounded: past so many groups the rest is one, "other", counted.
 */
#ifndef WSGISCOPE_SINKS_SUMMARY_H
#define WSGISCOPE_SINKS_SUMMARY_H

#include <stdio.h>

#define SUMMARY_GROUPS_MAX 2000

struct request;
struct summary;

struct summary *summary_new(void);	    /* NULL: no memory */
void summary_free(struct summary *summary); /* NULL is fine */

/* 0 or -ENOMEM. */
int summary_add(struct summary *summary, const struct request *request);

/* The table, the group that took the most application time first. 0 or -ENOMEM. */
int summary_print(const struct summary *summary, FILE *out);

#endif
