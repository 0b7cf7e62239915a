/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is added up of the requests of one label set. A value that was not seen is in no sum: the
 * count of each distribution says of how many requests it is.
 */
#ifndef WSGISCOPE_SERIES_H
#define WSGISCOPE_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "request.h"
#include "settings.h"

struct labels;
struct capacity_pool;

#define SERIES_FAMILIES (FAMILY_OTHER + 1)

/* Where a queue time came from: a row for each, named as in struct request. */
enum series_queue {
	SERIES_QUEUE_HEADER,
	SERIES_QUEUE_SOCKET,
	SERIES_QUEUES,
};

extern const char *const series_queue_names[SERIES_QUEUES];

/* All distributions: that of the queue time once for each source. */
enum series_histogram {
	SERIES_DURATION,    /* ns */
	SERIES_OUTPUT_TIME, /* ns */
	SERIES_BODY_SIZE,   /* bytes */
	SERIES_BLOCKS,
	SERIES_QUEUE_TIME, /* ns */
	SERIES_HISTOGRAMS = SERIES_QUEUE_TIME + SERIES_QUEUES,
};

/* What a request can be without: a count of each. */
enum series_unseen {
	UNSEEN_APPLICATION_TIME,
	UNSEEN_OUTPUT_TIME,
	UNSEEN_BODY_SIZE,
	UNSEEN_BLOCKS,
	UNSEEN_QUEUE_TIME,
	UNSEEN_WRITES,
	UNSEEN_STATES,
	UNSEEN_GIL,
	UNSEEN_STATUS,
	UNSEEN_VALUES,
};

/* A late request with a sampled trace that fell into a bucket as it is shown: at most a second
 * older than the last. */
struct exemplar {
	int64_t time_ns; /* CLOCK_REALTIME; 0: none */
	int64_t value;
	unsigned char trace_id[16];
};

struct series_writes {
	uint64_t calls, bytes, ns;
};

struct series {
	char *labels; /* as labels_write() has them; owned */
	size_t label_bytes;
	struct capacity_pool *pool; /* its application's; NULL: past the pools' bound */
	int64_t created_ns;	    /* when its first request began, CLOCK_REALTIME */
	uint64_t requests;
	struct histogram histograms[SERIES_HISTOGRAMS];
	struct series_writes writes[SERIES_FAMILIES]; /* FAMILY_UNSEEN: not known which */
	uint64_t states_ns[REQUEST_STATES];
	uint32_t states_seen; /* bits */
	bool gc_seen;
	uint64_t gc_ns, gc_count;
	struct exemplar *exemplars; /* one a bucket as shown, owned; NULL: none yet */
};

/* NULL: no memory. */
struct series *series_new(const struct labels *labels);
void series_free(struct series *series); /* NULL is fine */

/* What is counted over all label sets as one is filled. */
struct series_counts {
	uint64_t unseen[UNSEEN_VALUES];
	uint64_t memory; /* values that found no memory */
};

/* bounds: of the durations as they are shown. Where they change, the exemplars must go before. */
void series_add(struct series *series, const struct request *request,
		const struct settings_bounds *bounds, struct series_counts *counts);

/* The settings' name of a distribution. */
enum settings_histogram series_settings(enum series_histogram histogram);

#endif
