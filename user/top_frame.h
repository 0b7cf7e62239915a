/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stage that says where each request was most: the deepest frame of the application that its
 * samples show most. Requests wait here until the names of their frames have come, in their order.
 * Knows no format.
 */
#ifndef WSGISCOPE_TOP_FRAME_H
#define WSGISCOPE_TOP_FRAME_H

#include <stdint.h>

struct event;
struct request;
struct top_frames;

/* Where requests go on to, top_frame filled; borrowed, valid until it returns. 0 or -errno, which
 * is handed on. */
typedef int (*top_frame_fn)(void *context, const struct request *request);

/* realtime_offset_ns as in struct source_clock. 0 or -ENOMEM. */
int top_frames_new(int64_t realtime_offset_ns, top_frame_fn fn, void *context,
		   struct top_frames **out);
void top_frames_free(struct top_frames *tops); /* NULL is fine */

/* Takes in an event of kind CODE, SAMPLE or PROCESS; others are not its. 0 or -ENOMEM. */
int top_frames_event(struct top_frames *tops, const struct event *event);

/* A request that has ended: kept, as a copy, until its frames have names. 0 or -errno. */
int top_frames_request(struct top_frames *tops, const struct request *request);

/* One that nobody wants to see. */
void top_frames_drop(struct top_frames *tops, const struct request *request);

/* Hands out what has its names: after each batch of events. 0 or -errno. */
int top_frames_settle(struct top_frames *tops);

/* Hands out all that is left: there will be no more events. 0 or -errno. */
int top_frames_end(struct top_frames *tops);

/* Samples given up, as too many waited. */
uint64_t top_frames_lost(const struct top_frames *tops);

#endif
