/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Percentiles against a sorted list, over several shapes of distribution.
 */
#include <stdlib.h>

#include "histogram.h"
#include "unit.h"

#define VALUES	  10000
#define ERROR_MAX 0.05 /* promised: 1/32 */

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
		histogram_add(histogram, values[i]);
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
	histogram_add(&histogram, 0);
	histogram_add(&histogram, INT64_MAX);
	assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
	assert_true(histogram_percentile(&histogram, 1) == INT64_MAX);
}

/* One after the other over every power of two: no gap, no step back. */
static void test_order(void **state)
{
	int64_t last = -1;

	for (int shift = 0; shift < 63; shift++) {
		for (int64_t around = -1; around <= 1; around++) {
			int64_t value = (INT64_C(1) << shift) + around;
			/* With greater and less on both sides the answer is the bucket's own. */
			struct histogram histogram = {.count = 0};
			int64_t got;

			histogram_add(&histogram, 0);
			histogram_add(&histogram, value);
			histogram_add(&histogram, INT64_MAX);
			got = histogram_percentile(&histogram, 0.5);
			assert_true(got >= last || value < last);
			assert_true((double)llabs(got - value) <= ERROR_MAX * (double)value);
			last = got;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_sorted),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
