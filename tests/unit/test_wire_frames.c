// LINK: user/wire/*.c user/utf8.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packed requests of front ends (uwsgi, mod_wsgi's daemons), and which protocol bytes are.
 */
#include "unit.h"
#include "wire_head.h"

/* A packet or frame as it is put together. */
struct frame {
	char bytes[2048];
	size_t n;
};

static void put(struct frame *frame, const void *bytes, size_t n)
{
	assert_true(frame->n + n <= sizeof(frame->bytes));
	memcpy(frame->bytes + frame->n, bytes, n);
	frame->n += n;
}

static void put_u16(struct frame *frame, size_t value)
{
	const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8)};

	put(frame, bytes, sizeof(bytes));
}

static struct frame uwsgi_frame(const char *const *vars, uint8_t modifier)
{
	struct frame body = {.n = 0}, frame = {.n = 0};

	for (; *vars; vars++) {
		put_u16(&body, strlen(*vars));
		put(&body, *vars, strlen(*vars));
	}
	put(&frame, &modifier, 1);
	put_u16(&frame, body.n);
	put(&frame, "", 1);
	put(&frame, body.bytes, body.n);
	return frame;
}

static struct frame mod_wsgi_frame(const char *const *vars)
{
	struct frame body = {.n = 0}, frame = {.n = 0};
	uint64_t words[2] = {0, 0};

	for (; *vars; vars++, words[1]++)
		put(&body, *vars, strlen(*vars) + 1);
	words[0] = body.n + 8;
	put(&frame, words, sizeof(words));
	put(&frame, body.bytes, body.n);
	return frame;
}

