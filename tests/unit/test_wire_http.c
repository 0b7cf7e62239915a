// LINK: user/wire/*.c user/utf8.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads of HTTP/1.x requests and responses: what is read of them whole, in pieces and cut off.
 */
#include <stdio.h>

#include "unit.h"
#include "wire_head.h"

#define NONE (-1)

/* What a head may say beside its texts and its length. */
enum {
	KEEP = 1,
	CHUNKED = 2,
	EXPECT = 4,
	UPGRADE = 8,
	HEAD_METHOD = 16,
	DOUBT = 32,
};

static const struct request_case {
	const char *bytes;
	const char *method, *path;
	int64_t length;
	unsigned int says;
	const char *queue, *traceparent;
} requests[] = {
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", NONE, KEEP, NULL, NULL},
	{"GET /a?b HTTP/1.0\r\n\r\n", "GET", "/a", NONE, 0, NULL, NULL},
	{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", NONE, KEEP, NULL, NULL},
	{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET", "/", NONE, 0, NULL, NULL},
	{"GET / HTTP/1.1\r\nconnection: TE , CLOSE\r\n\r\n", "GET", "/", NONE, 0, NULL, NULL},
	{"\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", "GET", "/", NONE, KEEP, NULL, NULL},
	{"GET / HTTP/1.1\nHost: a\n\n", "GET", "/", NONE, KEEP, NULL, NULL},
	{"HEAD / HTTP/1.1\r\n\r\n", "HEAD", "/", NONE, KEEP | HEAD_METHOD, NULL, NULL},
	{"M-SEARCH * HTTP/1.1\r\n\r\n", "M-SEARCH", "*", NONE, KEEP, NULL, NULL},
	{"CONNECT a:443 HTTP/1.1\r\n\r\n", "CONNECT", "a:443", NONE, KEEP | UPGRADE, NULL, NULL},
	{"GET http://a/b?c HTTP/1.1\r\n\r\n", "GET", "/b", NONE, KEEP, NULL, NULL},
	{"GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade, keep-alive\r\n\r\n", "GET", "/",
	 NONE, KEEP | UPGRADE, NULL, NULL},
	{"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n", "GET", "/", NONE, KEEP, NULL, NULL},
	/* bodies */
	{"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "PUT", "/", 5, KEEP, NULL, NULL},
	{"PUT / HTTP/1.1\r\nCONTENT-LENGTH:5\r\n\r\n", "PUT", "/", 5, KEEP, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", "PUT", "/", 5, KEEP, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n", "PUT", "/", INT64_MAX,
	 KEEP, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", "PUT", "/", 5, KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "PUT", "/", 5,
	 KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", "PUT", "/", NONE, KEEP | DOUBT, NULL,
	 NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", "PUT", "/", NONE, KEEP | DOUBT, NULL,
	 NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", "PUT", "/", NONE, KEEP | DOUBT, NULL,
	 NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 5 6\r\n\r\n", "PUT", "/", NONE, KEEP | DOUBT, NULL,
	 NULL},
	{"PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", "PUT", "/", NONE, KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", "PUT", "/", NONE,
	 KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", "PUT", "/", NONE, KEEP | CHUNKED,
	 NULL, NULL},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip;q=1, chunked ;x\r\n\r\n", "PUT", "/", NONE,
	 KEEP | CHUNKED, NULL, NULL},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", "PUT",
	 "/", NONE, KEEP | CHUNKED, NULL, NULL},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "PUT", "/", NONE,
	 KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "PUT", "/", NONE,
	 KEEP | CHUNKED | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n", "PUT", "/",
	 NONE, KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "PUT", "/",
	 NONE, KEEP | CHUNKED | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "PUT", "/", NONE, CHUNKED | DOUBT,
	 NULL, NULL},
	{"PUT / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "PUT", "/", 1,
	 KEEP | EXPECT, NULL, NULL},
	{"PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "PUT", "/", NONE, 0, NULL, NULL},
	/* folds */
	{"PUT / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\n", "PUT", "/", 5, KEEP, NULL, NULL},
	{"PUT / HTTP/1.1\nTransfer-Encoding: gzip,\n\tchunked\n\n", "PUT", "/", NONE,
	 KEEP | CHUNKED, NULL, NULL},
	{"PUT / HTTP/1.1\r\nX: \r\n Content-Length: 5\r\n\r\n", "PUT", "/", NONE, KEEP, NULL, NULL},
	{"PUT / HTTP/1.1\r\n Content-Length: 5\r\n\r\n", "PUT", "/", 5, KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nX: a\r\n \r\n\r\n", "PUT", "/", NONE, KEEP, NULL, NULL},
	/* what a strict server refuses */
	{"GET / HTTP/1.1\r\nnonsense\r\n\r\n", "GET", "/", NONE, KEEP | DOUBT, NULL, NULL},
	{"GET / HTTP/1.1\r\n: a\r\n\r\n", "GET", "/", NONE, KEEP | DOUBT, NULL, NULL},
	{"PUT / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", "PUT", "/", 5, KEEP | DOUBT, NULL, NULL},
	{"GET /a b HTTP/1.1\r\n\r\n", "GET", "/a", NONE, KEEP | DOUBT, NULL, NULL},
	{"GET  /a\tHTTP/1.1 \r\n\r\n", "GET", "/a", NONE, KEEP, NULL, NULL},
	{"GET / HTTP/9.9\r\n\r\n", "GET", "/", NONE, KEEP | DOUBT, NULL, NULL},
	{"GET / http/1\r\n\r\n", "GET", "/", NONE, DOUBT, NULL, NULL},
	{"GET /\r\n", "GET", "/", NONE, DOUBT, NULL, NULL},
	/* what a record shows */
	{"GET / HTTP/1.1\r\nX-Request-Start: t=1.5 \r\n\r\n", "GET", "/", NONE, KEEP, "t=1.5",
	 NULL},
	{"GET / HTTP/1.1\r\nX-Queue-Start: 2\r\n\r\n", "GET", "/", NONE, KEEP, "2", NULL},
	{"GET / HTTP/1.1\r\nX-Queue-Start: 2\r\nX-Request-Start: 1\r\n\r\n", "GET", "/", NONE, KEEP,
	 "1", NULL},
	{"GET / HTTP/1.1\r\nX-Request-Start: 1\r\nX-Queue-Start: 2\r\n\r\n", "GET", "/", NONE, KEEP,
	 "1", NULL},
	{"GET / HTTP/1.1\r\nX-Queue-Start: 1\r\nX-Queue-Start: 2\r\n\r\n", "GET", "/", NONE, KEEP,
	 "1,2", NULL},
	{"GET / HTTP/1.1\r\ntraceparent: 00-ab-cd-01\r\n\r\n", "GET", "/", NONE, KEEP, NULL,
	 "00-ab-cd-01"},
	{"GET / HTTP/1.1\r\nX-Request-Start:\r\n\r\n", "GET", "/", NONE, KEEP, "", NULL},
};

static void text_is(const struct wire_request_head *head, enum wire_text which,
		    const char *expected)
{
	struct request_text text = wire_head_text(head, which);

	if (!expected) {
		assert_null(text.ptr);
		return;
	}
	assert_non_null(text.ptr);
	assert_int_equal(text.bytes, strlen(expected));
	assert_memory_equal(text.ptr, expected, text.bytes);
}

static unsigned int request_says(const struct wire_request_head *head)
{
	return (head->keep_alive ? KEEP : 0) | (head->chunked ? CHUNKED : 0) |
	       (head->expect_continue ? EXPECT : 0) | (head->upgrade ? UPGRADE : 0) |
	       (head->head_method ? HEAD_METHOD : 0) | (head->doubtful ? DOUBT : 0);
}

static void request_check(const struct request_case *each, const char *bytes, size_t n)
{
	size_t length = strlen(each->bytes);
	struct wire_request_head head;

	print_message("%s\n", each->bytes);
	assert_int_equal(wire_request_parse(bytes, n, 0, &head), WIRE_HTTP);
	assert_int_equal(head.protocol, WIRE_HTTP);
	assert_true(head.line && head.complete);
	assert_int_equal(head.head_bytes, length);
	text_is(&head, WIRE_METHOD, each->method);
	text_is(&head, WIRE_PATH, each->path);
	text_is(&head, WIRE_QUEUE, each->queue);
	text_is(&head, WIRE_TRACEPARENT, each->traceparent);
	assert_true(head.content_length == each->length);
	assert_int_equal(request_says(&head), each->says);
}

/* Whole; with more behind it; and with no byte readable behind what was given. */
static void test_requests(void **state)
{
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		size_t n = strlen(requests[i].bytes);
		char *more = malloc(n + 6), *exact = malloc(n);

		assert_true(more && exact);
		memcpy(more, requests[i].bytes, n);
		memcpy(more + n, "GET /x", 6);
		memcpy(exact, requests[i].bytes, n);
		request_check(&requests[i], exact, n);
		request_check(&requests[i], more, n + 6);
		free(more);
		free(exact);
	}
}

/* Until its last byte a head is not complete, and what is known only grows. */
static void test_request_pieces(void **state)
{
	struct wire_request_head head;

	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		bool line = false;

		for (size_t n = 0; n < strlen(requests[i].bytes); n++) {
			assert_int_equal(wire_request_parse(requests[i].bytes, n, 0, &head),
					 WIRE_NEED_MORE);
			assert_true(head.head_bytes == 0 && !head.complete);
			assert_true(head.line || !line);
			line = head.line;
			if (!line)
				continue;
			assert_int_equal(head.protocol, WIRE_HTTP);
			text_is(&head, WIRE_METHOD, requests[i].method);
			text_is(&head, WIRE_PATH, requests[i].path);
		}
	}
}

