/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the uwsgi protocol, in which front ends send requests to uWSGI: a packet of variables, then
 * the body. The answer is HTTP's. Layout: uwsgi-docs, "The uwsgi (lowercase!) Protocol".
 *
 *	u8 modifier1, u16 size, u8 modifier2, then size bytes of u16 length, key, u16 length, value
 *	(all little-endian)
 */
#include "wire/parts.h"

#define HEADER_BYTES		4
#define MODIFIER_WSGI		0
#define MODIFIER_WSGI_PATH_INFO 30 /* the same, of front ends that do not split SCRIPT_NAME off */

static size_t u16_at(const char *bytes)
{
	return (size_t)(uint8_t)bytes[0] | (size_t)(uint8_t)bytes[1] << 8;
}

static bool is_key_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

enum wire_match wire_uwsgi_match(const char *bytes, size_t n)
{
	size_t key;

	if (bytes[0] != MODIFIER_WSGI && bytes[0] != MODIFIER_WSGI_PATH_INFO)
		return WIRE_MATCH_NO;
	if (n < HEADER_BYTES + 2)
		return WIRE_MATCH_MAYBE;
	key = u16_at(bytes + HEADER_BYTES);
	if (!key || key + 4 > u16_at(bytes + 1))
		return WIRE_MATCH_NO;
	for (size_t i = 0; i < key; i++) {
		if (HEADER_BYTES + 2 + i == n)
			return WIRE_MATCH_MAYBE;
		if (!is_key_character(bytes[HEADER_BYTES + 2 + i]))
			return WIRE_MATCH_NO;
	}
	return WIRE_MATCH_YES;
}

/* The next string. -1: it goes beyond the bytes. */
static int string_read(struct wire_bytes *bytes, struct wire_bytes *string)
{
	if (wire_bytes_left(bytes) < 2)
		return -1;
	string->at = bytes->at + 2;
	if (wire_bytes_left(bytes) - 2 < u16_at(bytes->at))
		return -1;
	string->end = string->at + u16_at(bytes->at);
	bytes->at = string->end;
	return 0;
}

enum wire_protocol wire_uwsgi_request(const char *bytes, size_t n, uint32_t rules,
				      struct wire_request_head *head)
{
	size_t packet = HEADER_BYTES + u16_at(bytes + 1);
	struct wire_bytes left = {bytes + HEADER_BYTES, bytes + (n < packet ? n : packet)};
	struct wire_bytes key, value;
	struct wire_vars vars = {0};

	while (left.at < left.end && !string_read(&left, &key) && !string_read(&left, &value))
		wire_var_take(head, &vars, key, value);
	if (n >= packet && left.at < left.end)
		return wire_protocol_none(head);
	head->protocol = WIRE_UWSGI;
	wire_vars_apply(head, &vars);
	if (n < packet)
		return WIRE_NEED_MORE;
	head->complete = true;
	head->head_bytes = packet;
	return WIRE_UWSGI;
}
