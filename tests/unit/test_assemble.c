/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules by which an event becomes a request: how it ended, what is unseen, what is noted, and
 * what of a lying worker's words is believed.
 */
#include <errno.h>

#include "assemble.h"
#include "decode.h"
#include "unit.h"

#define START  UINT64_C(1000000000)
#define MS     UINT64_C(1000000)
#define OFFSET INT64_C(1795318324000000000)

static struct event event;
static struct request request;
static struct assembler *assembler;

static int setup(void **state)
{
	return assembler_new(OFFSET, &assembler);
}

static int teardown(void **state)
{
	assembler_free(assembler);
	return 0;
}

static struct event_text text_of(const char *text)
{
	return (struct event_text){.text = {text, strlen(text)}};
}

/* A sound request of 10 ms. */
static struct event_request *good(void)
{
	memset(&event, 0, sizeof(event));
	event.pid = 7;
	event.tid = 8;
	event.time_ns = START + 11 * MS;
	event.request = (struct event_request){
		.id = 1,
		.start_ns = START,
		.end_ns = START + 10 * MS,
		.output_ns = MS,
		.blocks = 2,
		.bytes = 30,
		.status = 200,
		.exhausted = true,
		.closed = true,
		.writes = {.calls = 3,
			   .bytes = 99,
			   .time_ns = 500,
			   .first_ns = START + 2 * MS,
			   .status = 200,
			   .family = FAMILY_INET},
		.method = text_of("GET"),
		.script = text_of("/app"),
		.path = text_of("/issue/42"),
	};
	return &event.request;
}

static void assemble(void)
{
	memset(&request, 0x5a, sizeof(request));
	assembler_request(assembler, &event, &request);
}

static void check_text(struct request_text text, const char *expected)
{
	assert_non_null(text.ptr);
	assert_int_equal(text.bytes, strlen(expected));
	assert_memory_equal(text.ptr, expected, text.bytes);
}

static void test_sound(void **state)
{
	good();
	assemble();
	assert_int_equal(request.pid, 7);
	assert_int_equal(request.tid, 8);
	assert_int_equal(request.mode, REQUEST_MARKER);
	assert_int_equal(request.outcome, OUTCOME_OK);
	assert_int_equal(request.notes, 0);
	assert_true(request.time_ns == OFFSET + (int64_t)START);
	check_text(request.method, "GET");
	check_text(request.path, "/app/issue/42");
	check_text(request.path_group, "/app/issue/{n}");
	assert_null(request.route.ptr);
	assert_null(request.exception.ptr);
	assert_null(request.server);
	assert_int_equal(request.status, 200);
	assert_int_equal(request.wire_status, 200);
	assert_int_equal(request.application_ns, 10 * MS);
	assert_int_equal(request.output_ns, MS);
	assert_int_equal(request.blocks, 2);
	assert_int_equal(request.bytes, 30);
	assert_int_equal(request.write_calls, 3);
	assert_int_equal(request.write_bytes, 99);
	assert_int_equal(request.write_ns, 500);
	assert_int_equal(request.family, FAMILY_INET);
	assert_int_equal(request.first_byte_ns, 2 * MS);
	assert_int_equal(request.queue_ns, REQUEST_UNSEEN);
	assert_null(request.queue_source);
}

