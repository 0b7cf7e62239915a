/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shapes of paths; and that no path makes a long one, a deep one or one that is no text.
 */
#include "escape.h"
#include "path_group.h"
#include "unit.h"

static const struct {
	const char *path, *group;
} cases[] = {
	{"", "/"},
	{"/", "/"},
	{"/issue/42", "/issue/{n}"},
	{"/issue/42/edit", "/issue/{n}/edit"},
	{"/issue/42/", "/issue/{n}/"},
	{"/api/v1/users", "/api/v1/users"},
	{"/log/2026-11-22", "/log/{n}"},
	{"/release/1.2.3", "/release/{n}"},
	{"/u/550e8400-e29b-41d4-a716-446655440000", "/u/{uuid}"},
	{"/u/550E8400-E29B-41D4-A716-44665544000G", "/u/{token}"},
	{"/commit/025f004aa", "/commit/{hex}"},
	{"/commit/deadbeef", "/commit/deadbeef"}, /* a word, as far as one can tell */
	{"/photo_0042.jpg", "/photo_{n}.jpg"},
	{"/2fa/setup", "/2fa/setup"},
	{"/t/eyJhbGciOiJIUzI1NiJ9x", "/t/{token}"},
	{"/a-long-but-readable-title-of-a-page", "/a-long-but-readable-title-of-a-page"},
	{"/a-much-too-long-title-of-a-page-that-nobody-reads", "/{token}"},
	{"/caf\xc3\xa9", "/caf\xc3\xa9"},
	{"/\xff\xfe", "/{token}"},
	{"/with space", "/{token}"},
	{"/1/2/3/4/5/6/7/8/9", "/{n}/{n}/{n}/{n}/{n}/{n}/{n}/{n}/{more}"},
	{"//a///b", "//a///b"},
	{"*", "*"},
	{"no-slash/7", "no-slash/{n}"},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char out[PATH_GROUP_BYTES + 1];
		size_t bytes = path_group(cases[i].path, strlen(cases[i].path), out);

		assert_in_range(bytes, 1, PATH_GROUP_BYTES);
		out[bytes] = '\0';
		assert_string_equal(out, cases[i].group);
	}
}

static void test_bounds(void **state)
{
	static const char *const pieces[] = {
		"/",	"/a",  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "/\xe2\x98\x83", "1",
		"\xff", "/{n}"};
	char path[4096], out[PATH_GROUP_BYTES];

	for (size_t piece = 0; piece < COUNT_OF(pieces); piece++) {
		size_t bytes = 0, each = strlen(pieces[piece]);

		while (bytes + each <= sizeof(path)) {
			size_t made;

			memcpy(path + bytes, pieces[piece], each);
			bytes += each;
			made = path_group(path, bytes, out);
			assert_in_range(made, 1, PATH_GROUP_BYTES);
			assert_true(escape_is_plain(out, made));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
