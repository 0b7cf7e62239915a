/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --min-ms and --path.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_min_ms),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_no_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
