/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patterns, positions that show too many values, who keeps a name, and floods.
 */
#include <stdio.h>
#include <stdlib.h>

#include "path_shape.h"
#include "settings.h"
#include "unit.h"

struct fixture {
	struct settings *settings;
	struct path_shape *shape;
	struct path_trail trail;
	char out[PATH_GROUP_BYTES + 1];
};

static struct fixture fixture_of(const char *text)
{
	struct fixture fixture = {0};

	assert_int_equal(settings_parse("test", text, strlen(text), &fixture.settings), 0);
	fixture.shape = path_shape_new(fixture.settings);
	assert_non_null(fixture.shape);
	return fixture;
}

static void fixture_end(struct fixture *fixture)
{
	path_shape_free(fixture->shape);
	settings_free(fixture->settings);
}

static const char *shape_as(struct fixture *fixture, const char *path, bool learns)
{
	char group[PATH_GROUP_BYTES];
	size_t bytes = path_group(path, strlen(path), group);

	bytes = path_shape_of(fixture->shape, path, strlen(path), group, bytes, learns,
			      fixture->out, &fixture->trail);
	assert_in_range(bytes, 1, PATH_GROUP_BYTES);
	fixture->out[bytes] = '\0';
	return fixture->out;
}

static const char *shape(struct fixture *fixture, const char *path)
{
	return shape_as(fixture, path, true);
}

static void test_patterns(void **state)
{
	struct fixture fixture = fixture_of("path /issue/new\n"
					    "path /issue/{n}\n"
					    "path /user/{name}/photo/{n}\n"
					    "path /static/{file...}\n"
					    "path /end/\n");

	assert_string_equal(shape(&fixture, "/issue/new"), "/issue/new"); /* the first wins */
	assert_string_equal(shape(&fixture, "/issue/abc"), "/issue/{n}");
	assert_string_equal(shape(&fixture, "/issue/"), "/issue/");
	assert_string_equal(shape(&fixture, "/issue/abc/"), "/issue/abc/");
	assert_string_equal(shape(&fixture, "/issue/7/8"), "/issue/{n}/{n}");
	assert_string_equal(shape(&fixture, "/user/\xff/photo/x"), "/user/{name}/photo/{n}");
	assert_string_equal(shape(&fixture, "/user//photo/x"), "/user//photo/x");
	assert_string_equal(shape(&fixture, "/static/a"), "/static/{file...}");
	assert_string_equal(shape(&fixture, "/static/a/b/c/"), "/static/{file...}");
	assert_string_equal(shape(&fixture, "/static/"), "/static/");
	assert_string_equal(shape(&fixture, "/static"), "/static");
	assert_string_equal(shape(&fixture, "/end/"), "/end/");
	assert_string_equal(shape(&fixture, "/en"), "/en");
	fixture_end(&fixture);
}

/* Too many names at one place are {name}; other places, and what follows, are on their own. */
static void test_collapse(void **state)
{
	struct fixture fixture = fixture_of("segment-values 20\n");
	char path[64];

	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/user/u%c%c/edit", 'a' + i, 'a' + i);
		assert_string_equal(shape(&fixture, path), path);
	}
	assert_string_equal(shape(&fixture, "/user/one-more/edit"), "/user/{name}/edit");
	assert_string_equal(shape(&fixture, "/user/uaa/edit"), "/user/{name}/edit");
	assert_string_equal(shape(&fixture, "/user/uaa/view"), "/user/{name}/view");
	assert_string_equal(shape(&fixture, "/user/7/view"), "/user/{n}/view");
	assert_string_equal(shape(&fixture, "/other/uaa"), "/other/uaa");
	fixture_end(&fixture);
}

