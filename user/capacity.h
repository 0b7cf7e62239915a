/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How busy the request threads of each application were in the last AGGREGATE_WINDOW_S seconds
 * (aggregate.h has the definition). Bounded: AGGREGATE_POOLS_MAX applications.
 */
#ifndef WSGISCOPE_CAPACITY_H
#define WSGISCOPE_CAPACITY_H

#include <stddef.h>
#include <stdint.h>

#include "aggregate.h"
#include "labels.h"

struct capacity;
struct capacity_pool;

struct capacity *capacity_new(void);	       /* NULL: no memory */
void capacity_free(struct capacity *capacity); /* NULL is fine */

/* The pool of an application, made where there is room; NULL: there is none. Lives as long as
 * capacity. */
struct capacity_pool *capacity_pool(struct capacity *capacity,
				    const struct label_value *application);

/* The application time of a finished request. */
void capacity_add(struct capacity_pool *pool, int64_t application_ns);

/* A sample of every application. */
void capacity_tick(struct capacity *capacity, const struct aggregate_moment *moment);

/* One application, as it is to be shown at a moment. */
struct capacity_view {
	struct label_value application; /* bytes 0: not known */
	uint64_t processes, threads, active, oldest_ns, in_flight_ns;
	double ratio; /* capacity utilisation; below 0: not known yet */
};

/* One more than there are pools: "other" for all that found no room. */
#define CAPACITY_VIEWS_MAX (AGGREGATE_POOLS_MAX + 1)

/* Fills views; returns how many. Pools of the moment with equal names are one. */
size_t capacity_views(const struct capacity *capacity, const struct aggregate_moment *moment,
		      struct capacity_view views[CAPACITY_VIEWS_MAX]);

#endif
