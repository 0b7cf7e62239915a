/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the calls of zlib and the reading of Accept-Encoding.
 */
#include "gzip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* Fast: a page of metrics shrinks to a tenth at any level, and we are one thread. */
#define LEVEL 1

/* A weight of zero means "not this one": q=0, q=0. or q=0.000. */
static bool weight_is_zero(const char *parameters, const char *end)
{
	for (const char *at = parameters; at < end; at++) {
		const char *digit = at + 2;

		if (*at != 'q' && *at != 'Q')
			continue;
		if (end - at < 3 || at[1] != '=' || *digit != '0')
			continue;
		for (digit++; digit < end && (*digit == '.' || *digit == '0'); digit++)
			;
		return digit == end || *digit < '1' || *digit > '9';
	}
	return false;
}

bool gzip_is_accepted(const char *accept_encoding)
{
	const char *at = accept_encoding ? accept_encoding : "";
	bool any = false;

	while (*at) {
		size_t bytes, name;

		at += strspn(at, " \t");
		bytes = strcspn(at, ",");
		name = strcspn(at, " \t;,");
		if ((name == 4 && !strncasecmp(at, "gzip", 4)) ||
		    (name == 6 && !strncasecmp(at, "x-gzip", 6)))
			return !weight_is_zero(at + name, at + bytes);
		if (name == 1 && *at == '*')
			any = !weight_is_zero(at + name, at + bytes);
		at += bytes;
		at += *at == ',';
	}
	return any;
}

int gzip_pack(const char *text, size_t bytes, char **out, size_t *out_bytes)
{
	z_stream stream = {.next_in = (Bytef *)text, .avail_in = (uInt)bytes};
	char *packed, *fitted;
	size_t room;

	/* 15: the largest window; + 16: gzip's header rather than zlib's */
	if (bytes > UINT32_MAX ||
	    deflateInit2(&stream, LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	room = deflateBound(&stream, bytes);
	packed = malloc(room);
	if (!packed) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_out = (Bytef *)packed;
	stream.avail_out = (uInt)room;
	deflate(&stream, Z_FINISH); /* ends at once: there is room for the worst */
	*out_bytes = stream.total_out;
	deflateEnd(&stream);
	fitted = realloc(packed, *out_bytes);
	*out = fitted ? fitted : packed;
	return 0;
}
