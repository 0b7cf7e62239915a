// LINK: user/wire/*.c user/utf8.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chunked bodies: where they end, in pieces of every length, and where what was not kept is
 * skipped.
 */
#include "unit.h"
#include "wire_head.h"

static const struct {
	const char *bytes;
	enum wire_chunks_end end;
	size_t used; /* of bytes; what is more belongs to others */
	uint64_t data;
} cases[] = {
	{"0\r\n\r\n", WIRE_CHUNKS_DONE, 5, 0},
	{"5\r\nabcde\r\n0\r\n\r\nGET", WIRE_CHUNKS_DONE, 15, 5},
	{"5\nabcde\n0\n\n", WIRE_CHUNKS_DONE, 11, 5},
	{"A\r\n0\r\n\r\n12345\r\n0\r\n\r\n", WIRE_CHUNKS_DONE, 20, 10},
	{"000a\r\n0123456789\r\n000\r\n\r\n", WIRE_CHUNKS_DONE, 25, 10},
	{"1;a=b;c=\"d\"\r\nx\r\n0 ;e\r\n\r\n", WIRE_CHUNKS_DONE, 24, 1},
	{"1 \r\nx\r\n0\r\nTrailer: a\r\nOther: b\r\n\r\n", WIRE_CHUNKS_DONE, 34, 1},
	{"0\r\nA: b\n\n", WIRE_CHUNKS_DONE, 9, 0},
	{"5\r\nabc", WIRE_CHUNKS_MORE, 6, 3},
	{"0\r\n", WIRE_CHUNKS_MORE, 3, 0},
	{"0\r\n\r", WIRE_CHUNKS_MORE, 4, 0},
	{"", WIRE_CHUNKS_MORE, 0, 0},
	{"\r\n", WIRE_CHUNKS_BAD, 1, 0},
	{" 5\r\nabcde\r\n", WIRE_CHUNKS_BAD, 1, 0},
	{"g\r\n", WIRE_CHUNKS_BAD, 1, 0},
	{"-1\r\n", WIRE_CHUNKS_BAD, 1, 0},
	{"0x5\r\n", WIRE_CHUNKS_BAD, 2, 0},
	{"5\rabcde", WIRE_CHUNKS_BAD, 3, 0},
	{"5\r\nabcdef\r\n", WIRE_CHUNKS_BAD, 9, 5},
	{"5\r\nabcde\r0\r\n", WIRE_CHUNKS_BAD, 10, 5},
	{"0\r\n\r0", WIRE_CHUNKS_BAD, 5, 0},
	{"1000000000000000\r\n", WIRE_CHUNKS_BAD, 16, 0},
	{"ffffffffffffffffffff\r\n", WIRE_CHUNKS_BAD, 16, 0},
};

/* In pieces of so many bytes. */
static void case_check(size_t index, size_t step)
{
	const char *bytes = cases[index].bytes;
	size_t n = strlen(bytes), at = 0, used = 0;
	enum wire_chunks_end end = WIRE_CHUNKS_MORE;
	struct wire_chunks chunks = {0};

	do {
		size_t piece = n - at < step ? n - at : step;

		end = wire_chunks_feed(&chunks, bytes + at, piece, &used);
		assert_true(used == piece || end != WIRE_CHUNKS_MORE);
		at += used;
	} while (end == WIRE_CHUNKS_MORE && at < n);
	if (end != cases[index].end || at != cases[index].used ||
	    chunks.data_bytes != cases[index].data)
		fail_msg("'%s' by %zu: end %d after %zu, %llu of data", bytes, step, (int)end, at,
			 (unsigned long long)chunks.data_bytes);
	if (end == WIRE_CHUNKS_MORE)
		return;
	assert_int_equal(wire_chunks_feed(&chunks, "0\r\n\r\n", 5, &used), end);
	assert_int_equal(used, 0);
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (size_t step = 1; step <= strlen(cases[i].bytes) + 1; step++)
			case_check(i, step);
}

static void test_skip(void **state)
{
	struct wire_chunks chunks = {0};
	size_t used;

	assert_true(wire_chunks_skip(&chunks, 0));
	assert_false(wire_chunks_skip(&chunks, 1));
	assert_int_equal(wire_chunks_feed(&chunks, "10000\r\nab", 9, &used), WIRE_CHUNKS_MORE);
	assert_false(wire_chunks_skip(&chunks, 0x10000 - 1));
	assert_true(wire_chunks_skip(&chunks, 0x10000 - 2));
	assert_false(wire_chunks_skip(&chunks, 1));
	assert_true(chunks.data_bytes == 0x10000);
	assert_int_equal(wire_chunks_feed(&chunks, "\r\n0\r\n\r\n", 7, &used), WIRE_CHUNKS_DONE);
	assert_false(wire_chunks_skip(&chunks, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_skip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
