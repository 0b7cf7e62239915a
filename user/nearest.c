/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The distance of Damerau and Levenshtein (adjacent swaps only) over short names.
 */
#include "nearest.h"

#include <string.h>

#define NAME_BYTES 31

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int least = a < b ? a : b;

	return least < c ? least : c;
}

unsigned int nearest_distance(const char *a, const char *b)
{
	unsigned int table[NAME_BYTES + 1][NAME_BYTES + 1];
	size_t a_bytes = strnlen(a, NAME_BYTES);
	size_t b_bytes = strnlen(b, NAME_BYTES);

	for (size_t i = 0; i <= a_bytes; i++)
		table[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= b_bytes; j++)
		table[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= a_bytes; i++) {
		for (size_t j = 1; j <= b_bytes; j++) {
			unsigned int change = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			table[i][j] = min3(table[i - 1][j] + 1, table[i][j - 1] + 1, change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    table[i - 2][j - 2] + 1 < table[i][j])
				table[i][j] = table[i - 2][j - 2] + 1;
		}
	}
	return table[a_bytes][b_bytes];
}

const char *nearest_name(const char *typed, const char *const *names, size_t count)
{
	size_t typed_bytes = strlen(typed);
	/* One slip in three letters is still a slip; more is another word. */
	unsigned int best = (unsigned int)(typed_bytes < NAME_BYTES ? typed_bytes : NAME_BYTES) / 3;
	const char *nearest = NULL;

	if (best < 1)
		best = 1;
	for (size_t i = 0; i < count; i++) {
		unsigned int distance = nearest_distance(typed, names[i]);

		if (distance <= best && (!nearest || distance < best)) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}
