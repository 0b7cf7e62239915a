/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that grows in memory. Made to be kept and filled again, so that only the first scrape pays
 * for its pages. Knows nothing of what is written.
 */
#ifndef WSGISCOPE_TEXT_BUFFER_H
#define WSGISCOPE_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: empty. */
struct text_buffer {
	char *text; /* owned; not terminated */
	size_t bytes, room;
	bool failed; /* no memory: what was put since is not there */
};

void text_buffer_free(struct text_buffer *buffer);  /* it is empty afterwards */
void text_buffer_clear(struct text_buffer *buffer); /* keeps its memory */
void text_put(struct text_buffer *buffer, const char *text, size_t bytes);
void text_put_word(struct text_buffer *buffer, const char *word); /* terminated */
void text_put_number(struct text_buffer *buffer, uint64_t number);

/* number / 10^places, exact, without zeros at its end: 1500000, 6: "1.5". places: 0 to 18 */
void text_put_decimal(struct text_buffer *buffer, uint64_t number, unsigned int places);

/* Room for so many bytes more at once, to be filled at text + bytes; NULL: no memory. */
char *text_room(struct text_buffer *buffer, size_t bytes);

#endif