/* Of a head that was not kept to its end there is still all that came before. */
static void test_request_cut(void **state)
{
	static const char bytes[] = "PUT /cut HTTP/1.1\r\nContent-Length: 7\r\nCookie: a";
	struct wire_request_head head;

	assert_int_equal(wire_request_parse(bytes, strlen(bytes), 0, &head), WIRE_NEED_MORE);
	assert_true(head.line && !head.complete && head.content_length == 7);
	text_is(&head, WIRE_PATH, "/cut");
	assert_int_equal(wire_request_parse("GET /abc", 8, 0, &head), WIRE_NEED_MORE);
	assert_true(!head.line && head.protocol == WIRE_HTTP);
	text_is(&head, WIRE_PATH, "/abc");
	assert_int_equal(wire_request_parse("GET abc", 7, 0, &head), WIRE_NEED_MORE);
	assert_int_equal(head.protocol, WIRE_NEED_MORE);
}

static void text_is_cut(const struct wire_request_head *head, enum wire_text which, size_t room,
			char with)
{
	struct request_text text = wire_head_text(head, which);

	assert_true(head->kept[which].cut);
	assert_int_equal(text.bytes, room);
	assert_int_equal(text.ptr[room - 1], with);
}

static void test_rooms(void **state)
{
	struct wire_request_head head;
	char method[24], text[400], bytes[1300];

	memset(method, 'M', sizeof(method));
	memset(text, 't', sizeof(text));
	snprintf(bytes, sizeof(bytes),
		 "%.24s /%.400s HTTP/1.1\r\nX-Request-Start: %.60s\r\nTraceparent: %.70s\r\n\r\n",
		 method, text, text, text);
	assert_int_equal(wire_request_parse(bytes, strlen(bytes), 0, &head), WIRE_HTTP);
	text_is_cut(&head, WIRE_METHOD, WIRE_METHOD_MAX, 'M');
	text_is_cut(&head, WIRE_PATH, WIRE_PATH_MAX, 't');
	text_is_cut(&head, WIRE_QUEUE, WIRE_QUEUE_MAX, 't');
	text_is_cut(&head, WIRE_TRACEPARENT, WIRE_TRACEPARENT_MAX, 't');
}

