/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the growing (by doubling) and the writing of numbers, which is most of what a scrape is.
 */
#include "text_buffer.h"

#include <stdlib.h>
#include <string.h>

#include "powers.h"

#define ROOM_MIN   4096
#define DIGITS_MAX 20 /* of 2^64 - 1 */

void text_buffer_free(struct text_buffer *buffer)
{
	free(buffer->text);
	*buffer = (struct text_buffer){0};
}

void text_buffer_clear(struct text_buffer *buffer)
{
	buffer->bytes = 0;
	buffer->failed = false;
}

char *text_room(struct text_buffer *buffer, size_t bytes)
{
	size_t room = buffer->room ? buffer->room : ROOM_MIN;
	char *text;

	if (buffer->failed)
		return NULL;
	if (bytes <= buffer->room - buffer->bytes)
		return buffer->text + buffer->bytes;
	while (room - buffer->bytes < bytes) {
		if (__builtin_mul_overflow(room, 2, &room)) {
			buffer->failed = true;
			return NULL;
		}
	}
	text = realloc(buffer->text, room);
	if (!text) {
		buffer->failed = true;
		return NULL;
	}
	buffer->text = text;
	buffer->room = room;
	return text + buffer->bytes;
}

void text_put(struct text_buffer *buffer, const char *text, size_t bytes)
{
	char *room = text_room(buffer, bytes);

	if (!room || !bytes)
		return;
	memcpy(room, text, bytes);
	buffer->bytes += bytes;
}

void text_put_word(struct text_buffer *buffer, const char *word)
{
	text_put(buffer, word, strlen(word));
}

/* Writes the digits so that they end before end, two at a time; returns where they begin. */
static char *digits_before(char *end, uint64_t number)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";

	while (number >= 100) {
		end -= 2;
		memcpy(end, pairs + 2 * (number % 100), 2);
		number /= 100;
	}
	if (number >= 10) {
		end -= 2;
		memcpy(end, pairs + 2 * number, 2);
	} else {
		*--end = (char)('0' + number);
	}
	return end;
}

void text_put_number(struct text_buffer *buffer, uint64_t number)
{
	char digits[DIGITS_MAX];
	char *begin = digits_before(digits + sizeof(digits), number);

	text_put(buffer, begin, (size_t)(digits + sizeof(digits) - begin));
}

void text_put_decimal(struct text_buffer *buffer, uint64_t number, unsigned int places)
{
	char digits[POWERS_OF_TEN_MAX], *end = digits + sizeof(digits);
	uint64_t fraction = number % powers_of_ten[places];
	char *begin;

	text_put_number(buffer, number / powers_of_ten[places]);
	if (!fraction)
		return;
	begin = digits_before(end, fraction);
	while (end - begin < (ptrdiff_t)places)
		*--begin = '0';
	while (end[-1] == '0')
		end--;
	text_put(buffer, ".", 1);
	text_put(buffer, begin, (size_t)(end - begin));
}
