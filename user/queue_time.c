/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header comes from a front end or, where that does not overwrite it, from the client: hostile.
 */
#include "queue_time.h"

#include <stdbool.h>
#include <string.h>

#define NS_PER_SECOND	 INT64_C(1000000000)
#define YEAR_2000	 INT64_C(946684800)
#define AGE_MAX_NS	 (86400 * NS_PER_SECOND)
#define CLOCK_AHEAD_NS	 INT64_C(5000000)
#define WHOLE_DIGITS_MAX 17 /* microseconds until the year 5138 */

struct cursor {
	const char *text;
	size_t bytes;
};

static bool take(struct cursor *cursor, const char *any, char *taken)
{
	if (!cursor->bytes || !*cursor->text || !strchr(any, *cursor->text))
		return false;
	*taken = *cursor->text++;
	cursor->bytes--;
	return true;
}

/* Reads 1 to WHOLE_DIGITS_MAX digits. */
static bool whole_read(struct cursor *cursor, int64_t *out)
{
	int digits = 0;
	char c;

	for (*out = 0; take(cursor, "0123456789", &c); digits++) {
		if (digits >= WHOLE_DIGITS_MAX)
			return false;
		*out = *out * 10 + (c - '0');
	}
	return digits > 0;
}

/* Digits after a point, as parts of a unit of unit_ns; what is finer than 1 ns is dropped. */
static int64_t fraction_read(struct cursor *cursor, int64_t unit_ns)
{
	int64_t sum = 0;
	char c;

	while (take(cursor, "0123456789", &c)) {
		unit_ns /= 10;
		sum += (c - '0') * unit_ns;
	}
	return sum;
}

int64_t queue_time_parse(const char *text, size_t bytes, int64_t start_ns)
{
	struct cursor cursor = {text, bytes};
	int64_t whole, unit_ns, then_ns, queue_ns;
	char c;

	while (take(&cursor, " \t", &c))
		;
	if (cursor.bytes >= 2 && !memcmp(cursor.text, "t=", 2))
		cursor = (struct cursor){cursor.text + 2, cursor.bytes - 2};
	if (!whole_read(&cursor, &whole))
		return -1;
	if (whole >= YEAR_2000 * 1000000)
		unit_ns = 1000;
	else if (whole >= YEAR_2000 * 1000)
		unit_ns = 1000000;
	else
		unit_ns = NS_PER_SECOND;
	if (whole < YEAR_2000 || __builtin_mul_overflow(whole, unit_ns, &then_ns))
		return -1;
	if (take(&cursor, ".", &c) &&
	    __builtin_add_overflow(then_ns, fraction_read(&cursor, unit_ns), &then_ns))
		return -1;
	while (take(&cursor, " \t", &c))
		;
	if (cursor.bytes || __builtin_sub_overflow(start_ns, then_ns, &queue_ns))
		return -1;
	if (queue_ns < 0)
		return queue_ns >= -CLOCK_AHEAD_NS ? 0 : -1;
	return queue_ns <= AGE_MAX_NS ? queue_ns : -1;
}