static const char *const vars[] = {
	"QUERY_STRING",
	"a=b",
	"REQUEST_METHOD",
	"PUT",
	"CONTENT_LENGTH",
	"12",
	"REQUEST_URI",
	"/app/caf%C3%A9?a=b",
	"SCRIPT_NAME",
	"/app",
	"PATH_INFO",
	"/caf\xc3\xa9%",
	"HTTP_X_QUEUE_START",
	"t=1",
	"HTTP_TRACEPARENT",
	"00-ab-cd-01",
	NULL,
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

/* Byte by byte from an exact allocation, then whole, then with a body behind it. */
static void frame_check(const struct frame *frame, enum wire_protocol protocol)
{
	struct wire_request_head head;
	struct frame more = *frame;

	for (size_t n = 0; n < frame->n; n++) {
		char *part = malloc(n ? n : 1);

		assert_non_null(part);
		memcpy(part, frame->bytes, n);
		assert_int_equal(wire_request_parse(part, n, 0, &head), WIRE_NEED_MORE);
		assert_true(head.protocol == WIRE_NEED_MORE || head.protocol == protocol);
		free(part);
	}
	assert_int_equal(wire_request_parse(frame->bytes, frame->n, 0, &head), protocol);
	put(&more, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_int_equal(wire_request_parse(more.bytes, more.n, 0, &head), protocol);
	assert_true(head.complete && head.line && head.head_bytes == frame->n);
	assert_int_equal(head.protocol, protocol);
	text_is(&head, WIRE_METHOD, "PUT");
	text_is(&head, WIRE_PATH, "/app/caf\xc3\xa9%");
	text_is(&head, WIRE_QUEUE, "t=1");
	text_is(&head, WIRE_TRACEPARENT, "00-ab-cd-01");
	assert_true(head.content_length == 12 && !head.keep_alive && !head.doubtful);
	assert_int_equal(wire_request_body(&head),
			 protocol == WIRE_MOD_WSGI ? WIRE_BODY_UNTIL_CLOSE : WIRE_BODY_LENGTH);
}

static void test_uwsgi(void **state)
{
	struct frame frame = uwsgi_frame(vars, 0), path_info = uwsgi_frame(vars, 30);

	frame_check(&frame, WIRE_UWSGI);
	frame_check(&path_info, WIRE_UWSGI);
}

static void test_mod_wsgi(void **state)
{
	struct frame frame = mod_wsgi_frame(vars);

	frame_check(&frame, WIRE_MOD_WSGI);
}

/* The first byte of a frame is that of its length: any, also one of another protocol. */
static void test_mod_wsgi_lengths(void **state)
{
	char filler[600];
	const char *const padded[] = {"REQUEST_METHOD", "GET", "PATH_INFO", "/", "A", filler, NULL};

	for (size_t n = 0; n < sizeof(filler); n++) {
		struct wire_request_head head;
		struct frame frame;

		memset(filler, 'f', n);
		filler[n] = '\0';
		frame = mod_wsgi_frame(padded);
		assert_int_equal(wire_request_parse(frame.bytes, frame.n, 0, &head), WIRE_MOD_WSGI);
		text_is(&head, WIRE_PATH, "/");
	}
}

static void test_vars(void **state)
{
	static const char *const twice[] = {
		"PATH_INFO",	  "/a", "PATH_INFO", "", "REQUEST_METHOD", "HEAD",
		"CONTENT_LENGTH", "",	NULL};
	static const char *const odd[] = {"PATH_INFO", "/", "CONTENT_LENGTH", "-1", NULL};
	struct wire_request_head head;
	struct frame frame = uwsgi_frame(twice, 0);

	assert_int_equal(wire_request_parse(frame.bytes, frame.n, 0, &head), WIRE_UWSGI);
	text_is(&head, WIRE_PATH, "");
	assert_true(head.head_method && head.content_length == -1 && !head.doubtful);
	frame = uwsgi_frame(odd, 0);
	assert_int_equal(wire_request_parse(frame.bytes, frame.n, 0, &head), WIRE_UWSGI);
	text_is(&head, WIRE_METHOD, NULL);
	assert_true(!head.line && head.content_length == -1 && head.doubtful);
}

/* A length inside of a packet that points out of it. */
static void test_broken(void **state)
{
	struct wire_request_head head;
	struct frame frame = uwsgi_frame(vars, 0);

	frame.bytes[4 + 2 + 12] = 0x7f;
	frame.bytes[4 + 2 + 13] = 0x7f;
	assert_int_equal(wire_request_parse(frame.bytes, frame.n, 0, &head), WIRE_FOREIGN);
	text_is(&head, WIRE_METHOD, NULL);
	frame = mod_wsgi_frame(vars);
	frame.bytes[frame.n - 1] = 'x';
	assert_int_equal(wire_request_parse(frame.bytes, frame.n, 0, &head), WIRE_FOREIGN);
	text_is(&head, WIRE_METHOD, NULL);
}

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *bytes;
	size_t n;
	enum wire_protocol protocol;
} beginnings[] = {
	{BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), WIRE_TLS},
	{BYTES("\x16\x03\x01"), WIRE_NEED_MORE},
	{BYTES("\x16\x03\x01\x02\x00\x02"), WIRE_FOREIGN},
	{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), WIRE_HTTP2},
	{BYTES("PRI * HTTP/2.0\r"), WIRE_NEED_MORE},
	{BYTES("PRI * HTTP/1.1\r\n\r\n"), WIRE_HTTP},
	{BYTES("PR"), WIRE_NEED_MORE},
	{BYTES("\r\n"), WIRE_NEED_MORE},
	{BYTES(""), WIRE_NEED_MORE},
	{BYTES("GET"), WIRE_NEED_MORE},
	{BYTES("GET\r\n"), WIRE_FOREIGN},
	{BYTES("GET \r\n\r\n"), WIRE_FOREIGN},
	{BYTES("POST /\r\n\r\n"), WIRE_FOREIGN},
	{BYTES("EHLO there\r\n"), WIRE_FOREIGN},
	{BYTES("SSH-2.0-OpenSSH_9.2 Debian\r\n"), WIRE_FOREIGN},
	{BYTES("GET / HTTX/1.1\r\n\r\n"), WIRE_FOREIGN},
	{BYTES("\x80\x2e\x01\x03\x01"), WIRE_FOREIGN},
	{BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), WIRE_FOREIGN},
	{BYTES("{\"a\": 1}\n"), WIRE_FOREIGN},
	{BYTES("*1\r\n$4\r\nPING\r\n"), WIRE_FOREIGN},
	{BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), WIRE_FOREIGN},
	{BYTES("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n\r\n"), WIRE_FOREIGN},
};

static void test_beginnings(void **state)
{
	struct wire_request_head head;

	for (size_t i = 0; i < COUNT_OF(beginnings); i++) {
		enum wire_protocol found =
			wire_request_parse(beginnings[i].bytes, beginnings[i].n, 0, &head);

		if (found != beginnings[i].protocol)
			fail_msg("case %zu: %d", i, (int)found);
		assert_int_equal(head.protocol, found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uwsgi),  cmocka_unit_test(test_mod_wsgi),
		cmocka_unit_test(test_vars),   cmocka_unit_test(test_mod_wsgi_lengths),
		cmocka_unit_test(test_broken), cmocka_unit_test(test_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
