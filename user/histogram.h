/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A distribution of whole numbers in bounded memory: log-linear, 16 steps for each doubling, so
 * that a percentile is within 1/32 (3.2 %) of the value that a sorted list would give. Count, sum,
 * least and greatest are exact. Knows nothing of time or requests.
 */
#ifndef WSGISCOPE_HISTOGRAM_H
#define WSGISCOPE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS	  16			 /* for each doubling; a power of two */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 60) /* 0 to 2^63 - 1 */

/* All zero: empty. */
struct histogram {
	uint64_t count;
	int64_t least, greatest;
	double sum;
	uint32_t buckets[HISTOGRAM_BUCKETS]; /* a full one stays full */
};

/* value >= 0. */
void histogram_add(struct histogram *histogram, int64_t value);

/*
 * The value that fraction (0 to 1) of all values do not exceed: the nearest rank, so 1.0 is the
 * greatest and a single value is every percentile of itself. 0 where there is none.
 */
int64_t histogram_percentile(const struct histogram *histogram, double fraction);

/* 0 where there is none. */
double histogram_mean(const struct histogram *histogram);

#endif
