/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples and code objects: what comes out of them, and each way in which they can be wrong.
 */
#include <errno.h>
#include <stdlib.h>

#include "decode.h"
#include "sample_make.h"
#include "unit.h"

static struct event event;
static struct made_sample sample;
static struct made_code code;

/* Decodes from a heap block of the exact size, so that a read past it is seen. */
static int decode(const void *record, size_t bytes)
{
	char *exact = malloc(bytes);
	int error;

	assert_non_null(exact);
	memcpy(exact, record, bytes);
	memset(&event, 0x5a, sizeof(event)); /* what was there before must not shine through */
	error = decode_record(exact, bytes, &event);
	free(exact);
	return error;
}

static int decode_sample_now(void)
{
	return decode(&sample, sample.record.h.size);
}

static int decode_code_now(void)
{
	return decode(&code, code.record.h.size);
}

static void sample_reset(void)
{
	sample_make(&sample, 9);
	sample_frame(&sample, 0x1000, 12);
	sample_frame(&sample, 0x2000, -1);
	sample_native(&sample, 0x3000);
	sample_kernel(&sample, 0xffffffff81000000ULL);
}

static void code_reset(void)
{
	code_make(&code, CODE_PYTHON, 0x1000, "name", "/file.py", 7);
}

static void test_sample(void **state)
{
	sample_reset();
	sample_wait(&sample, STATE_SOCKET_READ, 77);
	sample.record.flags = SAMPLE_F_TRUNCATED | SAMPLE_F_GIL_HELD | SAMPLE_F_KERNEL_CUT;
	sample.record.error = STACK_BAD_FRAME;
	sample.record.peer = (struct rec_peer){
		.family = REC_FAMILY_INET, .port = 5432, .address = {10, 0, 0, 5}};
	assert_int_equal(decode_sample_now(), 0);
	assert_int_equal(event.kind, EVENT_IS_SAMPLE);
	assert_int_equal(event.pid, MAKE_PID);
	assert_int_equal(event.sample.id, 9);
	assert_int_equal(event.sample.weight_ns, 77);
	assert_true(event.sample.is_wait);
	assert_int_equal(event.sample.state, REQUEST_SOCKET_READ);
	assert_true(event.sample.truncated && event.sample.kernel_cut);
	assert_false(event.sample.native_cut);
	assert_string_equal(event.sample.missing,
			    "[frames missing: no frame where one should have been]");
	assert_string_equal(event.sample.peer, "10.0.0.5:5432");
	assert_int_equal(event.sample.python, 2);
	assert_int_equal(event.sample.native, 1);
	assert_int_equal(event.sample.kernel, 1);
	assert_int_equal(event.sample.frames[0].code, 0x1000);
	assert_int_equal(event.sample.frames[0].fingerprint, 0x1000);
	assert_int_equal(event.sample.frames[0].offset, 12);
	assert_int_equal(event.sample.frames[1].offset, -1);
	assert_int_equal(event.sample.frames[3].code, 0xffffffff81000000ULL);
}

static void test_sample_of_cpu(void **state)
{
	sample_make(&sample, 0);
	assert_int_equal(decode_sample_now(), 0);
	assert_false(event.sample.is_wait || event.sample.truncated);
	assert_null(event.sample.missing);
	assert_string_equal(event.sample.peer, "");
	assert_int_equal(event.sample.python, 0);
}

static void test_sample_of_all_frames(void **state)
{
	sample_make(&sample, 1);
	for (int i = 0; i < STACK_PYTHON_MAX; i++)
		sample_frame(&sample, (__u64)i, i);
	for (int i = 0; i < STACK_NATIVE_MAX; i++)
		sample_native(&sample, (__u64)i);
	for (int i = 0; i < STACK_KERNEL_MAX; i++)
		sample_kernel(&sample, (__u64)i);
	assert_int_equal(decode_sample_now(), 0);
	assert_int_equal(event.sample.frames[STACK_PYTHON_MAX - 1].offset, STACK_PYTHON_MAX - 1);
	assert_int_equal(event.sample.frames[EVENT_FRAMES_MAX - 1].code, STACK_KERNEL_MAX - 1);
}

/* Each breaks a sound sample. */
static void sample_short(void)
{
	sample.record.h.size -= sizeof(struct rec_frame);
}

static void sample_long(void)
{
	sample.record.h.size += 8;
}

static void sample_headless(void)
{
	sample.record.h.size = sizeof(sample.record) - 1;
}

static void sample_python(void)
{
	sample.record.python = 0xffff;
}

static void sample_too_many(void)
{
	sample.record.python = 0;
	sample.record.native = 4;
	sample.record.kernel = STACK_KERNEL_MAX + 1;
}

