/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of profiles of single requests, which a client has its hand in.
 */
#include "profile_files.h"
#include "request.h"
#include "unit.h"

static struct request request_of(const char *method, const char *path, size_t path_bytes)
{
	return (struct request){
		.method = {method, method ? strlen(method) : 0},
		.path = {path, path_bytes},
		.application_ns = 512345678,
		.time_ns = 1795341600123456789,
	};
}

static void test_names(void **state)
{
	static const struct {
		const char *method, *path, *name;
	} cases[] = {
		{"GET", "/issue/42", "GET.issue.42.512ms.1795341600"},
		{"GET", "/", "GET.root.512ms.1795341600"},
		{"GET", "", "GET.root.512ms.1795341600"},
		{"GET", NULL, "GET.root.512ms.1795341600"},
		{NULL, "/x", "_.x.512ms.1795341600"},
		{"GET", "//a///b//", "GET.a.b.512ms.1795341600"},
		{"GET", "/../../etc/passwd", "GET.__.__.etc.passwd.512ms.1795341600"},
		{"../..", "/x", "__.__.x.512ms.1795341600"},
		{"GET", "/a b\n\x1b\xff;$(rm)", "GET.a_b______rm_.512ms.1795341600"},
		{"GET", "/caf\xc3\xa9-x_y", "GET.caf__-x_y.512ms.1795341600"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *path = cases[i].path;
		struct request request = request_of(cases[i].method, path, path ? strlen(path) : 0);
		char name[PROFILE_NAME_BYTES];

		profile_name(&request, name);
		assert_string_equal(name, cases[i].name);
	}
}

/* Any byte, any length: a name that is a file's in its directory, and ends. */
static void test_any(void **state)
{
	char path[1000], name[PROFILE_NAME_BYTES];
	struct request request = request_of("A-VERY-LONG-METHOD-INDEED", path, sizeof(path));

	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = (char)(i * 7);
	request.application_ns = INT64_MAX;
	request.time_ns = INT64_MAX;
	profile_name(&request, name);
	assert_true(strlen(name) < 180);
	assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_."),
			 strlen(name));
	assert_true(name[0] != '.');
	assert_null(strstr(name, ".."));
	request.application_ns = REQUEST_UNSEEN;
	profile_name(&request, name);
	assert_non_null(strstr(name, ".unended."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
