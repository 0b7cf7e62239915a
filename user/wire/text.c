/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the texts that a request's head keeps, their rooms, and the small readings that all
 * protocols share. Must not know how any protocol lays its bytes out.
 */
#include <string.h>

#include "wire/parts.h"

/* Where each text lies in wire_request_head.text, and how much of it is kept. */
static const struct {
	uint16_t at, room;
} rooms[WIRE_TEXTS] = {
	[WIRE_METHOD] = {0, WIRE_METHOD_MAX},
	[WIRE_PATH] = {WIRE_METHOD_MAX, WIRE_SCRIPT_MAX + WIRE_PATH_MAX},
	[WIRE_QUEUE] = {WIRE_METHOD_MAX + WIRE_SCRIPT_MAX + WIRE_PATH_MAX, WIRE_QUEUE_MAX},
	[WIRE_TRACEPARENT] = {WIRE_TEXT_MAX - WIRE_TRACEPARENT_MAX, WIRE_TRACEPARENT_MAX},
};

struct request_text wire_head_text(const struct wire_request_head *head, enum wire_text which)
{
	struct request_text text = {NULL, 0};

	if (head->kept[which].seen) {
		text.ptr = head->text + rooms[which].at;
		text.bytes = head->kept[which].bytes;
	}
	return text;
}

void wire_text_put(struct wire_request_head *head, enum wire_text which, struct wire_bytes bytes)
{
	struct wire_text_kept *kept = &head->kept[which];
	size_t n = wire_bytes_left(&bytes), room = rooms[which].room - kept->bytes;

	kept->seen = true;
	if (n > room) {
		kept->cut = true;
		n = room;
	}
	if (n)
		memcpy(head->text + rooms[which].at + kept->bytes, bytes.at, n);
	kept->bytes += (uint16_t)n;
}

static void text_join(struct wire_request_head *head, enum wire_text which, struct wire_bytes value)
{
	static const char comma[] = ",";

	if (head->kept[which].seen)
		wire_text_put(head, which, (struct wire_bytes){comma, comma + 1});
	wire_text_put(head, which, value);
}

void wire_queue_put(struct wire_request_head *head, uint8_t rank, struct wire_bytes value)
{
	if (rank < head->queue_rank)
		return;
	if (rank > head->queue_rank)
		head->kept[WIRE_QUEUE] = (struct wire_text_kept){0};
	head->queue_rank = rank;
	text_join(head, WIRE_QUEUE, value);
}

void wire_traceparent_put(struct wire_request_head *head, struct wire_bytes value)
{
	text_join(head, WIRE_TRACEPARENT, value);
}

bool wire_bytes_are(struct wire_bytes bytes, const char *word)
{
	for (; bytes.at < bytes.end && *word; bytes.at++, word++) {
		char c = *bytes.at;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c != (*word >= 'A' && *word <= 'Z' ? (char)(*word - 'A' + 'a') : *word))
			return false;
	}
	return bytes.at == bytes.end && !*word;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct wire_bytes wire_bytes_trim(struct wire_bytes bytes)
{
	while (bytes.at < bytes.end && is_blank(*bytes.at))
		bytes.at++;
	while (bytes.at < bytes.end && is_blank(bytes.end[-1]))
		bytes.end--;
	return bytes;
}

int64_t wire_number(struct wire_bytes digits)
{
	int64_t number = 0;

	if (digits.at == digits.end)
		return -1;
	for (; digits.at < digits.end; digits.at++) {
		if (*digits.at < '0' || *digits.at > '9' ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *digits.at - '0', &number))
			return -1;
	}
	return number;
}