static void sample_what(void)
{
	sample.record.what = 0;
}

static void sample_state(void)
{
	sample.record.state = STATE_COUNT;
}

static void sample_error(void)
{
	sample.record.error = STACK_ERRORS;
}

static void sample_peer(void)
{
	sample.record.peer.family = 77;
}

static void test_broken_samples(void **state)
{
	static void (*const breaks[])(void) = {
		sample_short, sample_long,  sample_headless, sample_python, sample_too_many,
		sample_what,  sample_state, sample_error,    sample_peer,
	};

	for (size_t i = 0; i < COUNT_OF(breaks); i++) {
		sample_reset();
		assert_int_equal(decode_sample_now(), 0);
		breaks[i]();
		if (decode_sample_now() != -EBADMSG)
			fail_msg("break %zu was not seen", i);
	}
}

static void test_code(void **state)
{
	code_reset();
	assert_int_equal(decode_code_now(), 0);
	assert_int_equal(event.kind, EVENT_IS_CODE);
	assert_int_equal(event.code.kind, CODE_IS_PYTHON);
	assert_int_equal(event.code.code, 0x1000);
	assert_int_equal(event.code.fingerprint, 0x1000);
	assert_int_equal(event.code.first_line, 7);
	assert_null(event.code.failed);
	assert_int_equal(event.code.name.bytes, 4);
	assert_memory_equal(event.code.name.ptr, "name", 4);
	assert_int_equal(event.code.file.bytes, 8);
	assert_memory_equal(event.code.file.ptr, "/file.py", 8);
	assert_int_equal(event.code.line_count, 10);
	assert_int_equal(event.code.lines[9].offset, 90);
	assert_int_equal(event.code.lines[9].line, 16);
	/* Not filled up to 8 bytes, and without texts. */
	code.record.h.size = sizeof(code.record) + 10 * sizeof(struct rec_line) + 12;
	assert_int_equal(decode_code_now(), 0);
	code_make_raw(&code, CODE_KERNEL, 5, "", 0, "", 0, NULL, 0);
	code.record.failed = CODE_UNKNOWN;
	assert_int_equal(decode_code_now(), 0);
	assert_int_equal(event.code.kind, CODE_IS_KERNEL);
	assert_string_equal(event.code.failed, "[no name: no symbol]");
	assert_int_equal(event.code.name.bytes + event.code.file.bytes, 0);
}

static void test_largest_code(void **state)
{
	static struct rec_line lines[REC_CODE_LINES_MAX];
	static char text[REC_CODE_FILE_MAX];

	memset(text, 'x', sizeof(text));
	code_make_raw(&code, CODE_PYTHON, 1, text, REC_CODE_NAME_MAX, text, REC_CODE_FILE_MAX,
		      lines, REC_CODE_LINES_MAX);
	assert_int_equal(decode_code_now(), 0);
	assert_int_equal(event.code.line_count, REC_CODE_LINES_MAX);
	assert_int_equal(event.code.file.ptr[REC_CODE_FILE_MAX - 1], 'x');
}

/* Each breaks a sound code object. */
static void code_short(void)
{
	code.record.h.size -= 8;
}

static void code_long(void)
{
	code.record.h.size += 8;
}

static void code_headless(void)
{
	code.record.h.size = sizeof(code.record) - 1;
}

static void code_kind(void)
{
	code.record.kind = CODE_KERNEL + 1;
}

static void code_no_kind(void)
{
	code.record.kind = 0;
}

static void code_failed(void)
{
	code.record.failed = CODE_FAILURES;
}

static void code_name(void)
{
	code.record.name_bytes = REC_CODE_NAME_MAX + 1;
}

static void code_file(void)
{
	code.record.file_bytes = 0xffff;
}

static void code_lines(void)
{
	code.record.lines = 0xffff;
}

static void code_backwards(void)
{
	struct rec_line line = {1000, 7};

	memcpy(code.rest, &line, sizeof(line));
}

static void test_broken_codes(void **state)
{
	static void (*const breaks[])(void) = {
		code_short,  code_long, code_headless, code_kind,  code_no_kind,
		code_failed, code_name, code_file,     code_lines, code_backwards,
	};

	for (size_t i = 0; i < COUNT_OF(breaks); i++) {
		code_reset();
		assert_int_equal(decode_code_now(), 0);
		breaks[i]();
		if (decode_code_now() != -EBADMSG)
			fail_msg("break %zu was not seen", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_sample_of_cpu),
		cmocka_unit_test(test_sample_of_all_frames),
		cmocka_unit_test(test_broken_samples),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_largest_code),
		cmocka_unit_test(test_broken_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
