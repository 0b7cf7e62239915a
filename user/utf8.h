/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Characters as CPython keeps them, to UTF-8.
 */
#ifndef WSGISCOPE_UTF8_H
#define WSGISCOPE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_BYTES_MAX 4

/* A code point as UTF-8: 1 to 4 bytes. A lone surrogate is kept in the same form (it is not valid
 * UTF-8, so it will be shown escaped); what is no code point at all becomes U+FFFD. */
size_t utf8_put(char *out, uint32_t code);

/* The character at `from` of a string that has so many bytes for each: 1, 2 or 4. */
uint32_t utf8_character(const char *from, unsigned int width);

#endif
