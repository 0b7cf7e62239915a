/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the header fields of HTTP/1.x (RFC 9112, sections 5 to 7), folded ones included, as far as
 * they say where a message ends, and those that a record shows. Must not know the line before them.
 */
#include <string.h>

#include "wire/parts.h"

/* A comma-separated list; at least one item, which may be empty. */
struct list {
	struct wire_bytes left;
	bool ended;
};

/* The next item, trimmed; false: none is left. */
static bool list_next(struct list *list, struct wire_bytes *item)
{
	const char *comma;

	if (list->ended)
		return false;
	comma = memchr(list->left.at, ',', wire_bytes_left(&list->left));
	*item = wire_bytes_trim((struct wire_bytes){list->left.at, comma ? comma : list->left.end});
	list->ended = !comma;
	if (comma)
		list->left.at = comma + 1;
	return true;
}

/* "5", "5, 5": the same number again says the same; two that differ are an attempt at something. */
static void length_take(struct wire_fields *fields, struct wire_bytes value)
{
	struct list list = {.left = value};
	struct wire_bytes item;

	while (list_next(&list, &item)) {
		int64_t length = wire_number(item);

		if (length < 0 || (fields->length_seen && length != fields->content_length))
			fields->doubtful = true;
		if (!fields->length_seen)
			fields->content_length = length;
		fields->length_seen = true;
	}
}

static void coding_take(struct wire_fields *fields, struct wire_bytes value)
{
	struct list list = {.left = value};
	struct wire_bytes item;

	while (list_next(&list, &item)) {
		const char *parameters = memchr(item.at, ';', wire_bytes_left(&item));

		if (parameters)
			item = wire_bytes_trim((struct wire_bytes){item.at, parameters});
		if (fields->chunked) /* must be the last */
			fields->doubtful = true;
		fields->coded = true;
		fields->chunked = wire_bytes_are(item, "chunked");
	}
}

static void connection_take(struct wire_fields *fields, struct wire_bytes value)
{
	struct list list = {.left = value};
	struct wire_bytes item;

	while (list_next(&list, &item)) {
		fields->close |= wire_bytes_are(item, "close");
		fields->keep_alive |= wire_bytes_are(item, "keep-alive");
		fields->upgrade |= wire_bytes_are(item, "upgrade");
	}
}

static void field_apply(struct wire_fields *fields, struct wire_bytes name, struct wire_bytes value,
			struct wire_request_head *head)
{
	if (wire_bytes_are(name, "content-length"))
		length_take(fields, value);
	else if (wire_bytes_are(name, "transfer-encoding"))
		coding_take(fields, value);
	else if (wire_bytes_are(name, "connection"))
		connection_take(fields, value);
	else if (wire_bytes_are(name, "upgrade"))
		fields->upgrade_to = true;
	else if (!head)
		return;
	else if (wire_bytes_are(name, "expect"))
		fields->expect_continue |= wire_bytes_are(value, "100-continue");
	else if (wire_bytes_are(name, "x-request-start"))
		wire_queue_put(head, 2, value);
	else if (wire_bytes_are(name, "x-queue-start"))
		wire_queue_put(head, 1, value);
	else if (wire_bytes_are(name, "traceparent"))
		wire_traceparent_put(head, value);
}

/* One field with its folds, without its line end. */
static void field_take(struct wire_fields *fields, struct wire_bytes line,
		       struct wire_request_head *head)
{
	const char *colon = memchr(line.at, ':', wire_bytes_left(&line));
	struct wire_bytes name, trimmed;

	fields->count++;
	if (!colon || memchr(line.at, '\0', wire_bytes_left(&line))) {
		fields->doubtful = true;
		return;
	}
	name = (struct wire_bytes){line.at, colon};
	trimmed = wire_bytes_trim(name);
	if (trimmed.at != name.at || trimmed.end != name.end || name.at == name.end)
		fields->doubtful = true;
	field_apply(fields, trimmed, wire_bytes_trim((struct wire_bytes){colon + 1, line.end}),
		    head);
}

static bool is_fold(const char *next, const char *end)
{
	return next < end && (*next == ' ' || *next == '\t');
}

bool wire_fields_read(struct wire_bytes *bytes, struct wire_fields *fields,
		      struct wire_request_head *head)
{
	for (;;) {
		const char *from = bytes->at, *newline;

		do {
			newline = memchr(from, '\n', (size_t)(bytes->end - from));
			if (!newline)
				return false;
			from = newline + 1;
		} while (newline > bytes->at + (*bytes->at == '\r') && is_fold(from, bytes->end));
		if (newline == bytes->at || (newline == bytes->at + 1 && *bytes->at == '\r')) {
			bytes->at = newline + 1;
			return true;
		}
		if (from == bytes->end) /* a fold may come */
			return false;
		field_take(fields, (struct wire_bytes){bytes->at, newline}, head);
		bytes->at = from;
	}
}
