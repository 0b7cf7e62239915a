/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stage that makes profiles: takes samples, code objects and finished requests as they come,
 * keeps samples until it is known whether they are wanted and what their frames are called, and
 * books them to a profile, or writes one profile a request. Knows no format.
 */
#ifndef WSGISCOPE_PROFILER_H
#define WSGISCOPE_PROFILER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config;
struct event;
struct profile;
struct profile_about;
struct profile_files;
struct profiler;
struct request;

/*
 * Books to a side of into, or writes one profile a request to files; one of them is NULL. All
 * borrowed. realtime_offset_ns as in struct source_clock. 0 or -ENOMEM.
 */
int profiler_new(const struct config *config, int64_t realtime_offset_ns, struct profile *into,
		 unsigned int side, struct profile_files *files, struct profiler **out);
void profiler_free(struct profiler *profiler); /* NULL is fine */

/* Takes in an event of kind CODE, SAMPLE, PROCESS or COUNTERS; others are not its. 0 or -ENOMEM. */
int profiler_event(struct profiler *profiler, const struct event *event);

/* A request has ended; passes: the filters of requests let it through. 0 or -errno. */
int profiler_request(struct profiler *profiler, const struct request *request, bool passes);

/* Books what has its names: after each batch of events. 0 or -errno. */
int profiler_settle(struct profiler *profiler);

/* Books all that is left: there will be no more events. 0 or -errno. */
int profiler_end(struct profiler *profiler);

/* What was taken in so far, for the formats' headings; adds to *about. */
void profiler_describe(const struct profiler *profiler, struct profile_about *about);

/* What is in the profile, what is not, and why: lines for the footer. */
void profiler_notes(const struct profiler *profiler, FILE *out);

#endif
