/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: how httpd tells a daemon process of mod_wsgi of a request, on the UNIX socket between them:
 * a frame of variables, then the body. The answer is CGI's. Not documented; read off the sockets
 * of 4.9 and found the same in the source of 6.0. Both ends run on one machine: its byte order.
 *
 *	size_t bytes of what follows, size_t strings, then key NUL value NUL ...
 */
#include <string.h>

#include "wire/parts.h"

#define WORD_BYTES	8
#define HEADER_BYTES	(2 * WORD_BYTES)
#define FRAME_BYTES_MAX (16 << 20) /* the daemon's own bound */

static uint64_t u64_at(const char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

static bool is_key_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

enum wire_match wire_mod_wsgi_match(const char *bytes, size_t n)
{
	char header[HEADER_BYTES] = {0};

	/* As long as bytes are missing, zeros stand for them: the least that they could make. */
	memcpy(header, bytes, n < HEADER_BYTES ? n : HEADER_BYTES);
	if (u64_at(header) > FRAME_BYTES_MAX ||
	    (n > WORD_BYTES && u64_at(header + WORD_BYTES) > u64_at(header)))
		return WIRE_MATCH_NO;
	if (n <= HEADER_BYTES)
		return WIRE_MATCH_MAYBE;
	if (u64_at(header) <= WORD_BYTES || u64_at(header + WORD_BYTES) < 2)
		return WIRE_MATCH_NO;
	return is_key_character(bytes[HEADER_BYTES]) ? WIRE_MATCH_YES : WIRE_MATCH_NO;
}

/* The next string. -1: it does not end in the bytes. */
static int string_read(struct wire_bytes *bytes, struct wire_bytes *string)
{
	string->at = bytes->at;
	string->end = memchr(bytes->at, '\0', wire_bytes_left(bytes));
	if (!string->end)
		return -1;
	bytes->at = string->end + 1;
	return 0;
}

enum wire_protocol wire_mod_wsgi_request(const char *bytes, size_t n, uint32_t rules,
					 struct wire_request_head *head)
{
	size_t frame = WORD_BYTES + (size_t)u64_at(bytes);
	struct wire_bytes left = {bytes + HEADER_BYTES, bytes + (n < frame ? n : frame)};
	struct wire_bytes key, value;
	struct wire_vars vars = {0};

	while (left.at < left.end && !string_read(&left, &key) && !string_read(&left, &value))
		wire_var_take(head, &vars, key, value);
	if (n >= frame && left.at < left.end)
		return wire_protocol_none(head);
	head->protocol = WIRE_MOD_WSGI;
	wire_vars_apply(head, &vars);
	if (n < frame)
		return WIRE_NEED_MORE;
	head->complete = true;
	head->head_bytes = frame;
	return WIRE_MOD_WSGI;
}
