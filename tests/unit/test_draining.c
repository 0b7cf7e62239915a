/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a request that has ended is taken for written: test of user/draining.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/types.h>

#include "abi.h"
#include "draining.h"

static void test_at_rest(void **state)
{
	struct rec_request r = {0};

	assert_false(request_is_at_rest(&r));
	r.flags = REC_F_DRAINING;
	assert_true(request_is_at_rest(&r));
	r.flags = REC_F_WIRE;
	assert_false(request_is_at_rest(&r)); /* not answered */
	r.writes.first_ns = 1;
	assert_true(request_is_at_rest(&r));
	r.flags |= REC_F_WRITING;
	assert_false(request_is_at_rest(&r));
}

static void test_short_write(void **state)
{
	struct rec_request r = {.flags = REC_F_DRAINING | REC_F_WRITE_SHORT};

	assert_true(request_is_writing(&r));
	r.flags &= ~REC_F_WRITE_SHORT;
	assert_false(request_is_writing(&r));
}

/* Every write took what it was given, but the socket may be full. */
static void test_less_than_the_blocks(void **state)
{
	struct rec_request r = {.flags = REC_F_DRAINING, .bytes = 16000000};

	r.writes.bytes = 35 * 131072;
	assert_true(request_is_writing(&r));
	r.writes.error = 32; /* EPIPE */
	assert_false(request_is_writing(&r));
	r.writes.error = 0;
	r.writes.bytes = 16000216;
	assert_false(request_is_writing(&r));
	r.writes.bytes = 200; /* to HEAD */
	assert_false(request_is_writing(&r));
	r.writes.bytes = 70000;
	r.bytes = 0; /* not counted: wsgi.file_wrapper */
	assert_false(request_is_writing(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_rest),
		cmocka_unit_test(test_short_write),
		cmocka_unit_test(test_less_than_the_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
