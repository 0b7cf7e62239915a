/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which threads serve requests, and what is in flight, by application: the part of /metrics that
 * is true only at one moment. Knows nothing of /proc or of how a request is seen.
 *
 * A request thread is one that has begun or ended a request since it is traced, and still lives.
 * Its process is of the application that it served last, or, until it has served one, of that which
 * its server is known by. Threads are known to end by REC_PROCESS records; where the ring was full
 * (which is counted) one may be counted until its process ends.
 */
#ifndef WSGISCOPE_REQUEST_THREADS_H
#define WSGISCOPE_REQUEST_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "aggregate.h"

struct event;
struct request;
struct request_threads;

struct request_threads *request_threads_new(void);	    /* NULL: no memory */
void request_threads_free(struct request_threads *threads); /* NULL is fine */

/* What was said of a process: EVENT_IS_WORKER, EVENT_IS_PROCESS; of others nothing is learned. */
void request_threads_learn(struct request_threads *threads, const struct event *event);

/* A request that has ended. */
void request_threads_ended(struct request_threads *threads, const struct request *request);

/* A moment begins: what is in flight is told anew from here on. now_ns: CLOCK_MONOTONIC. */
void request_threads_begin(struct request_threads *threads, uint64_t now_ns);
/* A request in flight, and how long it has been. */
void request_threads_open(struct request_threads *threads, const struct request *request,
			  uint64_t age_ns);
/* One that has ended and may still write: it is not active any more, but not among those that
 * ended either. How long it was. */
void request_threads_draining(struct request_threads *threads, const struct request *request,
			      uint64_t ns);
/* The moment's pools, one for each application that a process or a request is or was of; "other"
 * and what has no name only where somebody is of them now. Valid until the
 * next call that changes them. */
const struct aggregate_pool *request_threads_pools(struct request_threads *threads, size_t *count);

#endif