static const struct outcome_case {
	const char *what;
	bool call, iter, close, exhausted, closed, unclosed, no_end, conn_unknown, write_short;
	bool file_wrapper, blocks_unseen;
	int error;
	unsigned int status;
	const char *method, *exception;
	enum request_outcome outcome;
} outcome_cases[] = {
	{"call raised", .call = true, .exception = "ValueError", .outcome = OUTCOME_EXCEPTION},
	{"iteration raised", .iter = true, .closed = true, .exception = "ValueError",
	 .outcome = OUTCOME_EXCEPTION},
	{"close() raised", .close = true, .exhausted = true, .closed = true,
	 .exception = "ValueError", .outcome = OUTCOME_EXCEPTION},
	{"raised, name not known", .iter = true, .outcome = OUTCOME_EXCEPTION},
	{"closed early", .closed = true, .outcome = OUTCOME_DISCONNECT},
	{"closed early, HEAD", .closed = true, .method = "HEAD", .outcome = OUTCOME_OK},
	{"closed early, 204", .closed = true, .status = 204, .outcome = OUTCOME_OK},
	{"closed early, 304", .closed = true, .status = 304, .outcome = OUTCOME_OK},
	{"file wrapper", .closed = true, .file_wrapper = true, .outcome = OUTCOME_OK},
	{"blocks unseen", .closed = true, .blocks_unseen = true, .outcome = OUTCOME_OK},
	{"EPIPE", .exhausted = true, .closed = true, .error = EPIPE, .outcome = OUTCOME_DISCONNECT},
	{"ECONNRESET", .exhausted = true, .error = ECONNRESET, .outcome = OUTCOME_DISCONNECT},
	{"ENOTCONN", .exhausted = true, .error = ENOTCONN, .outcome = OUTCOME_DISCONNECT},
	{"ETIMEDOUT", .exhausted = true, .error = ETIMEDOUT, .outcome = OUTCOME_DISCONNECT},
	{"another error", .exhausted = true, .error = ENOBUFS, .outcome = OUTCOME_OK},
	{"EPIPE of who knows", .exhausted = true, .error = EPIPE, .conn_unknown = true,
	 .outcome = OUTCOME_OK},
	{"write error handed on (uWSGI)", .iter = true, .closed = true, .error = EPIPE,
	 .exception = "OSError", .outcome = OUTCOME_DISCONNECT},
	{"write error out of write()", .call = true, .error = ECONNRESET,
	 .exception = "ConnectionResetError", .outcome = OUTCOME_DISCONNECT},
	{"with its module", .iter = true, .error = EPIPE,
	 .exception = "waitress.channel.ClientDisconnected", .outcome = OUTCOME_DISCONNECT},
	{"OSError of the application's own", .iter = true, .exception = "OSError",
	 .outcome = OUTCOME_EXCEPTION},
	{"an error of the application as the client went", .iter = true, .error = EPIPE,
	 .exception = "KeyError", .outcome = OUTCOME_EXCEPTION},
	{"close() raised as the client went", .close = true, .closed = true, .error = EPIPE,
	 .exception = "OSError", .outcome = OUTCOME_EXCEPTION},
	{"never closed", .unclosed = true, .outcome = OUTCOME_UNCLOSED},
	{"dropped in the middle of a write", .unclosed = true, .write_short = true,
	 .outcome = OUTCOME_DISCONNECT},
	{"worker died", .no_end = true, .outcome = OUTCOME_UNCLOSED},
	{"exhausted, no close() to call", .exhausted = true, .outcome = OUTCOME_OK},
};

static void test_outcomes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(outcome_cases); i++) {
		const struct outcome_case *outcome = &outcome_cases[i];
		struct event_request *from = good();

		from->raised_call = outcome->call;
		from->raised_iter = outcome->iter;
		from->raised_close = outcome->close;
		from->exhausted = outcome->exhausted;
		from->closed = outcome->closed;
		from->unclosed = outcome->unclosed;
		from->write_short = outcome->write_short;
		from->no_end = outcome->no_end;
		from->conn_unknown = outcome->conn_unknown;
		from->is_file_wrapper = outcome->file_wrapper;
		from->blocks_unseen = outcome->blocks_unseen;
		from->writes.error = outcome->error;
		from->status = outcome->status ? outcome->status : 200;
		from->method = text_of(outcome->method ? outcome->method : "GET");
		if (outcome->exception)
			from->exception = text_of(outcome->exception);
		assemble();
		if (request.outcome != outcome->outcome)
			fail_msg("%s: outcome %d, not %d", outcome->what, request.outcome,
				 outcome->outcome);
		if (outcome->exception)
			check_text(request.exception, outcome->exception);
		else
			assert_null(request.exception.ptr);
	}
}

static void test_exception_without_raising(void **state)
{
	good()->exception = text_of("Forged");
	assemble();
	assert_int_equal(request.outcome, OUTCOME_OK);
	assert_null(request.exception.ptr);
}

static void test_output_unseen(void **state)
{
	struct event_request *from = good();

	from->blocks_unseen = true;
	assemble();
	assert_true(request.blocks == REQUEST_UNSEEN && request.bytes == REQUEST_UNSEEN &&
		    request.output_ns == REQUEST_UNSEEN);
	from = good();
	from->is_bytes = true;
	assemble();
	assert_true(request.blocks == 1 && request.bytes == 30 &&
		    request.output_ns == REQUEST_UNSEEN);
	assert_true(request.notes & NOTE_RETURNED_BYTES);
	from = good();
	from->is_str = true;
	assemble();
	assert_true(request.blocks == 1 && request.output_ns == REQUEST_UNSEEN);
	assert_true(request.notes & NOTE_RETURNED_STR);
	from = good();
	from->no_end = true;
	from->end_ns = 0;
	assemble();
	assert_true(request.blocks == REQUEST_UNSEEN && request.bytes == REQUEST_UNSEEN &&
		    request.output_ns == REQUEST_UNSEEN &&
		    request.application_ns == REQUEST_UNSEEN);
	assert_int_equal(request.first_byte_ns, 2 * MS);
}

static void test_writes(void **state)
{
	struct event_request *from = good();

	from->conn_unknown = true;
	assemble();
	assert_true(request.write_calls == REQUEST_UNSEEN &&
		    request.write_bytes == REQUEST_UNSEEN && request.write_ns == REQUEST_UNSEEN &&
		    request.first_byte_ns == REQUEST_UNSEEN &&
		    request.wire_status == REQUEST_UNSEEN && request.family == FAMILY_UNSEEN);
	assert_true(request.notes & NOTE_WRITES_UNSEEN);
	from = good();
	from->writes = (struct event_writes){0}; /* known, and nothing was written */
	assemble();
	assert_true(request.write_calls == 0 && request.write_bytes == 0 && request.write_ns == 0);
	assert_true(request.wire_status == REQUEST_UNSEEN &&
		    request.first_byte_ns == REQUEST_UNSEEN && request.family == FAMILY_UNSEEN);
	assert_false(request.notes & NOTE_WRITES_UNSEEN);
}

static void test_status(void **state)
{
	static const struct {
		unsigned int given;
		int64_t shown, shown_on_wire;
	} cases[] = {
		{0, REQUEST_UNSEEN, REQUEST_UNSEEN},
		{99, REQUEST_UNSEEN, REQUEST_UNSEEN},
		{100, 100, 100},
		{599, 599, 599},
		{600, 600, REQUEST_UNSEEN},
		{999, 999, REQUEST_UNSEEN},
		{1000, REQUEST_UNSEEN, REQUEST_UNSEEN},
		{UINT32_MAX, REQUEST_UNSEEN, REQUEST_UNSEEN},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct event_request *from = good();

		from->status = from->writes.status = cases[i].given;
		assemble();
		assert_int_equal(request.status, cases[i].shown);
		assert_int_equal(request.wire_status, cases[i].shown_on_wire);
	}
}

static void test_lying_times(void **state)
{
	struct event_request *from = good();

	from->end_ns = from->start_ns - 1;
	assemble();
	assert_true(request.application_ns == REQUEST_UNSEEN &&
		    request.output_ns == REQUEST_UNSEEN);
	from = good();
	from->output_ns = 10 * MS + 1;
	assemble();
	assert_int_equal(request.output_ns, REQUEST_UNSEEN);
	from->output_ns = UINT64_MAX;
	assemble();
	assert_int_equal(request.output_ns, REQUEST_UNSEEN);
	from = good();
	from->writes.first_ns = from->start_ns - 1;
	assemble();
	assert_int_equal(request.first_byte_ns, REQUEST_UNSEEN);
	from = good();
	from->start_ns = event.time_ns + 3600 * 1000 * MS; /* an hour ahead: not this clock */
	from->end_ns = from->start_ns + 1;
	assemble();
	assert_int_equal(request.application_ns, REQUEST_UNSEEN);
	assert_true(request.time_ns == OFFSET + (int64_t)event.time_ns);
	from = good();
	from->start_ns = 0;
	assemble();
	assert_true(request.application_ns == REQUEST_UNSEEN &&
		    request.first_byte_ns == REQUEST_UNSEEN);
	from = good();
	from->end_ns = UINT64_MAX;
	assemble();
	assert_int_equal(request.application_ns, REQUEST_UNSEEN);
}

static void test_lying_counts(void **state)
{
	static const uint64_t values[] = {(UINT64_C(1) << 53) + 1, UINT64_C(1) << 63, UINT64_MAX};

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct event_request *from = good();

		from->blocks = from->bytes = values[i];
		from->writes.calls = from->writes.bytes = from->writes.time_ns = values[i];
		assemble();
		assert_true(request.blocks == REQUEST_UNSEEN && request.bytes == REQUEST_UNSEEN &&
			    request.write_calls == REQUEST_UNSEEN &&
			    request.write_bytes == REQUEST_UNSEEN &&
			    request.write_ns == REQUEST_UNSEEN);
	}
}

