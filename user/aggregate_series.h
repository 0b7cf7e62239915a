/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the aggregate, for what shows it: its label sets and its counts of itself.
 */
#ifndef WSGISCOPE_AGGREGATE_SERIES_H
#define WSGISCOPE_AGGREGATE_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "series.h"

struct aggregate;
struct capacity;

/* Why requests were shown under "other". */
enum aggregate_other {
	OTHER_GROUP,  /* no room for another path group or route: that label */
	OTHER_ALL,    /* no room for another label set at all: every label */
	OTHER_LENGTH, /* a value was longer than a label may be: that label */
	OTHER_MEMORY, /* no memory for another label set: every label */
	AGGREGATE_OTHERS,
};

/* Of the aggregate itself; all only grow, but for the two of the table. */
struct aggregate_counts {
	struct series_counts series;
	uint64_t requests;
	uint64_t other[AGGREGATE_OTHERS];
	uint64_t path_overflows; /* path_shape_overflows() */
	size_t label_sets, label_sets_max;
};

void aggregate_count(const struct aggregate *aggregate, struct aggregate_counts *out);

/* The label sets that have requests, in the order in which they came. index < aggregate_sets(). */
size_t aggregate_sets(const struct aggregate *aggregate);
const struct series *aggregate_set(const struct aggregate *aggregate, size_t index);

const struct settings *aggregate_settings_now(const struct aggregate *aggregate);
const struct capacity *aggregate_capacity(const struct aggregate *aggregate);

#endif
