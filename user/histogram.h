/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A distribution of whole numbers in bounded memory: log-linear, as OpenHistogram has it (two
 * significant decimal digits, 90 steps for each power of ten), so that a percentile is within 5 %
 * of the value that a sorted list would give, from 1 to 2^63 - 1; to 100 it is exact. Count, least
 * and greatest are exact, and so is the number of values up to any bound of two digits: all the
 * bounds that people and OpenTelemetry choose. Knows nothing of time or requests.
 */
#ifndef WSGISCOPE_HISTOGRAM_H
#define WSGISCOPE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The first chunk holds 0 to 100, a bucket each; every further one a power of ten: (100, 1000], …
 * in 90 equal steps. A step holds its upper end, as Prometheus' buckets do.
 */
#define HISTOGRAM_CHUNKS 18

/* All zero: empty. A chunk is there once something fell into it: most distributions have two. */
struct histogram {
	uint64_t count;
	int64_t least, greatest;
	double sum;			    /* exact below 2^53 */
	uint64_t *chunks[HISTOGRAM_CHUNKS]; /* owned */
};

void histogram_free(struct histogram *histogram); /* it is empty afterwards */

/* value >= 0. 0, or -ENOMEM: it was not added. */
int histogram_add(struct histogram *histogram, int64_t value);

/* As if all that was added to from had been added to into: exactly, but for the sum's last digits.
 * 0, or -ENOMEM: into is as it was. */
int histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The value that fraction (0 to 1) of all values do not exceed: the nearest rank, so 1.0 is the
 * greatest and a single value is every percentile of itself. 0 where there is none.
 */
int64_t histogram_percentile(const struct histogram *histogram, double fraction);

/* 0 where there is none. */
double histogram_mean(const struct histogram *histogram);

/* True where bound >= 0 is the upper end of a bucket: up to 100, or of two significant digits. */
bool histogram_is_bound(int64_t bound);

/* How many values were at most bounds[i], which rise and for which histogram_is_bound(). Exact. */
void histogram_cumulate(const struct histogram *histogram, const int64_t *bounds, size_t count,
			uint64_t *out);

#endif
