// LINK: user/wire/*.c user/utf8.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Targets of request lines as the path that an application gets, in the common way and in each
 * server's own. test_wire_oracle (e2e) asks the servers themselves.
 */
#include <stdio.h>

#include "unit.h"
#include "wire_head.h"

#define GUNICORN WIRE_PATH_LATIN1
#define WAITRESS WIRE_PATH_ONE_SLASH
#define WSGIREF	 (WIRE_PATH_ONE_SLASH | WIRE_PATH_KEEP_SCHEME | WIRE_PATH_KEEP_FRAGMENT)
#define UWSGI	 (WIRE_PATH_DOTS | WIRE_PATH_KEEP_SCHEME)
#define HTTPD	 (WIRE_PATH_DOTS | WIRE_PATH_CODED_DOTS | WIRE_PATH_MERGE_SLASHES)

static const struct {
	uint32_t rules;
	const char *target, *path;
} cases[] = {
	/* the common way */
	{0, "/", "/"},
	{0, "*", "*"},
	{0, "/a/b", "/a/b"},
	{0, "/a?b=/c#d", "/a"},
	{0, "/a#b?c", "/a"},
	{0, "/a%20b%2Fc%2fd", "/a b/c/d"},
	{0, "/caf%C3%A9", "/caf\xc3\xa9"},
	{0, "/caf\xe9", "/caf\xe9"},
	{0, "/%", "/%"},
	{0, "/%4", "/%4"},
	{0, "/%4x%x4", "/%4x%x4"},
	{0, "/%2525", "/%25"},
	{0, "/a+b", "/a+b"},
	{0, "//a//b/", "//a//b/"},
	{0, "/a/./b/../c", "/a/./b/../c"},
	{0, "http://host/a", "/a"},
	{0, "http://host:80", ""},
	{0, "http://host?a", ""},
	{0, "HtTpS://user@host/a?b", "/a"},
	{0, "a+b.c-1://h/x", "/x"},
	{0, "1http://h/x", "1http://h/x"},
	{0, "://h/x", "://h/x"},
	{0, "/http://h/x", "/http://h/x"},
	{0, "a:1", "a:1"},
	{0, "?a", ""},
	/* one slash at the beginning */
	{WAITRESS, "//a//b", "/a//b"},
	{WAITRESS, "////", "/"},
	{WSGIREF, "http://h//a#b?c", "http://h//a#b"},
	{WSGIREF, "http://user:secret@h/a@b", "http://h/a@b"},
	{UWSGI, "http://a@b@h", "http://h"},
	{0, "http://user:secret@h/a", "/a"},
	/* dot segments, and slashes */
	{UWSGI, "/a/./b/../c", "/a/c"},
	{UWSGI, "/../../a", "/a"},
	{UWSGI, "/a/..", "/"},
	{UWSGI, "/a/.", "/a/"},
	{UWSGI, "/a/...", "/a/..."},
	{UWSGI, "/a/.b/..c", "/a/.b/..c"},
	{UWSGI, "/a/%2e%2e/b", "/a/../b"},
	{UWSGI, "//a", "//a"},
	{HTTPD, "/a/%2e%2E/b", "/b"},
	{HTTPD, "/a/%2e/b", "/a/b"},
	{HTTPD, "//a///b//", "/a/b/"},
	{HTTPD, "http://host", "/"},
	{WIRE_PATH_KEEP_SLASH_CODE, "/a%2fb%20c", "/a%2Fb c"},
	/* raw bytes as Latin-1; coded ones stay */
	{GUNICORN, "/\xe9\xff", "/\xc3\xa9\xc3\xbf"},
	{GUNICORN, "/%E9a",
	 "/\xe9"
	 "a"},
};

static void path_check(uint32_t rules, const char *target, const char *expected)
{
	struct wire_request_head head;
	struct request_text path;
	char bytes[800];

	snprintf(bytes, sizeof(bytes), "GET %s HTTP/1.1\r\n\r\n", target);
	assert_int_equal(wire_request_parse(bytes, strlen(bytes), rules, &head), WIRE_HTTP);
	path = wire_head_text(&head, WIRE_PATH);
	if (!path.ptr || path.bytes != strlen(expected) || memcmp(path.ptr, expected, path.bytes))
		fail_msg("'%s' with %x: '%.*s', not '%s'", target, rules, (int)path.bytes, path.ptr,
			 expected);
	assert_false(head.kept[WIRE_PATH].cut);
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		path_check(cases[i].rules, cases[i].target, cases[i].path);
}

/* What fills the room is whole; one byte more is cut; long ones that become short are not. */
static void test_rooms(void **state)
{
	struct wire_request_head head;
	char target[601], bytes[700];

	memset(target, 'a', WIRE_PATH_MAX);
	target[0] = '/';
	target[WIRE_PATH_MAX] = '\0';
	path_check(0, target, target);
	path_check(HTTPD, target, target);
	for (size_t i = 0; i < 600; i += 3)
		memcpy(target + i, "%41", 3);
	target[600] = '\0';
	memset(bytes, 0, sizeof(bytes));
	memset(bytes, 'A', 200);
	path_check(0, target, bytes);
	for (size_t i = 0; i < 600; i += 4)
		memcpy(target + i, "/a/.", 4);
	memcpy(target + 300, "../", 3);
	snprintf(bytes, sizeof(bytes), "GET /%.400s HTTP/1.1\r\n\r\n", target);
	assert_int_equal(wire_request_parse(bytes, strlen(bytes), 0, &head), WIRE_HTTP);
	assert_true(head.kept[WIRE_PATH].cut && head.kept[WIRE_PATH].bytes == WIRE_PATH_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_rooms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
