/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers against printf, growth, and what happens where there is no more memory.
 */
#include <inttypes.h>
#include <stdio.h>

#include "text_buffer.h"
#include "unit.h"

static void check(struct text_buffer *buffer, const char *want)
{
	assert_false(buffer->failed);
	assert_int_equal(buffer->bytes, strlen(want));
	assert_memory_equal(buffer->text, want, strlen(want));
	text_buffer_clear(buffer);
}

static void test_numbers(void **state)
{
	struct text_buffer buffer = {0};
	char want[64];

	for (uint64_t number = 0; number < 100000; number += 7) {
		text_put_number(&buffer, number);
		snprintf(want, sizeof(want), "%" PRIu64, number);
		check(&buffer, want);
	}
	text_put_number(&buffer, UINT64_MAX);
	check(&buffer, "18446744073709551615");
	text_buffer_free(&buffer);
}

static void test_decimals(void **state)
{
	static const struct {
		uint64_t number;
		unsigned int places;
		const char *want;
	} cases[] = {
		{0, 0, "0"},
		{0, 9, "0"},
		{1, 9, "0.000000001"},
		{1500000, 6, "1.5"},
		{1000000000, 9, "1"},
		{1000000001, 9, "1.000000001"},
		{10, 1, "1"},
		{99, 2, "0.99"},
		{UINT64_MAX, 9, "18446744073.709551615"},
		{UINT64_MAX, 18, "18.446744073709551615"},
		{UINT64_MAX, 0, "18446744073709551615"},
	};
	struct text_buffer buffer = {0};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		text_put_decimal(&buffer, cases[i].number, cases[i].places);
		check(&buffer, cases[i].want);
	}
	text_buffer_free(&buffer);
}

static void test_growth(void **state)
{
	struct text_buffer buffer = {0};
	const char *text;

	for (int i = 0; i < 100000; i++)
		text_put(&buffer, "0123456789", 10);
	assert_int_equal(buffer.bytes, 1000000);
	for (size_t i = 0; i < buffer.bytes; i++)
		assert_int_equal(buffer.text[i], '0' + (int)(i % 10));
	text = buffer.text;
	text_buffer_clear(&buffer);
	text_put_word(&buffer, "kept");
	assert_ptr_equal(buffer.text, text); /* its memory was kept */
	check(&buffer, "kept");
	text_buffer_free(&buffer);
	assert_null(buffer.text);
}

/* The first failure stays, and nothing after it is written. */
static void test_no_memory(void **state)
{
	struct text_buffer buffer = {0};

	text_put_word(&buffer, "before");
	assert_null(text_room(&buffer, SIZE_MAX / 2 + 1));
	assert_true(buffer.failed);
	text_put_word(&buffer, "after");
	assert_int_equal(buffer.bytes, strlen("before"));
	text_buffer_clear(&buffer);
	assert_false(buffer.failed);
	text_buffer_free(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
