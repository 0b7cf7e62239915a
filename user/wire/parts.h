/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parsers of wire_head.h share among themselves: one file a protocol, each a row of the
 * table in wire_head.c.
 */
#ifndef WSGISCOPE_WIRE_PARTS_H
#define WSGISCOPE_WIRE_PARTS_H

#include "wire_head.h"

/* Whether bytes begin a request of a protocol. */
enum wire_match {
	WIRE_MATCH_NO,
	WIRE_MATCH_MAYBE, /* too few to tell */
	WIRE_MATCH_YES,
};

struct wire_bytes {
	const char *at;
	const char *end;
};

static inline size_t wire_bytes_left(const struct wire_bytes *bytes)
{
	return (size_t)(bytes->end - bytes->at);
}

/* Whether they are this word, in any case of ASCII letters. */
bool wire_bytes_are(struct wire_bytes bytes, const char *word);

/* Without spaces, tabs and line ends at both ends. */
struct wire_bytes wire_bytes_trim(struct wire_bytes bytes);

/* A whole decimal number; -1: not one, or more than INT64_MAX. */
int64_t wire_number(struct wire_bytes digits);

/* Appends to a text, cutting it at its room, and marks it seen. */
void wire_text_put(struct wire_request_head *head, enum wire_text which, struct wire_bytes bytes);

/* The header X-Request-Start (rank 2) or X-Queue-Start (rank 1) with this value: the first goes
 * before the second; the same once more is joined with a comma, as servers do. */
void wire_queue_put(struct wire_request_head *head, uint8_t rank, struct wire_bytes value);

/* The header Traceparent. */
void wire_traceparent_put(struct wire_request_head *head, struct wire_bytes value);

/* The target of a request line as the path. */
void wire_path_put(struct wire_request_head *head, struct wire_bytes target, uint32_t rules);

/* What the client asked for, as it was sent: all of a request line's target. */
void wire_asked_put(struct wire_request_head *head, struct wire_bytes target);

/* Appends a part of a path as it is, of which room bytes are kept. */
void wire_path_join(struct wire_request_head *head, struct wire_bytes part, size_t room);

/* What a front end's variables say; the last of a name counts. at NULL: has not come. */
struct wire_vars {
	struct wire_bytes method, script, path, asked, content_length;
};

/* One variable; it must stay where it is until they are applied. */
void wire_var_take(struct wire_request_head *head, struct wire_vars *vars, struct wire_bytes key,
		   struct wire_bytes value);

/* After the last variable, or the last that was kept. */
void wire_vars_apply(struct wire_request_head *head, const struct wire_vars *vars);

/* Forgets all that was read: WIRE_FOREIGN. */
enum wire_protocol wire_protocol_none(struct wire_request_head *head);

/* Header fields of either direction, as far as they say where a message ends. */
struct wire_fields {
	int64_t content_length; /* -1: none, or nonsense */
	bool length_seen;
	bool coded;			 /* there is a Transfer-Encoding */
	bool chunked;			 /* whose last coding is chunked */
	bool close, keep_alive, upgrade; /* what Connection says */
	bool upgrade_to;		 /* there is an Upgrade */
	bool expect_continue;
	bool doubtful;
	size_t count;
};

/*
 * Reads fields from bytes->at on, until the empty line. True: that has come, bytes->at is behind
 * it; false: it has not, all whole fields have been read. head: gets the texts of requests; NULL.
 */
bool wire_fields_read(struct wire_bytes *bytes, struct wire_fields *fields,
		      struct wire_request_head *head);

/* Of each protocol. n is at least 1; a request is read only where its match said yes. */
enum wire_match wire_http_match(const char *bytes, size_t n);
enum wire_protocol wire_http_request(const char *bytes, size_t n, uint32_t rules,
				     struct wire_request_head *head);

enum wire_match wire_uwsgi_match(const char *bytes, size_t n);
enum wire_protocol wire_uwsgi_request(const char *bytes, size_t n, uint32_t rules,
				      struct wire_request_head *head);

enum wire_match wire_mod_wsgi_match(const char *bytes, size_t n);
enum wire_protocol wire_mod_wsgi_request(const char *bytes, size_t n, uint32_t rules,
					 struct wire_request_head *head);

/* Of a hexadecimal digit, -1: it is none. */
static inline int wire_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif
