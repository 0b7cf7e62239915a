/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Did you mean": the name of a list that is nearest to what was typed. Knows no options or verbs.
 */
#ifndef WSGISCOPE_NEAREST_H
#define WSGISCOPE_NEAREST_H

#include <stddef.h>

/*
 * How many single letters must be changed, added, taken out or swapped with the next one to make
 * a into b. Only the first 31 bytes of each count.
 */
unsigned int nearest_distance(const char *a, const char *b);

/* The nearest of count names, or NULL where none is near enough to be meant. */
const char *nearest_name(const char *typed, const char *const *names, size_t count);

#endif
