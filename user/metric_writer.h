/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of the two exposition formats: what differs between them is told here once. Knows nothing
 * of which metrics there are.
 */
#ifndef WSGISCOPE_METRIC_WRITER_H
#define WSGISCOPE_METRIC_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text_buffer.h"

struct metric_writer {
	struct text_buffer *out;
	bool open_metrics;
};

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_INFO,
};

struct metric {
	const char *name; /* of the family: without _total or _info */
	enum metric_type type;
	const char *unit; /* what the name ends with; NULL: none */
	const char *help; /* plain ASCII, one line, no backslash, no quotes */
};

/* Labels as they stand between braces, with no comma at the ends. */
struct metric_labels {
	const char *text;
	size_t bytes;
};

/* # HELP, # TYPE, # UNIT. */
void metric_begin(struct metric_writer *writer, const struct metric *metric);

/* The line of a sample as far as the space before its value: name, suffix, {labels, more}. */
void metric_line(struct metric_writer *writer, const char *name, const char *suffix,
		 struct metric_labels labels, struct metric_labels more);

/* What a sample of this type adds to the family's name: _total for a counter. */
const char *metric_suffix(enum metric_type type);

/* A whole sample of value / 10^places, with one set of labels. */
void metric_sample(struct metric_writer *writer, const struct metric *metric,
		   struct metric_labels labels, uint64_t value, unsigned int places);

/* A bucket's bound / 10^places, as OpenMetrics wants it and Go writes it: 0.005, 1.0, 2.5e+06. */
void metric_bound(struct text_buffer *out, int64_t bound, unsigned int places);

#endif
