/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the rules by which a path segment is taken for a value rather than a name. Bounded in
 * length and depth, whatever the path.
 */
#include "path_group.h"

#include <stdbool.h>
#include <string.h>

#include "escape.h"

#define SEGMENTS_MAX	8
#define WORD_BYTES_MAX	40 /* longer is no name */
#define TOKEN_BYTES_MIN 16 /* from here on, a mix of letters and digits is a token */
#define HEX_BYTES_MIN	8
#define UUID_BYTES	36
#define DIGITS_RUN_MIN	3

struct shape {
	char *out; /* PATH_GROUP_BYTES */
	size_t used;
};

static void shape_put(struct shape *shape, const char *text, size_t bytes)
{
	if (bytes > PATH_GROUP_BYTES - shape->used)
		bytes = PATH_GROUP_BYTES - shape->used;
	memcpy(shape->out + shape->used, text, bytes);
	shape->used += bytes;
}

static void shape_word(struct shape *shape, const char *word)
{
	shape_put(shape, word, strlen(word));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(const char *text, size_t bytes)
{
	if (bytes != UUID_BYTES)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return true;
}

/* What the bytes of a segment are, counted once. */
struct segment_counts {
	size_t digits, upper, lower, hex, separators;
};

static struct segment_counts segment_count(const char *text, size_t bytes)
{
	struct segment_counts counts = {0};

	for (size_t i = 0; i < bytes; i++) {
		counts.digits += is_digit(text[i]);
		counts.upper += text[i] >= 'A' && text[i] <= 'Z';
		counts.lower += text[i] >= 'a' && text[i] <= 'z';
		counts.hex += is_hex(text[i]);
		counts.separators += text[i] && strchr(".-_:,", text[i]) != NULL;
	}
	return counts;
}

static bool is_token(const struct segment_counts *counts, const char *text, size_t bytes)
{
	if (bytes > WORD_BYTES_MAX || !escape_is_plain(text, bytes))
		return true;
	if (bytes < TOKEN_BYTES_MIN || !counts->digits)
		return false;
	/* Base64 mixes cases; in "release-2026-candidate" digits are few, in a token many. */
	return (counts->upper && counts->lower) || counts->digits * 5 >= bytes;
}

/* A name, its longer runs of digits taken for values. */
static void shape_name(struct shape *shape, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		size_t run = 0;

		while (i + run < bytes && is_digit(text[i + run]))
			run++;
		if (run >= DIGITS_RUN_MIN)
			shape_word(shape, "{n}");
		else
			shape_put(shape, text + i, run ? run : 1);
		i += run ? run : 1;
	}
}

static void shape_segment(struct shape *shape, const char *text, size_t bytes)
{
	struct segment_counts counts = segment_count(text, bytes);

	if (counts.digits && counts.digits + counts.separators == bytes)
		shape_word(shape, "{n}");
	else if (is_uuid(text, bytes))
		shape_word(shape, "{uuid}");
	else if (bytes >= HEX_BYTES_MIN && counts.hex == bytes && counts.digits)
		shape_word(shape, "{hex}");
	else if (is_token(&counts, text, bytes))
		shape_word(shape, "{token}");
	else
		shape_name(shape, text, bytes);
}

size_t path_group(const char *path, size_t bytes, char out[PATH_GROUP_BYTES])
{
	struct shape shape = {.out = out};
	size_t begin = 0, segments = 0;

	if (!bytes)
		shape_word(&shape, "/");
	while (begin < bytes) {
		const char *slash = memchr(path + begin, '/', bytes - begin);
		size_t end = slash ? (size_t)(slash - path) : bytes;

		/* Room for the widest word and its slash, so that no cut can split a character. */
		segments += end > begin;
		if (segments > SEGMENTS_MAX ||
		    shape.used + 3 * WORD_BYTES_MAX / 2 > PATH_GROUP_BYTES) {
			shape_word(&shape, "{more}");
			break;
		}
		shape_segment(&shape, path + begin, end - begin);
		if (slash)
			shape_word(&shape, "/");
		begin = end + 1;
	}
	return shape.used;
}
