/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bucket i < 16 holds the value i alone; from there on each doubling [2^e, 2^(e+1)) is cut into 16
 * equal steps. A value is given back as the middle of its step, never outside of what was added.
 */
#include "histogram.h"

#define STEPS_SHIFT 4

_Static_assert(1 << STEPS_SHIFT == HISTOGRAM_STEPS, "the shift is the steps'");

static unsigned int bucket_of(uint64_t value)
{
	unsigned int exponent;

	if (value < HISTOGRAM_STEPS)
		return (unsigned int)value;
	exponent = 63 - (unsigned int)__builtin_clzll(value);
	return (exponent - STEPS_SHIFT) * HISTOGRAM_STEPS +
	       (unsigned int)(value >> (exponent - STEPS_SHIFT));
}

static int64_t bucket_middle(unsigned int bucket)
{
	unsigned int shift;
	uint64_t begin;

	if (bucket < 2 * HISTOGRAM_STEPS)
		return bucket; /* steps of one */
	shift = bucket / HISTOGRAM_STEPS - 1;
	begin = (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
	return (int64_t)(begin + (UINT64_C(1) << shift) / 2);
}

void histogram_add(struct histogram *histogram, int64_t value)
{
	uint32_t *bucket = &histogram->buckets[bucket_of((uint64_t)value)];

	if (!histogram->count || value < histogram->least)
		histogram->least = value;
	if (!histogram->count || value > histogram->greatest)
		histogram->greatest = value;
	histogram->count++;
	histogram->sum += (double)value;
	if (*bucket < UINT32_MAX)
		++*bucket;
}

int64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
	double place = fraction * (double)histogram->count;
	uint64_t rank = (uint64_t)place, seen = 0;

	if (!histogram->count)
		return 0;
	/* Up to the next whole rank, but not for what rounding has added (0.07 * 100). */
	if (place - (double)rank > 1e-6 || !rank)
		rank++;
	if (rank >= histogram->count)
		return histogram->greatest;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		int64_t middle;

		seen += histogram->buckets[i];
		if (seen < rank)
			continue;
		middle = bucket_middle(i);
		if (middle < histogram->least)
			return histogram->least;
		return middle > histogram->greatest ? histogram->greatest : middle;
	}
	return histogram->greatest;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? histogram->sum / (double)histogram->count : 0;
}
