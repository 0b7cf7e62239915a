/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The low-cardinality shape of a path, for where no framework told the route:
 * /issue/42/edit -> /issue/{n}/edit. Knows nothing of requests.
 */
#ifndef WSGISCOPE_PATH_GROUP_H
#define WSGISCOPE_PATH_GROUP_H

#include <stddef.h>

/* What path_group() may write at most. */
#define PATH_GROUP_BYTES 192

/*
 * Writes the shape of a path of so many bytes (which may hold anything) to out, printable ASCII or
 * valid UTF-8, not terminated; returns its length, at most PATH_GROUP_BYTES. A segment becomes
 *	{n}	digits, also with . - _ : , between them (a date, a version)
 *	{uuid}	8-4-4-4-12 hex digits
 *	{hex}	8 hex digits or more, with at least one of 0-9
 *	{token}	what is no word: long, or long and with digits and letters mixed, or not text at all
 * and digits inside a word, three or more in a row, become {n} (photo_0042.jpg). What is deeper
 * than eight segments is cut to {more}.
 */
size_t path_group(const char *path, size_t bytes, char out[PATH_GROUP_BYTES]);

#endif
