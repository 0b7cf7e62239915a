/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Percentiles against a sorted list, over several shapes of distribution; the error of every
 * bucket; merging; exact counts up to a bound.
 */
#include <stdlib.h>

#include "histogram.h"
#include "unit.h"

#define VALUES	  10000
#define ERROR_MAX 0.05

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int64_t shape_value(int shape, int i)
{
	switch (shape) {
	case 0: /* uniform, up to 1 s */
		return (int64_t)(random_next() % 1000000000);
	case 1: /* all magnitudes */
		return (int64_t)(random_next() >> (1 + random_next() % 63));
	case 2: /* two peaks far apart */
		return i % 10 ? 1000 + i % 7 : 5000000000 + i;
	case 3: /* small numbers */
		return (int64_t)(random_next() % 20);
	default: /* all the same */
		return 123456789;
	}
}

static int compare(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

	return (first > second) - (first < second);
}

static void check_shape(int shape, size_t count)
{
	static const int percents[] = {0, 1, 5, 25, 50, 75, 90, 95, 99, 100};
	struct histogram *histogram = calloc(1, sizeof(*histogram));
	int64_t *values = calloc(count, sizeof(*values));
	double sum = 0;

	assert_true(histogram && values);
	for (size_t i = 0; i < count; i++) {
		values[i] = shape_value(shape, (int)i);
		sum += (double)values[i];
		assert_int_equal(histogram_add(histogram, values[i]), 0);
	}
	qsort(values, count, sizeof(values[0]), compare);
	for (size_t i = 0; i < COUNT_OF(percents); i++) {
		size_t rank = (count * (size_t)percents[i] + 99) / 100;
		int64_t right = values[rank ? rank - 1 : 0];
		int64_t got = histogram_percentile(histogram, percents[i] / 100.0);
		double error = (double)(got > right ? got - right : right - got);

		if (error > ERROR_MAX * (double)right)
			fail_msg("shape %d, %zu values, p%d: %lld, not %lld", shape, count,
				 percents[i], (long long)got, (long long)right);
	}
	assert_int_equal(histogram->count, count);
	assert_int_equal(histogram->least, values[0]);
	assert_int_equal(histogram->greatest, values[count - 1]);
	assert_true(histogram_percentile(histogram, 1) == values[count - 1]);
	assert_true(histogram_mean(histogram) == sum / (double)count);
	free(values);
	histogram_free(histogram);
	free(histogram);
}

static void test_against_sorted(void **state)
{
	static const size_t counts[] = {1, 2, 3, 10, 99, 100, 101, VALUES};

	random_state = 88172645463325252;
	for (int shape = 0; shape < 5; shape++) {
		for (size_t i = 0; i < COUNT_OF(counts); i++)
			check_shape(shape, counts[i]);
	}
}

static void test_limits(void **state)
{
	struct histogram histogram = {0};

	assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
	assert_true(histogram_mean(&histogram) == 0);
	assert_int_equal(histogram_add(&histogram, 0), 0);
	assert_int_equal(histogram_add(&histogram, INT64_MAX), 0);
	assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
	assert_true(histogram_percentile(&histogram, 1) == INT64_MAX);
	histogram_free(&histogram);
	assert_int_equal(histogram.count, 0);
}

/* What the bucket of a value alone gives back: with others on both sides nothing else can. */
static int64_t bucket_value(int64_t value)
{
	struct histogram histogram = {.count = 0};
	int64_t got;

	assert_int_equal(histogram_add(&histogram, 0), 0);
	assert_int_equal(histogram_add(&histogram, value), 0);
	assert_int_equal(histogram_add(&histogram, INT64_MAX), 0);
	got = histogram_percentile(&histogram, 0.5);
	histogram_free(&histogram);
	return got;
}

static void check_bucket(int64_t value, int64_t *last)
{
	int64_t got = bucket_value(value);

	if ((double)llabs(got - value) > ERROR_MAX * (double)value || got < *last)
		fail_msg("%lld is given back as %lld, after %lld", (long long)value, (long long)got,
			 (long long)*last);
	*last = got;
}

