/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table under a trace: groups, sums over what was seen, and the bound.
 */
#include <stdio.h>
#include <stdlib.h>

#include "request.h"
#include "sinks/summary.h"
#include "unit.h"

static struct request request_of(const char *group, int64_t application_ns)
{
	struct request request = {
		.path_group = {group, strlen(group)},
		.application_ns = application_ns,
		.output_ns = 1000000,
		.blocks = 2,
		.bytes = 10,
		.write_calls = 3,
	};

	for (int i = 0; i < REQUEST_STATES; i++)
		request.states_ns[i] = REQUEST_UNSEEN;
	return request;
}

static char *printed(struct summary *summary)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	assert_int_equal(summary_print(summary, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_sums(void **state)
{
	struct summary *summary = summary_new();
	struct request request;
	char *text;

	assert_non_null(summary);
	for (int i = 1; i <= 20; i++) {
		request = request_of("/slow", i * INT64_C(1000000));
		assert_int_equal(summary_add(summary, &request), 0);
	}
	request = request_of("/quick", 1000);
	request.outcome = OUTCOME_EXCEPTION;
	request.output_ns = request.blocks = request.bytes = REQUEST_UNSEEN;
	request.write_calls = REQUEST_UNSEEN;
	assert_int_equal(summary_add(summary, &request), 0);
	request.route = (struct request_text){"/slow", 5}; /* a route goes before the group */
	assert_int_equal(summary_add(summary, &request), 0);
	text = printed(summary);
	/* 10 ms is p50; its bucket is (9.9 ms, 10 ms], given back as 9.950 ms; p95 is 19 ms. */
	assert_non_null(strstr(text,
			       "\n      21      1    10.000     9.950    18.486    20.000     "
			       "1.000       40         200       60  /slow\n"));
	assert_non_null(strstr(text,
			       "\n       1      1     0.001     0.001     0.001     0.001     "
			       "    -        -           -        -  /quick\n"));
	assert_true(strstr(text, "/slow") < strstr(text, "/quick"));
	free(text);
	summary_free(summary);
}

static void test_bound(void **state)
{
	struct summary *summary = summary_new();
	char *text;

	assert_non_null(summary);
	for (int i = 0; i < SUMMARY_GROUPS_MAX + 500; i++) {
		char name[32];
		struct request request;

		snprintf(name, sizeof(name), "/group-%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26,
			 'a' + i / 676);
		request = request_of(name, 1000000);
		assert_int_equal(summary_add(summary, &request), 0);
	}
	text = printed(summary);
	assert_non_null(strstr(text, "... and 1960 groups more"));
	assert_non_null(strstr(text, "\n     500      0     1.000"));
	assert_non_null(strstr(text, "(other: past 2000 groups)\n"));
	free(text);
	summary_free(summary);
}

/* A request with these states, in milliseconds. */
static void states_add(struct summary *summary, const char *group, const int64_t ms[REQUEST_STATES])
{
	struct request request = request_of(group, 1000000);

	for (int i = 0; i < REQUEST_STATES; i++)
		request.states_ns[i] = ms[i] < 0 ? REQUEST_UNSEEN : ms[i] * 1000000;
	request.application_ns = 0;
	for (int i = 0; i < REQUEST_STATES; i++)
		request.application_ns += ms[i] < 0 ? 0 : ms[i] * 1000000;
	assert_int_equal(summary_add(summary, &request), 0);
}

static void test_states(void **state)
{
	struct summary *summary = summary_new();
	struct request request;
	char *text;

	assert_non_null(summary);
	states_add(summary, "/most", (const int64_t[]){1000, 0, 0, 0, 0, 0, 0, 0, 0});
	/* The share of each in all the time, not the mean of shares; the GIL where it was seen. */
	states_add(summary, "/some", (const int64_t[]){100, 100, 100, 0, 0, 0, 100, 0, 0});
	states_add(summary, "/some", (const int64_t[]){10, 0, -1, 20, 30, 40, 0, 0, 0});
	request = request_of("/some", 1000000); /* its states were not seen: it is not counted */
	assert_int_equal(summary_add(summary, &request), 0);
	request = request_of("/none", 1000000);
	assert_int_equal(summary_add(summary, &request), 0);
	states_add(summary, "/gil", (const int64_t[]){1, 0, -1, 0, 0, 0, 2, 3, 4});
	states_add(summary, "/zero", (const int64_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0});
	text = printed(summary);
	assert_non_null(strstr(text, "  /none\n"));
	assert_string_equal(
		strstr(text, "\nWhere"),
		"\nWhere the application time went, in per cent:\n"
		"   COUNT   CPU RUNNABLE   GIL SOCKET_READ SOCKET_WRITE  FILE  LOCK SLEEP OTHER  "
		"ROUTE OR PATH GROUP\n"
		"       1 100.0      0.0   0.0         0.0          0.0   0.0   0.0   0.0   0.0  "
		"/most\n"
		"       2  22.0     20.0  20.0         4.0          6.0   8.0  20.0   0.0   0.0  "
		"/some\n"
		"       1  10.0      0.0     -         0.0          0.0   0.0  20.0  30.0  40.0  "
		"/gil\n");
	free(text);
	summary_free(summary);
}

/* No table of nothing. */
static void test_no_states(void **state)
{
	struct summary *summary = summary_new();
	struct request request = request_of("/none", 1000000);
	char *text;

	assert_non_null(summary);
	assert_int_equal(summary_add(summary, &request), 0);
	text = printed(summary);
	assert_non_null(strstr(text, "/none"));
	assert_null(strstr(text, "RUNNABLE"));
	free(text);
	summary_free(summary);
}

/* The groups of the table above and no others; what is past the bound, too. */
static void test_states_bound(void **state)
{
	struct summary *summary = summary_new();
	const char *table;
	char *text;
	int rows = 0;

	assert_non_null(summary);
	for (int i = 0; i <= SUMMARY_GROUPS_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/group-%d", i);
		states_add(summary, name, (const int64_t[]){0, 0, i + 1, 0, 0, 0, 0, 0, 0});
	}
	text = printed(summary);
	table = strstr(text, "\nWhere");
	assert_non_null(table);
	for (const char *at = table; (at = strstr(at, "100.0")); at++)
		rows++;
	assert_int_equal(rows, 40 + 1);
	assert_non_null(strstr(table, "/group-1999\n"));
	assert_null(strstr(table, "/group-1959\n"));
	assert_non_null(strstr(table, "  (other: past 2000 groups)\n"));
	free(text);
	summary_free(summary);
}

static void test_nothing(void **state)
{
	struct summary *summary = summary_new();
	char *text = printed(summary);

	assert_string_equal(text, "");
	free(text);
	summary_free(summary);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),	     cmocka_unit_test(test_bound),
		cmocka_unit_test(test_states),	     cmocka_unit_test(test_no_states),
		cmocka_unit_test(test_states_bound), cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