static void test_request_body(void **state)
{
	struct wire_request_head head = {.content_length = -1};

	assert_int_equal(wire_request_body(&head), WIRE_BODY_NONE);
	head.content_length = 0;
	assert_int_equal(wire_request_body(&head), WIRE_BODY_NONE);
	head.content_length = 1;
	assert_int_equal(wire_request_body(&head), WIRE_BODY_LENGTH);
	head.chunked = true;
	assert_int_equal(wire_request_body(&head), WIRE_BODY_CHUNKED);
}

/* --- responses ------------------------------------------------------------------------------ */

static const struct response_case {
	const char *bytes;
	enum wire_protocol protocol;
	unsigned int status;
	int64_t length;
	enum wire_body body;
	bool keep_alive, interim, doubtful;
} responses[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", WIRE_HTTP, 200, 5, WIRE_BODY_LENGTH, true,
	 false, false},
	{"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", WIRE_HTTP, 200, 0, WIRE_BODY_LENGTH,
	 true, false, false},
	{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", WIRE_HTTP, 200, 5, WIRE_BODY_LENGTH, false,
	 false, false},
	{"HTTP/1.1 200\nContent-Length: 5\nConnection: close\n\n", WIRE_HTTP, 200, 5,
	 WIRE_BODY_LENGTH, false, false, false},
	{"HTTP/1.1 200 OK\r\n\r\n", WIRE_HTTP, 200, NONE, WIRE_BODY_UNTIL_CLOSE, false, false,
	 false},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", WIRE_HTTP, 200, NONE,
	 WIRE_BODY_CHUNKED, true, false, false},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", WIRE_HTTP, 200, NONE,
	 WIRE_BODY_UNTIL_CLOSE, false, false, false},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", WIRE_HTTP,
	 200, NONE, WIRE_BODY_CHUNKED, true, false, true},
	{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", WIRE_HTTP, 200, NONE,
	 WIRE_BODY_UNTIL_CLOSE, false, false, true},
	{"HTTP/1.1 204 No Content\r\n\r\n", WIRE_HTTP, 204, NONE, WIRE_BODY_NONE, true, false,
	 false},
	{"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", WIRE_HTTP, 304, 9,
	 WIRE_BODY_NONE, true, false, false},
	{"HTTP/1.1 100 Continue\r\n\r\n", WIRE_HTTP, 100, NONE, WIRE_BODY_NONE, true, true, false},
	{"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", WIRE_HTTP, 103, NONE, WIRE_BODY_NONE, true,
	 true, false},
	{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", WIRE_HTTP, 101, NONE,
	 WIRE_BODY_TUNNEL, true, false, false},
	{"Status: 404 Not Found\r\nX: y\r\n\r\n", WIRE_MOD_WSGI, 404, NONE, WIRE_BODY_UNTIL_CLOSE,
	 false, false, false},
	{"Status: 200 Continue\r\n\r\n", WIRE_MOD_WSGI, 200, NONE, WIRE_BODY_NONE, false, true,
	 false},
	{"Status: 200 Continue\r\nX: y\r\n\r\n", WIRE_MOD_WSGI, 200, NONE, WIRE_BODY_UNTIL_CLOSE,
	 false, false, false},
	{"Status: 200 Error\r\n\r\n", WIRE_MOD_WSGI, 500, NONE, WIRE_BODY_UNTIL_CLOSE, false, false,
	 false},
	{"Status: 200 Timeout\r\n\r\n", WIRE_MOD_WSGI, 504, NONE, WIRE_BODY_UNTIL_CLOSE, false,
	 false, false},
	{"Status: 200 Error\r\nX: y\r\n\r\n", WIRE_MOD_WSGI, 200, NONE, WIRE_BODY_UNTIL_CLOSE,
	 false, false, false},
	{"HTTP/1.1 999 What\r\nContent-Length: 1\r\n\r\n", WIRE_HTTP, 999, 1, WIRE_BODY_LENGTH,
	 true, false, false},
};

