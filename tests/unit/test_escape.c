/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No byte, character or sequence may reach a terminal or break JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "escape.h"
#include "unit.h"

typedef void (*escape_fn)(FILE *out, const char *text, size_t bytes);

static char *escaped(escape_fn fn, const char *text, size_t bytes)
{
	char *out = NULL;
	size_t out_bytes;
	FILE *memory = open_memstream(&out, &out_bytes);

	assert_non_null(memory);
	fn(memory, text, bytes);
	assert_int_equal(fclose(memory), 0);
	return out;
}

static const struct {
	const char *raw;
	const char *text, *json;
} cases[] = {
	{"plain/path?", "plain/path?", "plain/path?"},
	{"caf\xc3\xa9", "caf\xc3\xa9", "caf\xc3\xa9"},
	{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
	{"a b", "a\\x20b", "a b"},
	{"\x1b[31m", "\\x1b[31m", "\\u001b[31m"},
	{"\n\r\t\x7f", "\\x0a\\x0d\\x09\\x7f", "\\u000a\\u000d\\u0009\\u007f"},
	{"\"\\", "\"\\\\", "\\\"\\\\"},
	{"\xff", "\\xff", "\\\\xff"},
	{"\xc0\xaf", "\\xc0\\xaf", "\\\\xc0\\\\xaf"},		      /* over-long */
	{"\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\\\xe0\\\\x80\\\\xaf"}, /* over-long */
	{"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\\\xed\\\\xa0\\\\x80"}, /* surrogate */
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80"},
	{"\xc3", "\\xc3", "\\\\xc3"}, /* cut */
	{"\xe2\x80", "\\xe2\\x80", "\\\\xe2\\\\x80"},
	{"\xc2\x9b", "\\u{9b}", "\\u009b"},		      /* CSI in C1 */
	{"\xe2\x80\xae", "\\u{202e}", "\\u202e"},	      /* right-to-left override */
	{"\xe2\x81\xa6", "\\u{2066}", "\\u2066"},	      /* isolate */
	{"\xe2\x80\x8b", "\\u{200b}", "\\u200b"},	      /* zero width space */
	{"\xef\xbb\xbf", "\\u{feff}", "\\ufeff"},	      /* byte order mark */
	{"\xf3\xa0\x80\xa1", "\\u{e0021}", "\\udb40\\udc21"}, /* tag character */
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *text = escaped(escape_text, cases[i].raw, strlen(cases[i].raw));
		char *json = escaped(escape_json, cases[i].raw, strlen(cases[i].raw));

		assert_string_equal(text, cases[i].text);
		assert_string_equal(json, cases[i].json);
		free(text);
		free(json);
	}
}

static void test_nul(void **state)
{
	char *text = escaped(escape_text, "a\0b", 3), *json = escaped(escape_json, "a\0b", 3);

	assert_string_equal(text, "a\\x00b");
	assert_string_equal(json, "a\\u0000b");
	free(text);
	free(json);
}

/* Whatever two bytes come, what goes out is valid UTF-8 without controls. */
static void check_output(const char *out)
{
	size_t bytes = strlen(out);

	for (size_t i = 0; i < bytes;) {
		uint32_t code;

		i += escape_next(out + i, bytes - i, &code);
		assert_int_not_equal(code, UINT32_MAX);
		assert_true(code >= 0x20 && code != 0x7f && !(code >= 0x80 && code < 0xa0));
	}
}

static void test_all_pairs(void **state)
{
	for (unsigned int pair = 0; pair < 65536; pair++) {
		char raw[4] = {'/', (char)(pair >> 8), (char)pair, '/'};
		char *text = escaped(escape_text, raw, sizeof(raw));
		char *json = escaped(escape_json, raw, sizeof(raw));

		check_output(text);
		check_output(json);
		assert_int_equal(escape_is_plain(raw, sizeof(raw)),
				 strlen(text) == sizeof(raw) && !memcmp(text, raw, sizeof(raw)));
		free(text);
		free(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_all_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