/* The pages of a site keep their names when somebody tries others, even if all are answered. */
static void test_keeps(void **state)
{
	static const char *const pages[] = {"/home", "/search", "/about", "/api"};
	struct fixture fixture = fixture_of("segment-values 20\n");
	char path[64];

	for (int i = 0; i < 400; i++)
		shape(&fixture, pages[i % COUNT_OF(pages)]);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/x%c%c", 'a' + i % 26, 'a' + i / 26);
		shape(&fixture, path);
	}
	assert_string_equal(shape(&fixture, "/xaa"), "/{name}");
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		assert_string_equal(shape(&fixture, pages[i]), pages[i]);
	fixture_end(&fixture);
}

/* The shares are counted by those who remember the shape, too. */
static void test_again(void **state)
{
	struct fixture fixture = fixture_of("segment-values 20\n");
	uint64_t changes;
	char path[64];

	assert_string_equal(shape(&fixture, "/home"), "/home");
	changes = path_shape_changes(fixture.shape);
	for (int i = 0; i < 100; i++)
		path_shape_again(&fixture.trail);
	assert_int_equal(path_shape_changes(fixture.shape), changes);
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "/x%c%c", 'a' + i % 26, 'a' + i / 26);
		shape(&fixture, path);
	}
	assert_true(path_shape_changes(fixture.shape) > changes);
	assert_string_equal(shape(&fixture, "/home"), "/home");
	fixture_end(&fixture);
}

/* What was not found teaches nothing; what was found before keeps its name. */
static void test_not_found(void **state)
{
	struct fixture fixture = fixture_of("segment-values 5\n");
	char path[64];

	shape(&fixture, "/admin/users");
	for (int i = 0; i < 10000; i++) {
		snprintf(path, sizeof(path), "/%c%c/%c%c/{n}", 'a' + i % 26, 'a' + i / 26 % 26,
			 'a' + i / 676, 'a' + i % 11);
		assert_string_equal(shape_as(&fixture, path, false), "/{name}/{name}/{n}");
	}
	assert_string_equal(shape_as(&fixture, "/admin/users", false), "/admin/users");
	assert_string_equal(shape_as(&fixture, "/admin/wp", false), "/admin/{name}");
	assert_string_equal(shape(&fixture, "/found"), "/found"); /* the position is as it was */
	assert_int_equal(path_shape_overflows(fixture.shape), 0);
	fixture_end(&fixture);
}

/* Whatever comes, the memory is bounded, and every shape is one that fits. */
static void test_flood(void **state)
{
	struct fixture fixture = fixture_of("segment-values 10000\n");
	uint64_t random = 88172645463325252;
	size_t full = 0;

	for (int i = 0; i < 200000; i++) {
		char path[128];
		size_t bytes = 0;

		for (int segment = 0; segment < 6; segment++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			bytes += (size_t)sprintf(path + bytes, "/%c%c%c", 'a' + (int)(random >> 60),
						 'a' + (int)(random >> 56 & 15),
						 'a' + (int)(random >> 52 & 15));
		}
		shape(&fixture, path);
		if (path_shape_overflows(fixture.shape) && !full)
			full = __sanitizer_get_current_allocated_bytes();
	}
	assert_true(path_shape_overflows(fixture.shape) > 0);
	assert_int_equal(__sanitizer_get_current_allocated_bytes(), full);
	fixture_end(&fixture);
}

/* Names of one letter grow by becoming {name}: nothing is written past the end. */
static void test_long(void **state)
{
	struct fixture fixture = fixture_of("");
	char path[PATH_GROUP_BYTES];

	for (size_t slashes = 0; slashes < 150; slashes++) {
		memset(path, '/', slashes);
		for (int i = 0; i < 8; i++)
			memcpy(path + slashes + 2 * i, "a/", 2);
		path[slashes + 16] = '\0';
		shape_as(&fixture, path, false);
	}
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),  cmocka_unit_test(test_collapse),
		cmocka_unit_test(test_keeps),	  cmocka_unit_test(test_again),
		cmocka_unit_test(test_not_found), cmocka_unit_test(test_flood),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
