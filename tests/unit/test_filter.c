/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --min-ms, --path, --route, --method, --status, --slower-than.
 */
#include "config.h"
#include "filter.h"
#include "request.h"
#include "unit.h"

static struct request request_of(const char *path, size_t bytes, int64_t application_ns)
{
	return (struct request){.path = {path, bytes}, .application_ns = application_ns};
}

static void test_min_ms(void **state)
{
	const struct config none = {0}, ten = {.min_ms = 10};
	struct request request = request_of("/", 1, 9999999);

	assert_true(filter_passes(&none, &request));
	assert_false(filter_passes(&ten, &request));
	request.application_ns = 10000000;
	assert_true(filter_passes(&ten, &request));
	request.application_ns = REQUEST_UNSEEN; /* its worker may have died of it */
	assert_true(filter_passes(&ten, &request));
}

static void test_path(void **state)
{
	static const struct {
		const char *glob, *path;
		size_t bytes;
		bool passes;
	} cases[] = {
		{"/a*", "/a/b/c", 6, true}, {"/a*", "/b", 2, false},
		{"/a", "/a/", 3, false},    {"*.js", "/x/y.js", 7, true},
		{"/[0-9]", "/7", 2, true},  {"/\\*", "/*", 2, true},
		{"/a*z", "/a\0z", 4, true}, {"/a", "/a\0hidden", 9, false},
		{"*", "", 0, true},	    {"*\xff*", "/\xff/", 3, true},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct config config = {.path_glob = cases[i].glob};
		struct request request = request_of(cases[i].path, cases[i].bytes, 0);

		if (filter_passes(&config, &request) != cases[i].passes)
			fail_msg("%s against %s", cases[i].glob, cases[i].path);
	}
}

static void test_no_path(void **state)
{
	const struct config config = {.path_glob = "*"};
	struct request request = request_of(NULL, 0, 0);

	assert_false(filter_passes(&config, &request));
}

/* By name, though it holds what means something in a glob; by glob; by path group. */
static void test_route(void **state)
{
	static const struct {
		const char *route, *of_request, *group;
		bool passes;
	} cases[] = {
		{"/issue/<int:id>", "/issue/<int:id>", NULL, true},
		{"/a[b]?", "/a[b]?", NULL, true},
		{"/issue/*", "/issue/<int:id>", "/other", true},
		{"/issue/{n}", NULL, "/issue/{n}", true},
		{"/issue/{n}", "/other", "/issue/{n}", false},
		{"/issue", "/issue/<int:id>", NULL, false},
		{"*", NULL, NULL, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *route = cases[i].of_request, *group = cases[i].group;
		struct config config = {.route = cases[i].route};
		struct request request = {.route = {route, route ? strlen(route) : 0},
					  .path_group = {group, group ? strlen(group) : 0}};

		if (filter_passes(&config, &request) != cases[i].passes)
			fail_msg("case %zu: --route %s", i, cases[i].route);
	}
}

static void test_method(void **state)
{
	const struct config config = {.method = "get"};
	struct request request = {.method = {"GET", 3}};

	assert_true(filter_passes(&config, &request));
	request.method.bytes = 2;
	assert_false(filter_passes(&config, &request));
	request.method = (struct request_text){NULL, 0};
	assert_false(filter_passes(&config, &request));
}

static void test_status(void **state)
{
	static const struct {
		const char *filter;
		int64_t status, wire_status;
		bool passes;
	} cases[] = {
		{"404", 404, 404, true},
		{"404", 403, 404, false},
		{"5xx", 599, REQUEST_UNSEEN, true},
		{"5XX", 500, REQUEST_UNSEEN, true},
		{"5xx", 499, 500, false},
		{"5xx", REQUEST_UNSEEN, 500, true},
		{"5xx", REQUEST_UNSEEN, REQUEST_UNSEEN, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct config config = {.status = cases[i].filter};
		struct request request = {.status = cases[i].status,
					  .wire_status = cases[i].wire_status};

		if (filter_passes(&config, &request) != cases[i].passes)
			fail_msg("case %zu: --status %s", i, cases[i].filter);
	}
}

static void test_status_valid(void **state)
{
	static const char *const good[] = {"200", "5xx", "4XX", "999"};
	static const char *const bad[] = {"", "20", "2000", "0xx", "x00", "20x", "2x0", "-12"};

	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(filter_status_valid(good[i]));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(filter_status_valid(bad[i]));
}

static void test_slow(void **state)
{
	const struct config none = {0}, ten = {.slower_ms = 10};
	struct request request = request_of("/", 1, 10000000);

	assert_true(filter_is_slow(&none, &request));
	assert_false(filter_is_slow(&ten, &request));
	request.application_ns++;
	assert_true(filter_is_slow(&ten, &request));
	request.application_ns = REQUEST_UNSEEN;
	assert_true(filter_is_slow(&ten, &request));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_min_ms),	     cmocka_unit_test(test_path),
		cmocka_unit_test(test_no_path),	     cmocka_unit_test(test_route),
		cmocka_unit_test(test_method),	     cmocka_unit_test(test_status),
		cmocka_unit_test(test_status_valid), cmocka_unit_test(test_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
