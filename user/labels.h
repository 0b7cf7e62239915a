/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The label set under which a request is counted: names, bounds and escapes of labels. Knows
 * nothing of metrics.
 *
 *	http_request_method		a known method, else _OTHER
 *	http_response_status_code	what the client was told, where that was seen, else what the
 *					application said
 *	http_route | path_group		the framework's template | the shape of the path
 *	error_type			the exception's class; "disconnect", "unclosed"; the status
 *					from 500 on
 *	application			the name given to mark(), the server's title or address
 *	mode				"wire"; absent: the exact semantics of the marker
 *
 * A label that is not known is absent.
 */
#ifndef WSGISCOPE_LABELS_H
#define WSGISCOPE_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

/* Of a value; what is longer is "other". */
#define LABEL_BYTES_MAX 192

struct text_buffer;

struct label_value {
	size_t bytes;		       /* 0: absent */
	const char *text;	       /* never NULL */
	char storage[LABEL_BYTES_MAX]; /* used where the text had to be cleaned */
};

/* Must not be moved once filled: text may point into it. */
struct labels {
	uint8_t method; /* 0: not known */
	uint8_t mode;	/* enum request_mode */
	uint8_t is_route;
	uint8_t is_rest; /* the set of all that found no other */
	uint16_t status; /* 0: not known */
	bool cut;	 /* a value was too long and is "other" */
	struct label_value group, error, application;
};

/* The longest key: the fixed part, and each value with its length. */
#define LABELS_KEY_BYTES (6 + 3 * (2 + LABEL_BYTES_MAX))

/* group: the path group, used where the request has no route; borrowed like the request. */
void labels_fill(struct labels *labels, const struct request *request, struct request_text group);

/* The same with "other" for the route or path group. */
void labels_make_other(struct labels *labels);

/* The last resort: every label is "other". */
void labels_rest(struct labels *labels);

/* Equal sets have equal keys, and only they. Returns the length. */
size_t labels_key(const struct labels *labels, char out[LABELS_KEY_BYTES]);

/* As they stand between braces, with no comma at the ends: a="b",c="d". */
void labels_write(const struct labels *labels, struct text_buffer *out);

/*
 * A value that can be shown: text that holds only visible characters and spaces is used as it is
 * (borrowed), else rewritten, a byte or character that is no such thing as \xNN or \u{N}. Too long:
 * "other". True where that was so.
 */
bool label_clean(struct label_value *value, struct request_text text);

/* ,name="value" or, where nothing is there yet since begin, without the comma. */
void label_write(struct text_buffer *out, size_t begin, const char *name, const char *value,
		 size_t bytes);

#endif