/* No value of the clocks gives a negative time. */
static void test_extreme_clocks(void **state)
{
	static const uint64_t times[] = {0, 1, START, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
	static const int64_t offsets[] = {INT64_MIN, -1, 0, OFFSET, INT64_MAX};

	for (size_t o = 0; o < COUNT_OF(offsets); o++) {
		struct assembler *other;

		assert_int_equal(assembler_new(offsets[o], &other), 0);
		for (size_t i = 0; i < COUNT_OF(times) * COUNT_OF(times); i++) {
			struct event_request *from = good();

			from->start_ns = from->end_ns = times[i % COUNT_OF(times)];
			event.time_ns = times[i / COUNT_OF(times)];
			from->queue = text_of("t=1795318324.266");
			assembler_request(other, &event, &request);
			assert_true(request.time_ns >= 0);
			assert_true(request.application_ns >= -1 && request.queue_ns >= -1);
		}
		assembler_free(other);
	}
}

static void test_queue(void **state)
{
	struct event_request *from = good();

	from->queue = text_of("t=1795318324.500"); /* the request starts at …325.0 */
	assemble();
	assert_int_equal(request.queue_ns, 500 * MS);
	assert_string_equal(request.queue_source, "x-request-start");
	from->queue.cut = true;
	assemble();
	assert_int_equal(request.queue_ns, REQUEST_UNSEEN);
	from = good();
	from->queue = text_of("t=1795318324.500");
	from->start_ns = 0; /* without a start there is nothing to count to */
	assemble();
	assert_int_equal(request.queue_ns, REQUEST_UNSEEN);
	assert_null(request.queue_source);
}

static void test_paths(void **state)
{
	struct event_request *from = good();

	from->script = (struct event_text){0};
	assemble();
	check_text(request.path, "/issue/42");
	from->path = (struct event_text){.failed = true};
	assemble();
	assert_null(request.path.ptr);
	assert_null(request.path_group.ptr);
	assert_true(request.notes & NOTE_TEXT_UNREADABLE);
	from = good();
	from->route = text_of("/issue/<int:id>");
	assemble();
	check_text(request.route, "/issue/<int:id>");
	assert_null(request.path_group.ptr);
}

static void test_notes(void **state)
{
	struct event_request *from = good();

	from->used_write = from->end_inferred = from->nested = from->no_start = true;
	from->writes_cut = from->is_file_wrapper = true;
	from->app.cut = true;
	assemble();
	assert_int_equal(request.notes, NOTE_WRITE_CALLABLE | NOTE_END_INFERRED | NOTE_NESTED |
						NOTE_NO_START | NOTE_WRITES_CUT |
						NOTE_FILE_WRAPPER | NOTE_TEXT_CUT);
	from = good();
	from->exhausted = false;
	assemble();
	assert_int_equal(request.notes, NOTE_CLOSED_EARLY);
	from->raised_iter = true; /* then it is the exception that ended it */
	assemble();
	assert_int_equal(request.notes, 0);
	from = good();
	from->text_unread = true;
	assemble();
	assert_int_equal(request.notes, NOTE_TEXT_UNREADABLE);
	from = good();
	from->id_reused = true;
	assemble();
	assert_int_equal(request.notes, NOTE_ID_REUSED);
}

static void test_block(void **state)
{
	struct event from = {.kind = EVENT_IS_BLOCK, .pid = 1, .tid = 2, .time_ns = START};
	struct request_block block;

	from.block = (struct event_block){3, 4, 5, 6, UINT64_MAX};
	assembler_block(assembler, &from, &block);
	assert_true(block.pid == 1 && block.tid == 2 && block.id == 3 && block.index == 4 &&
		    block.bytes == 5 && block.app_ns == 6);
	assert_true(block.output_ns == UINT64_C(1) << 53);
	assert_true(block.time_ns == OFFSET + (int64_t)START);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sound),
		TEST(test_outcomes),
		TEST(test_exception_without_raising),
		TEST(test_output_unseen),
		TEST(test_writes),
		TEST(test_status),
		TEST(test_lying_times),
		TEST(test_lying_counts),
		TEST(test_extreme_clocks),
		TEST(test_queue),
		TEST(test_paths),
		TEST(test_notes),
		TEST(test_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
