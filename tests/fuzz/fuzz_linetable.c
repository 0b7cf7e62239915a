/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: line tables. The first byte says which format, the next four the first line; what
 * comes out is ascending, within bounds, and never two neighbours alike.
 */
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "linetable.h"

#define LINES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rec_line lines[LINES_MAX];
	uint32_t first;
	size_t count;

	if (size < 5)
		return 0;
	memcpy(&first, data + 1, sizeof(first));
	count = linetable_decode((enum python_lines)(data[0] % 3), first, data + 5, size - 5, lines,
				 LINES_MAX);
	if (count > LINES_MAX)
		abort();
	for (size_t i = 1; i < count; i++)
		if (lines[i].offset <= lines[i - 1].offset ||
		    (lines[i].line == lines[i - 1].line && lines[i].line))
			abort();
	return 0;
}
