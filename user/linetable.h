/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line tables of CPython's code objects, each version's to the one form that records have.
 * Pure: the table is hostile bytes, the result is bounded and ascending.
 */
#ifndef WSGISCOPE_LINETABLE_H
#define WSGISCOPE_LINETABLE_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "python/layout.h"

/*
 * Fills out with where each line begins, neighbours with the same line joined. How many there are;
 * where that would be more than max, the last one says that the lines behind it are not known.
 */
size_t linetable_decode(enum python_lines kind, uint32_t first_line, const uint8_t *table,
			size_t bytes, struct rec_line *out, size_t max);

#endif
