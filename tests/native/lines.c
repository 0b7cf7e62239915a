/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines: for each line "KIND FIRST HEX" on stdin (enum python_lines, first line, line table) prints
 * what linetable_decode() makes of it, "OFFSET:LINE ...". For check_lines.py.
 */
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linetable.h"

static struct rec_line lines[REC_CODE_LINES_MAX];

static size_t hex_read(const char *hex, uint8_t *out)
{
	size_t bytes = 0;
	unsigned int byte;

	while (sscanf(hex + 2 * bytes, "%2x", &byte) == 1)
		out[bytes++] = (uint8_t)byte;
	return bytes;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		uint8_t *table = malloc(room);
		unsigned int kind, first;
		int at = 0;
		size_t count;

		if (!table || sscanf(line, "%u %u %n", &kind, &first, &at) < 2 || kind > 2) {
			free(table);
			free(line);
			return 1;
		}
		count = linetable_decode((enum python_lines)kind, first, table,
					 hex_read(line + at, table), lines, REC_CODE_LINES_MAX);
		for (size_t i = 0; i < count; i++)
			printf("%s%u:%u", i ? " " : "", lines[i].offset, lines[i].line);
		putchar('\n');
		free(table);
	}
	free(line);
	return 0;
}
