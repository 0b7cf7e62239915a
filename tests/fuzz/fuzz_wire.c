/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: what clients and servers send, as heads and as chunked bodies. The first byte has
 * the server's rules for paths, the second says where the rest is cut in two: what a part says must
 * hold for the whole.
 */
#include <stdlib.h>
#include <string.h>

#include "wire_head.h"

static void ensure(bool holds)
{
	if (!holds)
		abort();
}

/* A copy of which no byte more can be read. */
static char *exactly(const uint8_t *bytes, size_t n)
{
	char *copy = malloc(n ? n : 1);

	ensure(copy != NULL);
	memcpy(copy, bytes, n);
	return copy;
}

static bool texts_alike(const struct wire_request_head *one, const struct wire_request_head *other)
{
	for (int which = 0; which < WIRE_TEXTS; which++) {
		struct request_text a = wire_head_text(one, (enum wire_text)which);
		struct request_text b = wire_head_text(other, (enum wire_text)which);

		if (!a.ptr != !b.ptr || a.bytes != b.bytes ||
		    (a.ptr && memcmp(a.ptr, b.ptr, a.bytes)))
			return false;
	}
	return true;
}

static void request_check(const struct wire_request_head *head, enum wire_protocol told, size_t n)
{
	bool whole = told == WIRE_HTTP || told == WIRE_UWSGI || told == WIRE_MOD_WSGI;

	ensure(whole == head->complete && (whole ? head->head_bytes > 0 : !head->head_bytes));
	ensure(head->head_bytes <= n && head->content_length >= -1);
	ensure(told == WIRE_NEED_MORE || told == head->protocol);
	ensure(!head->chunked || head->content_length == -1);
	for (int which = 0; which < WIRE_TEXTS; which++) {
		struct request_text text = wire_head_text(head, (enum wire_text)which);

		ensure(!text.ptr || (text.ptr >= head->text &&
				     text.ptr + text.bytes <= head->text + WIRE_TEXT_MAX));
		ensure(told != WIRE_FOREIGN || !text.ptr);
	}
}

static void requests_run(const uint8_t *bytes, size_t n, size_t part, uint32_t rules)
{
	char *all = exactly(bytes, n), *some = exactly(bytes, part);
	struct wire_request_head whole, first;
	enum wire_protocol told = wire_request_parse(all, n, rules, &whole);
	enum wire_protocol told_first = wire_request_parse(some, part, rules, &first);

	request_check(&whole, told, n);
	request_check(&first, told_first, part);
	if (told_first != WIRE_NEED_MORE)
		ensure(told_first == told && first.head_bytes == whole.head_bytes &&
		       texts_alike(&first, &whole));
	else if (first.line && told != WIRE_FOREIGN)
		ensure(whole.line && first.protocol == whole.protocol);
	free(all);
	free(some);
}

static void responses_run(const uint8_t *bytes, size_t n, size_t part)
{
	char *all = exactly(bytes, n), *some = exactly(bytes, part);
	struct wire_response_head whole, first;
	enum wire_protocol told = wire_response_parse(all, n, &whole);
	enum wire_protocol told_first = wire_response_parse(some, part, &first);

	ensure(told_first == WIRE_NEED_MORE || told_first == told);
	ensure(whole.head_bytes <= n && whole.complete == (whole.head_bytes > 0));
	ensure(!whole.complete || (whole.status >= 100 && whole.status <= 999));
	ensure(!whole.complete || whole.bodiless || whole.chunked || whole.until_close ||
	       whole.content_length >= 0);
	if (first.complete)
		ensure(first.head_bytes == whole.head_bytes && first.status == whole.status);
	free(all);
	free(some);
}

/* The same in one piece and in two. */
static void chunks_run(const uint8_t *bytes, size_t n, size_t part)
{
	struct wire_chunks once = {0}, twice = {0};
	char *all = exactly(bytes, n);
	size_t used, used_first, used_rest = 0;
	enum wire_chunks_end end = wire_chunks_feed(&once, all, n, &used);
	enum wire_chunks_end split = wire_chunks_feed(&twice, all, part, &used_first);

	ensure(used_first <= part && used <= n && once.data_bytes <= used);
	if (split == WIRE_CHUNKS_MORE)
		split = wire_chunks_feed(&twice, all + part, n - part, &used_rest);
	ensure(split == end && used == used_first + used_rest);
	ensure(once.data_bytes == twice.data_bytes && once.left == twice.left);
	free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	size_t part;

	if (bytes < 2)
		return 0;
	part = (bytes - 2) * data[1] / 255;
	requests_run(data + 2, bytes - 2, part, data[0]);
	responses_run(data + 2, bytes - 2, part);
	chunks_run(data + 2, bytes - 2, part);
	return 0;
}
