/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From turns of connections to requests: each rule by which turns are joined and split.
 */
#include "turn_make.h"

static void test_one(void **state)
{
	begin();
	reads_text(GET("/a"));
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/a", 200, strlen(GET("/a")), strlen(OK_ANSWER));
	assert_int_equal(made[0].request.start_ns, 1001 * MS);
	assert_int_equal(made[0].request.end_ns, 1002 * MS);
	assert_int_equal(made[0].request.writes.calls, 1);
	assert_true(made[0].request.states.seen && !made[0].request.states.mixed);
	check_lost(WIRE_LOSSES, 0);
}

static void test_keep_alive(void **state)
{
	for (int i = 0; i < 3; i++) {
		begin();
		reads_text(GET("/a"));
		writes_text(OK_HEAD);
		writes_text("12345");
		end();
		assert_int_equal(made_count, i + 1);
		check((unsigned int)i, "GET", "/a", 200, strlen(GET("/a")), strlen(OK_ANSWER));
		assert_int_equal(made[i].request.writes.calls, 2);
	}
	check_lost(WIRE_LOSSES, 0);
}

/* A head that comes a byte at a time is one request, whichever byte the server reads first. */
static void test_split_head(void **state)
{
	const char *text = GET("/a");

	begin();
	for (size_t i = 0; i < strlen(text); i++)
		reads(text + i, 1);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/a", 200, strlen(text), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

static void test_body(void **state)
{
	const char *head = "POST /p HTTP/1.1\r\nContent-Length: 20000\r\n\r\n";
	static char body[20000];

	begin();
	reads_text(head);
	reads(body, 8000);
	reads(body, 12000);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "POST", "/p", 200, strlen(head) + 20000, strlen(OK_ANSWER));
	begin();
	reads_text(GET("/next"));
	writes_text(OK_ANSWER);
	end();
	check(1, "GET", "/next", 200, strlen(GET("/next")), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* An answer that begins before the body has been read: turns of reads that are the body. */
static void test_body_while_answering(void **state)
{
	const char *head = "POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n";

	begin();
	reads_text(head);
	writes_text(OK_HEAD);
	end();
	assert_int_equal(made_count, 0);
	begin();
	reads_text("0123456789");
	writes_text("12345");
	end();
	assert_int_equal(made_count, 1);
	check(0, "POST", "/p", 200, strlen(head) + 10, strlen(OK_ANSWER));
	assert_int_equal(made[0].request.writes.calls, 2);
	assert_true(made[0].request.states.mixed); /* what was between is not known */
	check_lost(WIRE_LOSSES, 0);
}

/* A body that nobody wanted, read after the answer: not a request, even if it looks like one. */
static void test_body_after_answer(void **state)
{
	const char *head = "POST /p HTTP/1.1\r\nContent-Length: 35\r\n\r\n";
	char bytes[128];

	begin();
	reads_text(head);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 0); /* its bytes are not all there */
	snprintf(bytes, sizeof(bytes), "%-35s%s", GET("/body"), GET("/next"));
	begin();
	reads_text(bytes);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 2);
	check(0, "POST", "/p", 200, strlen(head) + 35, strlen(OK_ANSWER));
	check(1, "GET", "/next", 200, strlen(GET("/next")), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

static void test_chunked_request(void **state)
{
	const char *head = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	const char *body = "5\r\nGET /\r\n0\r\n\r\n";

	begin();
	reads_text(head);
	reads_text(body);
	reads_text(GET("/next"));
	writes_text(OK_ANSWER);
	end();
	begin();
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 2);
	check(0, "POST", "/p", 200, strlen(head) + strlen(body), strlen(OK_ANSWER));
	check(1, "GET", "/next", 200, strlen(GET("/next")), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

static void test_continue(void **state)
{
	const char *head = "POST /p HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
	const char *interim = "HTTP/1.1 100 Continue\r\n\r\n";

	begin();
	reads_text(head);
	writes_text(interim);
	reads_text("01234");
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "POST", "/p", 200, strlen(head) + 5, strlen(interim) + strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* Three in one read: the answers are turns of their own, from the end of the one before. */
static void test_pipelined(void **state)
{
	uint64_t end_ns;

	begin();
	reads_text(GET("/1") GET("/2") GET("/3"));
	writes_text(OK_ANSWER);
	end_ns = now_ns;
	end();
	assert_int_equal(made_count, 1);
	for (unsigned int i = 1; i < 3; i++) {
		now_ns += 50 * MS;
		begin();
		writes_text(OK_HEAD);
		writes_text("12345");
		record()->reads.states_ns = end_ns;
		give(EVENT_IS_REQUEST);
		assert_int_equal(made_count, i + 1);
		assert_int_equal(made[i].request.start_ns, end_ns);
		assert_true(made[i].request.turn.pipelined);
		assert_false(made[i].request.states.mixed);
		end_ns = now_ns;
	}
	check(0, "GET", "/1", 200, strlen(GET("/1")), strlen(OK_ANSWER));
	check(1, "GET", "/2", 200, strlen(GET("/2")), strlen(OK_ANSWER));
	check(2, "GET", "/3", 200, strlen(GET("/3")), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* The second one's head ends in the next read, which comes after the first one's answer. */
static void test_pipelined_split(void **state)
{
	begin();
	reads_text(GET("/1") "GET /2 HT");
	writes_text(OK_ANSWER);
	end();
	check(0, "GET", "/1", 200, strlen(GET("/1")), strlen(OK_ANSWER));
	begin();
	reads_text("TP/1.1\r\n\r\n");
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 2);
	check(1, "GET", "/2", 200, strlen("GET /2 HTTP/1.1\r\n\r\n"), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* Answers that went out in one write. */
static void test_answers_together(void **state)
{
	begin();
	reads_text(GET("/1") GET("/2"));
	writes_text(OK_ANSWER OK_ANSWER);
	end();
	assert_int_equal(made_count, 2);
	check(0, "GET", "/1", 200, strlen(GET("/1")), strlen(OK_ANSWER));
	check(1, "GET", "/2", 200, strlen(GET("/2")), strlen(OK_ANSWER));
	assert_int_equal(made[0].request.writes.calls, 1);
	assert_int_equal(made[1].request.writes.calls, EVENT_UNSEEN);
	assert_int_equal(made[1].request.end_ns, 0); /* when it began is not known */
	check_lost(WIRE_LOSSES, 0);
}

/* A body that looks like an answer: the kernel side cuts there, and it is one request. */
static void test_body_like_answer(void **state)
{
	const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n";

	assert_int_equal(strlen(OK_ANSWER), 43);
	begin();
	reads_text(GET("/1") GET("/2"));
	writes_text(head);
	end();
	begin();
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/1", 200, strlen(GET("/1")), strlen(head) + 43);
	begin();
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 2);
	check(1, "GET", "/2", 200, strlen(GET("/2")), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* An answer with pauses: its turns are taken in between, its states go on from the start. */
static void test_answer_in_turns(void **state)
{
	uint64_t start_ns;

	begin();
	reads_text(GET("/stream"));
	start_ns = now_ns;
	writes_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	writes_text("3\r\nabc\r\n");
	end();
	for (int i = 0; i < 3; i++) {
		now_ns += 400 * MS;
		begin();
		writes_text("3\r\nabc\r\n");
		record()->reads.states_ns = start_ns;
		give(EVENT_IS_REQUEST);
		assert_int_equal(made_count, 0);
	}
	begin();
	writes_text("0\r\n\r\n");
	record()->reads.states_ns = start_ns;
	give(EVENT_IS_REQUEST);
	assert_int_equal(made_count, 1);
	check(0, "GET", "/stream", 200, strlen(GET("/stream")), 47 + 4 * 8 + 5);
	assert_int_equal(made[0].request.writes.calls, 6);
	assert_int_equal(made[0].request.end_ns, now_ns);
	assert_true(made[0].request.states.seen && !made[0].request.states.mixed);
	check_lost(WIRE_LOSSES, 0);
}

/* More than is copied: the end is seen by its last chunk, written alone; else by what follows. */
static void test_chunks_unseen(void **state)
{
	static char bytes[100000];

	memset(bytes, 'x', sizeof(bytes));
	begin();
	reads_text(GET("/1"));
	writes_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	writes(bytes, sizeof(bytes));
	writes_text("0\r\n\r\n");
	record()->turn.last_chunk = true;
	give(EVENT_IS_REQUEST);
	assert_int_equal(made_count, 1);
	begin();
	reads_text(GET("/2"));
	writes_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	writes(bytes, sizeof(bytes));
	end();
	assert_int_equal(made_count, 1);
	begin();
	reads_text(GET("/3"));
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 3);
	check(1, "GET", "/2", 200, strlen(GET("/2")), 47 + sizeof(bytes));
	check(2, "GET", "/3", 200, strlen(GET("/3")), strlen(OK_ANSWER));
	assert_false(made[1].request.turn.truncated);
	check_lost(WIRE_LOSSES, 0);
}

/* sendfile: the kernel side has no bytes of it. */
static void test_sendfile(void **state)
{
	begin();
	reads_text(GET("/file"));
	writes_text("HTTP/1.1 200 OK\r\nContent-Length: 2500000\r\n\r\n");
	now_ns += MS;
	turn.out += 2500000;
	turn.calls++;
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/file", 200, strlen(GET("/file")), 44 + 2500000);
	check_lost(WIRE_LOSSES, 0);
}

static void test_until_close(void **state)
{
	begin();
	reads_text("GET /old HTTP/1.0\r\n\r\n");
	writes_text("HTTP/1.0 200 OK\r\n\r\nanything");
	end();
	assert_int_equal(made_count, 0);
	closed();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/old", 200, 21, 27);
	assert_false(made[0].request.turn.truncated);
	check_lost(WIRE_LOSSES, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one),
		TEST(test_keep_alive),
		TEST(test_split_head),
		TEST(test_body),
		TEST(test_body_while_answering),
		TEST(test_body_after_answer),
		TEST(test_chunked_request),
		TEST(test_continue),
		TEST(test_pipelined),
		TEST(test_pipelined_split),
		TEST(test_answers_together),
		TEST(test_body_like_answer),
		TEST(test_answer_in_turns),
		TEST(test_chunks_unseen),
		TEST(test_sendfile),
		TEST(test_until_close),
	};

	return run_twice(tests, sizeof(tests) / sizeof(tests[0]));
}
