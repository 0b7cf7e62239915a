/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which labels a request gets, what is made of hostile values, and when two sets are the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "labels.h"
#include "text_buffer.h"
#include "unit.h"

#define TEXT(literal) ((struct request_text){literal, sizeof(literal) - 1})

static const struct request plain = {
	.method = {"GET", 3},
	.status = 200,
	.wire_status = 200,
};

/* The labels as they would stand between braces. */
static const char *labels_text(const struct request *request, struct request_text group)
{
	static char text[4096];
	struct text_buffer out = {0};
	struct labels labels;

	labels_fill(&labels, request, group);
	labels_write(&labels, &out);
	assert_false(out.failed);
	assert_true(out.bytes < sizeof(text));
	memcpy(text, out.text ? out.text : "", out.bytes);
	text[out.bytes] = '\0';
	text_buffer_free(&out);
	return text;
}

#define GET_200 "http_request_method=\"GET\",http_response_status_code=\"200\""

static void test_names(void **state)
{
	struct request request = plain;

	assert_string_equal(labels_text(&request, TEXT("/a")), GET_200 ",path_group=\"/a\"");
	request.app = TEXT("shop");
	assert_string_equal(labels_text(&request, TEXT("/a")),
			    GET_200 ",path_group=\"/a\",application=\"shop\"");
	request.route = TEXT("/<int:id>");
	assert_string_equal(labels_text(&request, TEXT("/a")),
			    GET_200 ",http_route=\"/<int:id>\",application=\"shop\"");
	request.mode = REQUEST_WIRE;
	request.app.ptr = NULL;
	assert_string_equal(labels_text(&request, TEXT("/a")),
			    GET_200 ",http_route=\"/<int:id>\",mode=\"wire\"");
	request = (struct request){.status = REQUEST_UNSEEN, .wire_status = REQUEST_UNSEEN};
	assert_string_equal(labels_text(&request, request.path_group), "");
	request.route = TEXT(""); /* no route: the same as none */
	assert_string_equal(labels_text(&request, request.path_group), "");
}

