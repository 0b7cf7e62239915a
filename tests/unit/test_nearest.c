/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The distance of names, and which is near enough to be meant.
 */
#include "nearest.h"
#include "unit.h"

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned int distance;
	} cases[] = {
		{"", "", 0},	     {"json", "json", 0},      {"jsn", "json", 1},
		{"jsno", "json", 1}, {"jason", "json", 1},     {"joon", "json", 1},
		{"", "json", 4},     {"kitten", "sitting", 3}, {"ab", "ba", 1},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(nearest_distance(cases[i].a, cases[i].b), cases[i].distance);
		assert_int_equal(nearest_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
}

static void test_distance_of_long_names_is_bounded(void **state)
{
	char a[4096], b[4096];

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	assert_int_equal(nearest_distance(a, b), 31);
}

static void test_name(void **state)
{
	static const char *const names[] = {"json", "min-ms", "path", "blocks", "ring-size"};

	assert_string_equal(nearest_name("jsn", names, 5), "json");
	assert_string_equal(nearest_name("min_ms", names, 5), "min-ms");
	assert_string_equal(nearest_name("blcosk", names, 5), "blocks");
	assert_string_equal(nearest_name("ringsize", names, 5), "ring-size");
	assert_null(nearest_name("verbosity", names, 5));
	assert_null(nearest_name("", names, 5));
	assert_null(nearest_name("jsn", names, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_distance_of_long_names_is_bounded),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
