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
	return (struct request){
		.path_group = {group, strlen(group)},
		.application_ns = application_ns,
		.output_ns = 1000000,
		.blocks = 2,
		.bytes = 10,
		.write_calls = 3,
	};
}

static char *printed(struct summary *summary)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	summary_print(summary, out);
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
	/* 10 ms is p50; the bucket of 10 ms is [9961472, 10485760), its middle 10.224 ms. */
	assert_non_null(strstr(text,
			       "\n      21      1    10.000    10.224    19.399    20.000     "
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
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