static void test_methods(void **state)
{
	static const struct {
		struct request_text method;
		const char *label;
	} cases[] = {
		{{"PATCH", 5}, "PATCH"},     {{"OPTIONS", 7}, "OPTIONS"}, {{"get", 3}, "_OTHER"},
		{{"PROPFIND", 8}, "_OTHER"}, {{"GETS", 4}, "_OTHER"},	  {{"GE", 2}, "_OTHER"},
		{{"", 0}, "_OTHER"},	     {{"_OTHER", 6}, "_OTHER"},	  {{"G\0T", 3}, "_OTHER"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct request request = plain;
		char want[128];

		request.method = cases[i].method;
		snprintf(want, sizeof(want),
			 "http_request_method=\"%s\",http_response_status_code=\"200\"",
			 cases[i].label);
		assert_string_equal(labels_text(&request, (struct request_text){NULL, 0}), want);
	}
}

/* What the client was told, before what the application said; what failed, by OTel's rules. */
static void test_status_and_error(void **state)
{
	static const struct {
		int64_t status, wire_status;
		enum request_outcome outcome;
		const char *exception, *want;
	} cases[] = {
		{200, 500, OUTCOME_EXCEPTION, "ValueError",
		 "http_response_status_code=\"500\",error_type=\"ValueError\""},
		{200, -1, OUTCOME_EXCEPTION, NULL,
		 "http_response_status_code=\"200\",error_type=\"exception\""},
		{-1, -1, OUTCOME_EXCEPTION, "KeyError", "error_type=\"KeyError\""},
		{503, 503, OUTCOME_OK, NULL,
		 "http_response_status_code=\"503\",error_type=\"503\""},
		{404, 404, OUTCOME_OK, NULL, "http_response_status_code=\"404\""},
		{200, 200, OUTCOME_DISCONNECT, "OSError",
		 "http_response_status_code=\"200\",error_type=\"disconnect\""},
		{-1, -1, OUTCOME_UNCLOSED, NULL, "error_type=\"unclosed\""},
		{123456, -1, OUTCOME_OK, NULL, ""},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct request request = {
			.status = cases[i].status,
			.wire_status = cases[i].wire_status,
			.outcome = cases[i].outcome,
		};

		if (cases[i].exception)
			request.exception = (struct request_text){cases[i].exception,
								  strlen(cases[i].exception)};
		assert_string_equal(labels_text(&request, request.path_group), cases[i].want);
	}
}

static void test_escapes(void **state)
{
	static const struct {
		struct request_text value;
		const char *want;
	} cases[] = {
		{{"plain value", 11}, "plain value"},
		{{"caf\xc3\xa9 \xe2\x98\x83", 9}, "caf\xc3\xa9 \xe2\x98\x83"},
		{{"a\"b", 3}, "a\\\"b"},
		{{"a\\b", 3}, "a\\\\b"},
		{{"a\nb", 3}, "a\\\\x0ab"},
		{{"a\0b", 3}, "a\\\\x00b"},
		{{"\x1b[2J", 4}, "\\\\x1b[2J"},
		{{"\xff\xc0\xaf", 3}, "\\\\xff\\\\xc0\\\\xaf"},
		{{"\xed\xa0\x80", 3}, "\\\\xed\\\\xa0\\\\x80"},
		{{"\xe2\x80\xae", 3}, "\\\\u{202e}"},
		{{"\xc2\x9b", 2}, "\\\\u{9b}"},
		{{"a\xc3", 2}, "a\\\\xc3"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct request request = {.status = -1, .wire_status = -1};
		char want[128];

		request.app = cases[i].value;
		snprintf(want, sizeof(want), "application=\"%s\"", cases[i].want);
		assert_string_equal(labels_text(&request, request.path_group), want);
	}
}

/* 8 KB, and what grows past the bound by being escaped, are "other", said so. */
static void test_lengths(void **state)
{
	struct label_value value;
	char text[8192];

	memset(text, 'x', sizeof(text));
	assert_false(label_clean(&value, (struct request_text){text, LABEL_BYTES_MAX}));
	assert_int_equal(value.bytes, LABEL_BYTES_MAX);
	assert_true(label_clean(&value, (struct request_text){text, LABEL_BYTES_MAX + 1}));
	assert_int_equal(value.bytes, 5);
	assert_memory_equal(value.text, "other", 5);
	assert_true(label_clean(&value, (struct request_text){text, sizeof(text)}));
	memset(text, '\xff', sizeof(text));
	assert_false(label_clean(&value, (struct request_text){text, LABEL_BYTES_MAX / 4}));
	assert_int_equal(value.bytes, LABEL_BYTES_MAX);
	assert_true(label_clean(&value, (struct request_text){text, LABEL_BYTES_MAX / 4 + 1}));
	assert_false(label_clean(&value, (struct request_text){NULL, 5}));
	assert_int_equal(value.bytes, 0);
}

/* Of a request, the length too. */
static size_t key_of(const struct request *request, char key[LABELS_KEY_BYTES])
{
	struct labels labels;
	size_t bytes;

	labels_fill(&labels, request, request->path_group);
	bytes = labels_key(&labels, key);
	assert_in_range(bytes, 1, LABELS_KEY_BYTES);
	return bytes;
}

/* Keys are equal exactly where the labels that are shown are. */
static void test_keys(void **state)
{
	static const struct request_text values[] = {
		{NULL, 0},   {"", 0},	   {"a", 1},   {"b", 1},     {"ab", 2},
		{"\xff", 1}, {"\\xff", 4}, {"a\"", 2}, {"other", 5}, {"_OTHER", 6},
	};
	const size_t count = COUNT_OF(values), all = count * count * count;
	static char keys[2][LABELS_KEY_BYTES];

	for (size_t i = 0; i < all; i += 7) {
		for (size_t k = 0; k < all; k += 13) {
			struct request one = plain, two = plain;
			char shown[4096];
			size_t bytes[2];
			bool same;

			one.path_group = values[i % count];
			one.app = values[i / count % count];
			one.route = values[i / count / count];
			two.path_group = values[k % count];
			two.app = values[k / count % count];
			two.route = values[k / count / count];
			bytes[0] = key_of(&one, keys[0]);
			bytes[1] = key_of(&two, keys[1]);
			same = bytes[0] == bytes[1] && !memcmp(keys[0], keys[1], bytes[0]);
			strcpy(shown, labels_text(&one, one.path_group));
			assert_int_equal(same, !strcmp(shown, labels_text(&two, two.path_group)));
		}
	}
}

static void test_other(void **state)
{
	struct text_buffer out = {0};
	struct request request = plain;
	struct labels labels;
	static const char want[] =
		"http_request_method=\"_OTHER\",http_response_status_code=\"other\","
		"path_group=\"other\",error_type=\"other\",application=\"other\"";

	request.route = TEXT("/<id>");
	labels_fill(&labels, &request, request.path_group);
	labels_make_other(&labels);
	labels_write(&labels, &out);
	assert_int_equal(out.bytes, strlen(GET_200 ",path_group=\"other\""));
	assert_memory_equal(out.text, GET_200 ",path_group=\"other\"", out.bytes);
	text_buffer_clear(&out);
	labels_rest(&labels);
	labels_write(&labels, &out);
	assert_int_equal(out.bytes, strlen(want));
	assert_memory_equal(out.text, want, out.bytes);
	text_buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	cmocka_unit_test(test_methods),
		cmocka_unit_test(test_escapes), cmocka_unit_test(test_status_and_error),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
