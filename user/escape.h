/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile bytes made fit to be shown. What steers a terminal or misleads a reader (control
 * characters, invalid UTF-8, bidi controls, invisible characters) never comes out as it was.
 */
#ifndef WSGISCOPE_ESCAPE_H
#define WSGISCOPE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The next character of bytes > 0: its length, and its code point in *code; length 1 and
 * *code UINT32_MAX where it is not valid UTF-8 (over-long forms and surrogates are not).
 */
size_t escape_next(const char *text, size_t bytes, uint32_t *code);

/* True where the bytes are valid UTF-8 and hold nothing that would be escaped in a line of text. */
bool escape_is_plain(const char *text, size_t bytes);

/*
 * For a column of text: printable UTF-8 as it is; a byte that is no text or an ASCII control as
 * \xNN, a space as \x20 (so that columns stay columns), a backslash as \\, other characters that
 * cannot be seen or change the direction as \u{N}.
 */
void escape_text(FILE *out, const char *text, size_t bytes);

/* The same of a text in which spaces stay what they are: a last column, a sentence. */
void escape_sentence(FILE *out, const char *text);

/*
 * The inside of a JSON string: quotes, backslashes and controls as JSON has them (\u00NN), what
 * cannot be seen as \uNNNN, and a byte that is not valid UTF-8 as the four characters \xNN (so
 * "\\xff" in the JSON). Always valid JSON and valid UTF-8.
 */
void escape_json(FILE *out, const char *text, size_t bytes);

#endif
