/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All finished requests added up, by label set, in bounded memory: what /metrics shows of requests.
 * Knows nothing of HTTP, of text formats or of how requests are seen. Not thread-safe: one thread
 * feeds it, ticks it and shows it.
 */
#ifndef WSGISCOPE_AGGREGATE_H
#define WSGISCOPE_AGGREGATE_H

#include <stddef.h>
#include <stdint.h>

#include "request.h"

struct aggregate;
struct settings;

/* Of the capacity utilisation: the last so many seconds. */
#define AGGREGATE_WINDOW_S 60
/* Applications whose threads are told apart; those past them are one, "other". */
#define AGGREGATE_POOLS_MAX 64

/*
 * settings is borrowed until aggregate_free() or aggregate_settings(): it must live so long.
 * 0 or -errno.
 */
int aggregate_new(const struct settings *settings, struct aggregate **out);
void aggregate_free(struct aggregate *aggregate); /* NULL is fine */

/*
 * Adds a finished request; keeps nothing of it by pointer. Every request is counted exactly once,
 * whatever it holds; a value that was not seen is added to no sum and counted as unseen. It never
 * fails: where memory is short the request is counted under "other", and a distribution that could
 * not grow counts the value as lost ("aggregate_memory").
 */
void aggregate_request(struct aggregate *aggregate, const struct request *request);

/*
 * New settings (SIGHUP), borrowed like those before, which can be freed from here on. Label sets
 * that are there stay, with their counts; patterns and limits hold for what comes. Histograms are
 * shown with the new bounds at once, from the beginning of the counts.
 */
void aggregate_settings(struct aggregate *aggregate, const struct settings *settings);

/* All that were added: the sum of wsgi_requests_total over all of its label sets. */
uint64_t aggregate_requests(const struct aggregate *aggregate);

/*
 * The threads of one application, at one moment. A request thread is one that has served a request
 * and still lives. Requests in flight include those that began before their record could be made.
 */
struct aggregate_pool {
	struct request_text application; /* as in struct request; ptr NULL: not known. Borrowed. */
	uint64_t processes;		 /* attached */
	uint64_t threads;		 /* request threads */
	uint64_t active;		 /* requests in flight */
	uint64_t oldest_ns;		 /* age of the oldest in flight; 0: none in flight */
	uint64_t in_flight_ns;		 /* sum of the ages of all in flight: the tail */
};

/*
 * What is known only at the moment of a scrape (or a tick). Filled by the caller; all is borrowed
 * for the call. A pointer that is NULL, or a number that is REQUEST_UNSEEN: not known, and then not
 * shown, never 0.
 */
struct aggregate_moment {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	const struct aggregate_pool *pools;
	size_t pool_count;
	int64_t attached_processes;
	int64_t start_time_ns; /* when the daemon began, CLOCK_REALTIME */
	int64_t cpu_ns;	       /* the daemon's own user and system time */
	int64_t resident_bytes;
	int64_t ring_bytes;		    /* size of the ring buffer */
	int64_t ring_used_bytes;	    /* waiting in it now */
	const struct request_count *events; /* both end with name NULL */
	const struct request_count *losses;
};

/*
 * Once a second, by the caller's timer: keeps what the capacity utilisation of the last
 * AGGREGATE_WINDOW_S seconds needs. Only now_ns and the pools are read.
 *
 * Capacity utilisation of an application: the time that its requests were in the application in the
 * window, those still in flight included, by the time that its request threads were there in the
 * window. 1: every thread was busy all the time. Over 1: threads that serve several requests at
 * once (gevent). A request whose end was never seen counts until it was last seen in flight.
 */
void aggregate_tick(struct aggregate *aggregate, const struct aggregate_moment *moment);

#endif