static void response_check(const struct response_case *each, const char *bytes, size_t n)
{
	struct wire_response_head head;

	print_message("%s\n", each->bytes);
	assert_int_equal(wire_response_parse(bytes, n, &head), each->protocol);
	assert_true(head.complete);
	assert_int_equal(head.head_bytes, strlen(each->bytes));
	assert_int_equal(head.status, each->status);
	assert_true(head.content_length == each->length);
	assert_int_equal(wire_response_body(&head, NULL), each->body);
	assert_int_equal(head.until_close, each->body == WIRE_BODY_UNTIL_CLOSE);
	assert_int_equal(head.keep_alive, each->keep_alive);
	assert_int_equal(head.interim, each->interim);
	assert_int_equal(head.doubtful, each->doubtful);
}

static void test_responses(void **state)
{
	struct wire_response_head head;

	for (size_t i = 0; i < COUNT_OF(responses); i++) {
		size_t n = strlen(responses[i].bytes);
		char *exact = malloc(n);

		assert_non_null(exact);
		memcpy(exact, responses[i].bytes, n);
		response_check(&responses[i], exact, n);
		response_check(&responses[i], responses[i].bytes, n + 1);
		for (size_t part = 0; part < n; part++)
			assert_int_equal(wire_response_parse(exact, part, &head), WIRE_NEED_MORE);
		free(exact);
	}
}

static void test_no_response(void **state)
{
	static const char *const none[] = {
		"<html>",	    "HTTP/2 200\r\n",	 "HTTP/1.1\r\n",
		"HTTP/1.1 20\r\n",  "HTTP/1.1 2000\r\n", "HTTP/1.1 099\r\n",
		"HTTP/1.1 2x0\r\n", "Status 200\r\n",	 "HTTP/1.1200 OK\r\n",
		"Status: OK\r\n",
	};
	struct wire_response_head head;

	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_int_equal(wire_response_parse(none[i], strlen(none[i]), &head),
				 WIRE_FOREIGN);
}

static enum wire_body body_of(const char *response, const char *request)
{
	struct wire_request_head asked;
	struct wire_response_head answer;

	wire_request_parse(request, strlen(request), 0, &asked);
	wire_response_parse(response, strlen(response), &answer);
	return wire_response_body(&answer, &asked);
}

/* What was asked decides over what the answer says. */
static void test_response_to(void **state)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
	static const char no[] = "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n";

	assert_int_equal(body_of(ok, "GET / HTTP/1.1\r\n\r\n"), WIRE_BODY_LENGTH);
	assert_int_equal(body_of(ok, "HEAD / HTTP/1.1\r\n\r\n"), WIRE_BODY_NONE);
	assert_int_equal(body_of(ok, "CONNECT a:1 HTTP/1.1\r\n\r\n"), WIRE_BODY_TUNNEL);
	assert_int_equal(body_of(no, "CONNECT a:1 HTTP/1.1\r\n\r\n"), WIRE_BODY_LENGTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),     cmocka_unit_test(test_request_pieces),
		cmocka_unit_test(test_request_cut),  cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_request_body), cmocka_unit_test(test_responses),
		cmocka_unit_test(test_no_response),  cmocka_unit_test(test_response_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
