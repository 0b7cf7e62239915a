/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The forms in which front ends say when a request came, and what they cannot mean.
 */
#include "queue_time.h"
#include "unit.h"

#define START INT64_C(1795318324766000000) /* nanoseconds */
#define MS    INT64_C(1000000)

static const struct {
	const char *header;
	int64_t queue_ns;
} cases[] = {
	{"t=1795318324.266", 500 * MS}, /* nginx */
	{"1795318324.266", 500 * MS},
	{"t=1795318324266000", 500 * MS}, /* Apache, F5 */
	{"1795318324266", 500 * MS},	  /* Heroku */
	{"1795318324266.25", 500 * MS - 250000},
	{"t=1795318324", 766 * MS},
	{"t=1795318324.7659999999999", 1}, /* finer than 1 ns is dropped */
	{" t=1795318324.266 ", 500 * MS},
	{"t=1795318324.766", 0},
	{"t=1795318324.768", 0},  /* 2 ms ahead: clocks differ */
	{"t=1795318325.766", -1}, /* a second ahead */
	{"t=1795231923", -1},	  /* more than a day ago */
	{"t=0", -1},
	{"t=946684799", -1},
	{"t=-1795318324", -1},
	{"", -1},
	{"t=", -1},
	{".5", -1},
	{"t=now", -1},
	{"t=1795318324.266, t=1", -1},
	{"1795318324.266x", -1},
	{"1.795318324e9", -1},
	{"99999999999999999", -1},
	{"999999999999999999999999999999", -1},
	{"0x6b02a3b4", -1},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t got = queue_time_parse(cases[i].header, strlen(cases[i].header), START);

		if (got != cases[i].queue_ns)
			fail_msg("'%s': %lld, not %lld", cases[i].header, (long long)got,
				 (long long)cases[i].queue_ns);
	}
}

/* The text is not terminated, may hold NULs, and the start may be anything. */
static void test_hostile(void **state)
{
	static const char digits[] = {'t', '=', '1', '7', '9', '5', '3', '1', '8', '3', '2', '4'};
	static const int64_t starts[] = {0, -1, INT64_MIN, INT64_MAX};

	assert_true(queue_time_parse(digits, sizeof(digits), START) == 766 * MS);
	assert_true(queue_time_parse("t=1795318324\0.5", 15, START) == -1);
	for (size_t i = 0; i < COUNT_OF(starts); i++)
		assert_true(queue_time_parse(digits, sizeof(digits), starts[i]) == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
