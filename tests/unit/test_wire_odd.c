/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What connections show beside whole requests: answers that break off, heads that are too long,
 * what is no HTTP, bytes that are missing, bounds.
 */
#include "turn_make.h"

static void test_truncated(void **state)
{
	begin();
	reads_text(GET("/cut"));
	writes_text("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nonly so much");
	end_closed();
	assert_int_equal(made_count, 1);
	assert_true(made[0].request.turn.truncated);
	check_lost(WIRE_LOSSES, 0);
}

static void test_unanswered(void **state)
{
	begin();
	reads_text(GET("/boom"));
	end_closed();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/boom", 0, strlen(GET("/boom")), 0);
	assert_true(made[0].request.no_end);
	assert_int_equal(made[0].request.end_ns, 0);
	check_lost(WIRE_LOSSES, 0);
}

/* The answer to HEAD has no body, but many servers send one: it is nobody else's. */
static void test_head(void **state)
{
	begin();
	reads_text("HEAD /h HTTP/1.1\r\n\r\n");
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "HEAD", "/h", 200, 20, strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

static void test_bodiless(void **state)
{
	begin();
	reads_text(GET("/n"));
	writes_text("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n");
	end();
	assert_int_equal(made_count, 1);
	check_lost(WIRE_LOSSES, 0);
}

/* A head that is longer than what is copied: method and path are known, where it ends is not. */
static void test_long_head(void **state)
{
	static char head[1 << 20];

	memset(head, 'x', sizeof(head));
	memcpy(head, "GET /long HTTP/1.1\r\nX: ", 23);
	memcpy(head + sizeof(head) - 4, "\r\n\r\n", 4);
	begin();
	for (size_t at = 0; at < sizeof(head); at += 8192)
		reads(head + at, 8192);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/long", 200, sizeof(head), strlen(OK_ANSWER));
	begin();
	reads_text(GET("/next"));
	writes_text(OK_ANSWER);
	end();
	check(1, "GET", "/next", 200, strlen(GET("/next")), strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* What the server answers without having heard it out. */
static void test_impatient(void **state)
{
	begin();
	reads_text("GET /slow HTTP/1.1\r\nHost:");
	writes_text("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
	end_closed();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/slow", 408, 25, 51);
	check_lost(WIRE_LOSSES, 0);
}

static void test_partial(void **state)
{
	begin();
	reads_text("GET /half HTTP/1.1\r\nHost:");
	end_closed();
	assert_int_equal(made_count, 0);
	check_lost(WIRE_LOSS_PARTIAL, 1);
}

/* Open before the trace: the rest of a body and of an answer are nobody's, the next one is seen. */
static void test_open_before(void **state)
{
	begin();
	writes_text("the rest of an answer");
	end();
	check_lost(WIRE_LOSS_STRAY, 1);
	begin();
	reads_text(GET("/seen"));
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check_lost(WIRE_LOSS_STRAY, 1);
}

static void test_foreign(void **state)
{
	const char bytes[] = "\x00\x01\x02nonsense\xff\xfe";

	begin();
	reads(bytes, sizeof(bytes));
	writes_text("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	end();
	assert_int_equal(made_count, 0);
	assert_int_equal(wire_lost(wire, WIRE_LOSS_FOREIGN), 1);
}

static void test_tls(void **state)
{
	const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

	for (int i = 0; i < 3; i++) {
		begin();
		reads(hello, sizeof(hello) - 1);
		writes("\x16\x03\x03\x00\x7a", 5);
		end();
	}
	assert_int_equal(made_count, 0);
	check_lost(WIRE_LOSS_TLS, 1);
	closed();
	begin();
	reads_text(GET("/plain")); /* the same number, another connection */
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
}

static void test_http2(void **state)
{
	begin();
	reads_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	writes("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 9);
	end();
	assert_int_equal(made_count, 0);
	check_lost(WIRE_LOSS_HTTP2, 1);
}

static void test_upgraded(void **state)
{
	begin();
	reads_text("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	writes_text("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
		    "Upgrade: websocket\r\n\r\n");
	end();
	assert_int_equal(made_count, 1);
	assert_int_equal(made[0].request.writes.status, 101);
	begin();
	reads_text(GET("/inside")); /* bytes of a tunnel */
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check_lost(WIRE_LOSS_UPGRADED, 1);
}

/* The marker tells of a request that the wire had begun to see. */
static void test_marked(void **state)
{
	begin();
	reads_text(GET("/marked"));
	record()->turn.is_turn = false;
	give(EVENT_IS_REQUEST);
	assert_int_equal(made_count, 0);
	begin();
	reads_text(GET("/wire"));
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/wire", 200, strlen(GET("/wire")), strlen(OK_ANSWER));
}

/* Bytes that did not come, as where the ring was full: no head is made of what lies apart. */
static void test_gap(void **state)
{
	begin();
	reads_text("GET /a HTTP/1.1\r\nHost: ");
	turn.in += 5;
	reads_text("\r\n\r\n");
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/a", 200, 23 + 5 + 4, strlen(OK_ANSWER));
	check_lost(WIRE_LOSSES, 0);
}

/* A turn whose record was lost leaves nothing to the next one. */
static void test_record_lost(void **state)
{
	begin();
	reads_text("POST /lost HTTP/1.1\r\n");
	begin();
	reads_text(GET("/b"));
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	check(0, "GET", "/b", 200, strlen(GET("/b")), strlen(OK_ANSWER));
}

static void test_process_gone(void **state)
{
	begin();
	reads_text(GET("/killed"));
	end();
	assert_int_equal(made_count, 0);
	memset(&event.process, 0, sizeof(event.process));
	event.process.what = PROCESS_EXITED;
	give(EVENT_IS_PROCESS);
	now_ns += 3000 * MS;
	event.process.what = PROCESS_NOTED;
	give(EVENT_IS_PROCESS);
	assert_int_equal(made_count, 1);
	assert_true(made[0].request.no_end);
}

/* An answer whose end cannot be seen is over when nothing has come for long; one that can, waits.
 */
static void test_expire(void **state)
{
	static char bytes[5000];

	begin();
	reads_text(GET("/1"));
	writes_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	writes(bytes, sizeof(bytes));
	end();
	begin_on(CONN + 1);
	reads_text(GET("/2"));
	writes_text("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	end();
	now_ns += 11000 * MS;
	memset(&event.process, 0, sizeof(event.process));
	event.process.what = PROCESS_NOTED;
	give(EVENT_IS_PROCESS);
	assert_int_equal(made_count, 1);
	assert_string_equal(made[0].path, "/1");
	assert_int_equal(wire_end(wire), 0);
	assert_int_equal(made_count, 1);
	check_lost(WIRE_LOSS_OPEN, 1);
}

/* More at once on a connection than are kept. */
static void test_too_many(void **state)
{
	begin();
	for (int i = 0; i < 300; i++)
		reads_text(GET("/1"));
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	assert_true(wire_lost(wire, WIRE_LOSS_FULL) >= 1);
}

/* Many connections: the one heard of longest ago is given up, and counted. */
static void test_many_connections(void **state)
{
	for (uint64_t i = 0; i < 20000; i++) {
		begin_on(CONN + i);
		reads_text(GET("/1"));
		end();
	}
	assert_int_equal(made_count, 0);
	assert_true(wire_lost(wire, WIRE_LOSS_FULL) >= 20000 - 16384);
}

/* What a client makes the numbers say. */
static void test_lies(void **state)
{
	begin();
	reads_text("POST /l HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nabc");
	writes_text(OK_ANSWER);
	end();
	turn.in = UINT64_MAX - 10;
	end();
	turn.out = UINT64_MAX - 10;
	end_closed();
	assert_true(made_count <= 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_truncated),
		TEST(test_unanswered),
		TEST(test_head),
		TEST(test_bodiless),
		TEST(test_long_head),
		TEST(test_impatient),
		TEST(test_partial),
		TEST(test_open_before),
		TEST(test_foreign),
		TEST(test_tls),
		TEST(test_http2),
		TEST(test_upgraded),
		TEST(test_marked),
		TEST(test_gap),
		TEST(test_record_lost),
		TEST(test_process_gone),
		TEST(test_expire),
		TEST(test_too_many),
		TEST(test_many_connections),
		TEST(test_lies),
	};

	return run_twice(tests, sizeof(tests) / sizeof(tests[0]));
}
