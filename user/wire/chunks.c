/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: where a chunked body ends (RFC 9112, section 7.1), read in pieces of any length, keeping
 * none of it. Must not know whose body it is.
 */
#include <string.h>

#include "wire/parts.h"

#define SIZE_LIMIT (UINT64_C(1) << 60) /* of a chunk: what makes no sense, and can overflow */

enum chunks_state {
	CHUNKS_SIZE,	  /* hexadecimal digits */
	CHUNKS_EXTENSION, /* what may follow them, up to the line's end */
	CHUNKS_SIZE_END,  /* a line feed must come */
	CHUNKS_DATA,
	CHUNKS_DATA_END,     /* a line end must come */
	CHUNKS_DATA_END_LF,  /* its carriage return has */
	CHUNKS_TRAILER,	     /* at the beginning of a trailer line */
	CHUNKS_TRAILER_LINE, /* inside of one */
	CHUNKS_LAST_LF,	     /* the last line's carriage return has come */
	CHUNKS_DONE,
	CHUNKS_BAD,
};

static enum chunks_state size_line_ended(const struct wire_chunks *chunks)
{
	return chunks->left ? CHUNKS_DATA : CHUNKS_TRAILER;
}

static enum chunks_state size_byte(struct wire_chunks *chunks, char c)
{
	int digit = wire_hex_value(c);

	if (digit >= 0) {
		chunks->sized = true;
		chunks->left = chunks->left * 16 + (unsigned int)digit;
		return chunks->left < SIZE_LIMIT ? CHUNKS_SIZE : CHUNKS_BAD;
	}
	if (!chunks->sized)
		return CHUNKS_BAD;
	if (c == '\n')
		return size_line_ended(chunks);
	if (c == '\r')
		return CHUNKS_SIZE_END;
	return c == ';' || c == ' ' || c == '\t' ? CHUNKS_EXTENSION : CHUNKS_BAD;
}

static enum chunks_state chunk_begin(struct wire_chunks *chunks)
{
	chunks->sized = false;
	chunks->left = 0;
	return CHUNKS_SIZE;
}

/* One byte that is not data. */
static enum chunks_state frame_byte(struct wire_chunks *chunks, char c)
{
	switch ((enum chunks_state)chunks->state) {
	case CHUNKS_SIZE:
		return size_byte(chunks, c);
	case CHUNKS_EXTENSION:
		return c == '\n' ? size_line_ended(chunks) : CHUNKS_EXTENSION;
	case CHUNKS_SIZE_END:
		return c == '\n' ? size_line_ended(chunks) : CHUNKS_BAD;
	case CHUNKS_DATA_END:
		if (c == '\r')
			return CHUNKS_DATA_END_LF;
		/* fall through */
	case CHUNKS_DATA_END_LF:
		return c == '\n' ? chunk_begin(chunks) : CHUNKS_BAD;
	case CHUNKS_TRAILER:
		if (c == '\r')
			return CHUNKS_LAST_LF;
		return c == '\n' ? CHUNKS_DONE : CHUNKS_TRAILER_LINE;
	case CHUNKS_TRAILER_LINE:
		return c == '\n' ? CHUNKS_TRAILER : CHUNKS_TRAILER_LINE;
	case CHUNKS_LAST_LF:
		return c == '\n' ? CHUNKS_DONE : CHUNKS_BAD;
	default:
		return CHUNKS_BAD;
	}
}

enum wire_chunks_end wire_chunks_feed(struct wire_chunks *chunks, const char *bytes, size_t n,
				      size_t *used)
{
	size_t at = 0;

	while (at < n && chunks->state != CHUNKS_DONE && chunks->state != CHUNKS_BAD) {
		if (chunks->state == CHUNKS_DATA) {
			uint64_t data = n - at < chunks->left ? n - at : chunks->left;

			wire_chunks_skip(chunks, data);
			at += (size_t)data;
		} else {
			chunks->state = (uint8_t)frame_byte(chunks, bytes[at++]);
		}
	}
	*used = at;
	if (chunks->state == CHUNKS_DONE)
		return WIRE_CHUNKS_DONE;
	return chunks->state == CHUNKS_BAD ? WIRE_CHUNKS_BAD : WIRE_CHUNKS_MORE;
}

bool wire_chunks_skip(struct wire_chunks *chunks, uint64_t n)
{
	if (!n)
		return true;
	if (chunks->state != CHUNKS_DATA || n > chunks->left)
		return false;
	chunks->left -= n;
	chunks->data_bytes += n;
	if (!chunks->left)
		chunks->state = CHUNKS_DATA_END;
	return true;
}
