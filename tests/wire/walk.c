/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk: for each line "KIND HEX" on stdin, KIND being R (what a client sent) or A (what a server
 * answered) or C (a chunked body), prints a line of JSON: the messages that user/wire/ finds, one
 * after the other. For check_h11.py and check_llhttp.py. An offset -1: the end has not come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire_head.h"

static const char *const protocols[] = {
	[WIRE_NEED_MORE] = "more",    [WIRE_HTTP] = "http", [WIRE_UWSGI] = "uwsgi",
	[WIRE_MOD_WSGI] = "mod_wsgi", [WIRE_TLS] = "tls",   [WIRE_HTTP2] = "http2",
	[WIRE_FOREIGN] = "foreign",
};

static const char *const bodies[] = {
	[WIRE_BODY_NONE] = "none",	 [WIRE_BODY_LENGTH] = "length",
	[WIRE_BODY_CHUNKED] = "chunked", [WIRE_BODY_UNTIL_CLOSE] = "until_close",
	[WIRE_BODY_TUNNEL] = "tunnel",
};

static void text_print(const char *name, struct request_text text)
{
	printf(", \"%s\": ", name);
	if (!text.ptr) {
		printf("null");
		return;
	}
	putchar('"');
	for (size_t i = 0; i < text.bytes; i++)
		printf("%02x", (unsigned char)text.ptr[i]);
	putchar('"');
}

static void bool_print(const char *name, bool value)
{
	printf(", \"%s\": %s", name, value ? "true" : "false");
}

/* Where the body that begins at `at` ends; -1: not in these bytes. */
static long body_end(enum wire_body body, int64_t length, const char *bytes, size_t at, size_t n)
{
	struct wire_chunks chunks = {0};
	size_t used;

	switch (body) {
	case WIRE_BODY_NONE:
		return (long)at;
	case WIRE_BODY_LENGTH:
		return (uint64_t)length <= n - at ? (long)at + (long)length : -1;
	case WIRE_BODY_CHUNKED:
		if (wire_chunks_feed(&chunks, bytes + at, n - at, &used) != WIRE_CHUNKS_DONE)
			return -1;
		return (long)(at + used);
	default:
		return -1;
	}
}

static void message_print(enum wire_protocol told, enum wire_body body, size_t head, long end,
			  bool complete)
{
	printf("{\"told\": \"%s\", \"body\": \"%s\", \"head\": %ld, \"end\": %ld", protocols[told],
	       bodies[body], complete ? (long)head : -1, end);
}

/* The next offset; -1: no further message can be found. */
static long request_walk(const char *bytes, size_t at, size_t n)
{
	struct wire_request_head head;
	enum wire_protocol told = wire_request_parse(bytes + at, n - at, 0, &head);
	enum wire_body body = wire_request_body(&head);
	long end = -1;

	if (head.complete)
		end = body_end(body, head.content_length, bytes, at + head.head_bytes, n);
	message_print(told, body, at + head.head_bytes, end, head.complete);
	text_print("method", wire_head_text(&head, WIRE_METHOD));
	text_print("path", wire_head_text(&head, WIRE_PATH));
	printf(", \"length\": %lld", (long long)head.content_length);
	bool_print("line", head.line);
	bool_print("keep_alive", head.keep_alive);
	bool_print("expect", head.expect_continue);
	bool_print("upgrade", head.upgrade);
	bool_print("doubtful", head.doubtful);
	putchar('}');
	return head.upgrade ? -1 : end;
}

static long response_walk(const char *bytes, size_t at, size_t n)
{
	struct wire_response_head head;
	enum wire_protocol told = wire_response_parse(bytes + at, n - at, &head);
	enum wire_body body = wire_response_body(&head, NULL);
	long end = -1;

	if (head.complete)
		end = body_end(body, head.content_length, bytes, at + head.head_bytes, n);
	message_print(told, body, at + head.head_bytes, end, head.complete);
	printf(", \"status\": %u, \"length\": %lld", head.status, (long long)head.content_length);
	bool_print("interim", head.interim);
	bool_print("keep_alive", head.keep_alive);
	bool_print("doubtful", head.doubtful);
	putchar('}');
	return end;
}

static void messages_print(char kind, const char *bytes, size_t n)
{
	long at = 0;

	putchar('[');
	do {
		if (at)
			printf(", ");
		at = kind == 'R' ? request_walk(bytes, (size_t)at, n)
				 : response_walk(bytes, (size_t)at, n);
	} while (at > 0 && (size_t)at < n);
	printf("]\n");
}

static void chunks_print(const char *bytes, size_t n)
{
	static const char *const ends[] = {"more", "done", "bad"};
	struct wire_chunks chunks = {0};
	size_t used;
	enum wire_chunks_end end = wire_chunks_feed(&chunks, bytes, n, &used);

	printf("{\"end\": \"%s\", \"used\": %zu, \"data\": %llu}\n", ends[end], used,
	       (unsigned long long)chunks.data_bytes);
}

static size_t hex_read(const char *hex, char *out)
{
	size_t n = 0;
	unsigned int byte;

	while (sscanf(hex + 2 * n, "%2x", &byte) == 1)
		out[n++] = (char)byte;
	return n;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 1) {
		size_t n = 0;
		char *bytes = malloc(room), *fitting = NULL;

		if (bytes && strchr("RAC", line[0])) {
			n = hex_read(line + 2, bytes);
			fitting = realloc(bytes, n ? n : 1);
		}
		if (!fitting) {
			free(bytes);
			free(line);
			return 1;
		}
		bytes = fitting;
		if (line[0] == 'C')
			chunks_print(bytes, n);
		else
			messages_print(line[0], bytes, n);
		free(bytes);
	}
	free(line);
	return 0;
}
