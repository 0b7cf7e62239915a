/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the reading of UTF-8 and the list of what is not shown as it is. Both writers share them.
 */
#include "escape.h"

#include <string.h>

#define NOT_TEXT UINT32_MAX

/* Characters over ASCII that have no shape of their own or turn the writing round. */
static const struct range {
	uint32_t first, last;
} hidden[] = {
	{0x80, 0x9f},	     /* C1 controls: some terminals act on them */
	{0xa0, 0xa0},	     /* no-break space: looks like a column's end */
	{0xad, 0xad},	     /* soft hyphen */
	{0x34f, 0x34f},	     /* combining grapheme joiner */
	{0x61c, 0x61c},	     /* Arabic letter mark */
	{0x115f, 0x1160},    /* Hangul fillers */
	{0x17b4, 0x17b5},    /* Khmer inherent vowels */
	{0x180b, 0x180f},    /* Mongolian selectors */
	{0x2000, 0x200f},    /* spaces, zero width, direction marks */
	{0x2028, 0x202f},    /* line ends, embeddings, overrides */
	{0x205f, 0x206f},    /* more of the same, isolates */
	{0x3000, 0x3000},    /* ideographic space */
	{0x3164, 0x3164},    /* Hangul filler */
	{0xe000, 0xf8ff},    /* private use */
	{0xfe00, 0xfe0f},    /* variation selectors */
	{0xfeff, 0xfeff},    /* byte order mark */
	{0xffa0, 0xffa0},    /* half-width Hangul filler */
	{0xfff0, 0xfffb},    /* specials, interlinear annotation */
	{0xfffe, 0xffff},    /* not characters */
	{0x1d173, 0x1d17a},  /* musical controls */
	{0xe0000, 0x10ffff}, /* tags, selectors, private use */
};

static bool is_hidden(uint32_t code)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (code >= hidden[i].first && code <= hidden[i].last)
			return true;
	}
	return false;
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || code == 0x7f;
}

size_t escape_next(const char *text, size_t bytes, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)text[0];
	size_t length;
	uint32_t value;

	if (lead < 0x80) {
		*code = lead;
		return 1;
	}
	*code = NOT_TEXT;
	if (lead >= 0xc2 && lead <= 0xdf)
		length = 2;
	else if ((lead & 0xf0) == 0xe0)
		length = 3;
	else if (lead >= 0xf0 && lead <= 0xf4)
		length = 4;
	else
		return 1;
	if (length > bytes)
		return 1;
	value = lead & (0xffU >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		unsigned char next = (unsigned char)text[i];

		if ((next & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (next & 0x3f);
	}
	if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 1;
	*code = value;
	return length;
}

bool escape_is_plain(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		uint32_t code;

		if (text[i] > ' ' && text[i] < 0x7f &&
		    text[i] != '\\') { /* most of what there is */
			i++;
			continue;
		}
		i += escape_next(text + i, bytes - i, &code);
		if (code == NOT_TEXT || is_control(code) || code == ' ' || code == '\\' ||
		    is_hidden(code))
			return false;
	}
	return true;
}

/* How many bytes from here on are ASCII that neither writer touches: most of what there is. */
static size_t run_length(const char *text, size_t bytes)
{
	size_t i = 0;

	while (i < bytes && text[i] > ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
		i++;
	return i;
}

void escape_text(FILE *out, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		size_t run = run_length(text + i, bytes - i), length;
		uint32_t code;

		fwrite(text + i, 1, run, out);
		i += run;
		if (i == bytes)
			break;
		length = escape_next(text + i, bytes - i, &code);

		if (code == NOT_TEXT || is_control(code) || code == ' ')
			fprintf(out, "\\x%02x", (unsigned char)text[i]);
		else if (code == '\\')
			fputs("\\\\", out);
		else if (is_hidden(code))
			fprintf(out, "\\u{%x}", code);
		else
			fwrite(text + i, 1, length, out);
		i += length;
	}
}

void escape_sentence(FILE *out, const char *text)
{
	while (*text) {
		size_t word = strcspn(text, " ");

		if (word)
			escape_text(out, text, word);
		text += word;
		for (; *text == ' '; text++)
			putc(' ', out);
	}
}

static void json_code(FILE *out, uint32_t code)
{
	if (code > 0xffff)
		fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
			0xdc00 + ((code - 0x10000) & 0x3ff));
	else
		fprintf(out, "\\u%04x", code);
}

void escape_json(FILE *out, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		size_t run = run_length(text + i, bytes - i), length;
		uint32_t code;

		fwrite(text + i, 1, run, out);
		i += run;
		if (i == bytes)
			break;
		length = escape_next(text + i, bytes - i, &code);

		if (code == NOT_TEXT)
			fprintf(out, "\\\\x%02x", (unsigned char)text[i]);
		else if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (is_control(code) || is_hidden(code))
			json_code(out, code);
		else
			fwrite(text + i, 1, length, out);
		i += length;
	}
}
