/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the arithmetic of UTF-8. Must not know where strings come from.
 */
#include "utf8.h"

#include <string.h>

size_t utf8_put(char *out, uint32_t code)
{
	if (code > 0x10ffff)
		code = 0xfffd;
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

uint32_t utf8_character(const char *from, unsigned int width)
{
	uint16_t two;
	uint32_t four;

	switch (width) {
	case 2:
		memcpy(&two, from, sizeof(two));
		return two;
	case 4:
		memcpy(&four, from, sizeof(four));
		return four;
	default:
		return (unsigned char)*from;
	}
}
