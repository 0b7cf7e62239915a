/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the mapping between values and buckets. In the chunk of 10^d, bucket i holds the values of
 * ((10 + i) * 10^(d-1), (11 + i) * 10^(d-1)]. A value is given back as the point of its step from
 * which both ends are equally far as a ratio, never outside of what was added.
 */
#include "histogram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "powers.h"

#define EXACT_MAX     100
#define CHUNK_STEPS   90
#define CHUNK_BUCKETS (EXACT_MAX + 1) /* of the first, which is the largest */

struct place {
	unsigned int chunk, bucket;
};

static struct place place_of(uint64_t value)
{
	unsigned int power;
	uint64_t below;

	if (value <= EXACT_MAX)
		return (struct place){0, (unsigned int)value};
	below = value - 1; /* the upper end belongs to the step */
	power = (64 - (unsigned int)__builtin_clzll(below)) * 1233 >> 12; /* log10(2) * 4096 */
	power -= below < powers_of_ten[power];
	return (struct place){power - 1, (unsigned int)(below / powers_of_ten[power - 1]) - 10};
}

static size_t chunk_buckets(unsigned int chunk)
{
	return chunk ? CHUNK_STEPS : CHUNK_BUCKETS;
}

static uint64_t place_upper(struct place place)
{
	return place.chunk ? (11 + place.bucket) * powers_of_ten[place.chunk] : place.bucket;
}

/* The harmonic mean of the step's ends a and b, 2ab / (a + b): from m to m + 1 that is
 * m + m / (2m + 1). Rounded up, for the lower end is not in the step. */
static uint64_t place_value(struct place place)
{
	uint64_t lower, step = 10 + place.bucket;

	if (!place.chunk)
		return place.bucket;
	lower = step * powers_of_ten[place.chunk];
	return lower + (lower + 2 * step) / (2 * step + 1);
}

void histogram_free(struct histogram *histogram)
{
	for (unsigned int i = 0; i < HISTOGRAM_CHUNKS; i++)
		free(histogram->chunks[i]);
	*histogram = (struct histogram){0};
}

static int chunk_make(struct histogram *histogram, unsigned int chunk)
{
	if (!histogram->chunks[chunk])
		histogram->chunks[chunk] = calloc(chunk_buckets(chunk), sizeof(uint64_t));
	return histogram->chunks[chunk] ? 0 : -ENOMEM;
}

int histogram_add(struct histogram *histogram, int64_t value)
{
	struct place place = place_of((uint64_t)value);
	int error = chunk_make(histogram, place.chunk);

	if (error)
		return error;
	histogram->chunks[place.chunk][place.bucket]++;
	if (!histogram->count || value < histogram->least)
		histogram->least = value;
	if (!histogram->count || value > histogram->greatest)
		histogram->greatest = value;
	histogram->count++;
	histogram->sum += (double)value;
	return 0;
}

int histogram_merge(struct histogram *into, const struct histogram *from)
{
	int error = 0;

	if (!from->count)
		return 0;
	for (unsigned int i = 0; i < HISTOGRAM_CHUNKS && !error; i++)
		error = from->chunks[i] ? chunk_make(into, i) : 0;
	if (error)
		return error;
	for (unsigned int i = 0; i < HISTOGRAM_CHUNKS; i++) {
		for (size_t k = 0; from->chunks[i] && k < chunk_buckets(i); k++)
			into->chunks[i][k] += from->chunks[i][k];
	}
	if (!into->count || from->least < into->least)
		into->least = from->least;
	if (!into->count || from->greatest > into->greatest)
		into->greatest = from->greatest;
	into->count += from->count;
	into->sum += from->sum;
	return 0;
}

/* The value of this rank, from 1 to count. */
static uint64_t ranked(const struct histogram *histogram, uint64_t rank)
{
	uint64_t seen = 0;

	for (unsigned int i = 0; i < HISTOGRAM_CHUNKS; i++) {
		for (unsigned int k = 0; histogram->chunks[i] && k < chunk_buckets(i); k++) {
			seen += histogram->chunks[i][k];
			if (seen >= rank)
				return place_value((struct place){i, k});
		}
	}
	return INT64_MAX;
}

int64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
	double place = fraction * (double)histogram->count;
	uint64_t rank = (uint64_t)place, value;

	if (!histogram->count)
		return 0;
	/* Up to the next whole rank, but not for what rounding has added (0.07 * 100). */
	if (place - (double)rank > 1e-6 || !rank)
		rank++;
	if (rank >= histogram->count)
		return histogram->greatest;
	value = ranked(histogram, rank);
	if (value < (uint64_t)histogram->least)
		return histogram->least;
	return value > (uint64_t)histogram->greatest ? histogram->greatest : (int64_t)value;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? histogram->sum / (double)histogram->count : 0;
}

bool histogram_is_bound(int64_t bound)
{
	return bound >= 0 && place_upper(place_of((uint64_t)bound)) == (uint64_t)bound;
}

void histogram_cumulate(const struct histogram *histogram, const int64_t *bounds, size_t count,
			uint64_t *out)
{
	struct place at = {0, 0}; /* what was not added yet begins here */
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		struct place last = place_of((uint64_t)bounds[i]);

		while (at.chunk <= last.chunk) {
			const uint64_t *chunk = histogram->chunks[at.chunk];
			unsigned int end = at.chunk < last.chunk
						   ? (unsigned int)chunk_buckets(at.chunk)
						   : last.bucket + 1;

			for (unsigned int k = at.bucket; chunk && k < end; k++)
				sum += chunk[k];
			at.bucket = end;
			if (at.chunk == last.chunk)
				break;
			at = (struct place){at.chunk + 1, 0};
		}
		out[i] = sum;
	}
}