/* Around the ends of every bucket from 1 us to 1 h, and far beyond: no gap, no step back. */
static void test_error(void **state)
{
	int64_t last = 0;

	for (int64_t value = 1; value <= 1000; value++)
		check_bucket(value, &last);
	for (int64_t power = 100; power <= INT64_MAX / 1000; power *= 10) {
		for (int64_t step = 10; step < 100; step++) {
			check_bucket(step * power, &last);
			check_bucket(step * power + 1, &last);
			check_bucket(step * power + power / 2, &last);
		}
	}
	assert_true(last > INT64_C(3600000000000));
}

static int64_t random_value(void)
{
	return (int64_t)(random_next() >> (1 + random_next() % 63));
}

/* Merging is the same as adding all to one. */
static void test_merge(void **state)
{
	struct histogram parts[3] = {0}, all = {0}, merged = {0};

	random_state = 12345;
	assert_int_equal(histogram_merge(&merged, &parts[0]), 0); /* nothing with nothing */
	for (int i = 0; i < VALUES; i++) {
		int64_t value = random_value() >> 25; /* so that all sums are exact */

		assert_int_equal(histogram_add(&parts[i % 3], value >> i % 3 * 8), 0);
		assert_int_equal(histogram_add(&all, value >> i % 3 * 8), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(histogram_merge(&merged, &parts[i]), 0);
	assert_int_equal(merged.count, all.count);
	assert_int_equal(merged.least, all.least);
	assert_int_equal(merged.greatest, all.greatest);
	assert_true(merged.sum == all.sum);
	for (int i = 0; i <= 1000; i++)
		assert_int_equal(histogram_percentile(&merged, i / 1000.0),
				 histogram_percentile(&all, i / 1000.0));
	for (int i = 0; i < 3; i++)
		histogram_free(&parts[i]);
	histogram_free(&all);
	histogram_free(&merged);
}

static void test_bounds(void **state)
{
	static const int64_t bounds[] = {0,	   1,	       99,	   100,
					 110,	   1000,       5000000,	   10000000,
					 25000000, 1000000000, 7500000000, 90000000000000000};
	static const int64_t none[] = {101, 111, 999, 1001, 12345, 5010000, INT64_MAX, -1};

	for (size_t i = 0; i < COUNT_OF(bounds); i++)
		assert_true(histogram_is_bound(bounds[i]));
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(histogram_is_bound(none[i]));
}

/* The counts up to a bound are those that a list would give: exact, the bound itself included. */
static void test_cumulate(void **state)
{
	static const int64_t bounds[] = {0,	   5,	     100,	 110,	       5000000,
					 10000000, 25000000, 7500000000, 9900000000000};
	uint64_t got[COUNT_OF(bounds)], right[COUNT_OF(bounds)] = {0};
	struct histogram histogram = {0};

	random_state = 54321;
	for (int i = 0; i < VALUES; i++) {
		int64_t value = random_value();

		if (i < 3 * (int)COUNT_OF(bounds) && (bounds[i / 3] || i % 3))
			value = bounds[i / 3] + i % 3 - 1;
		assert_int_equal(histogram_add(&histogram, value), 0);
		for (size_t k = 0; k < COUNT_OF(bounds); k++)
			right[k] += value <= bounds[k];
	}
	histogram_cumulate(&histogram, bounds, COUNT_OF(bounds), got);
	for (size_t k = 0; k < COUNT_OF(bounds); k++)
		assert_int_equal(got[k], right[k]);
	histogram_free(&histogram);
	histogram_cumulate(&histogram, bounds, COUNT_OF(bounds), got);
	assert_int_equal(got[COUNT_OF(bounds) - 1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_sorted), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_error),	       cmocka_unit_test(test_merge),
		cmocka_unit_test(test_bounds),	       cmocka_unit_test(test_cumulate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
