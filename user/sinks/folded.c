/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line a stack: its frames from the outermost on with semicolons between, a space,
 * microseconds. Of two sides both numbers, as flamegraph.pl's difffolded.pl writes them. What is a
 * semicolon in a name becomes a colon.
 */
#include "profile_format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "profile.h"
#include "profile_about.h"
#include "profile_words.h"

/* A frame's label with no semicolon in it. */
static int frame_put(FILE *out, const struct profile *profile, uint32_t node)
{
	char *label = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&label, &bytes);

	if (!memory)
		return -ENOMEM;
	profile_frame_put(memory, profile, node);
	if (fclose(memory)) {
		free(label);
		return -ENOMEM;
	}
	for (size_t i = 0; i < bytes; i++)
		fputc(label[i] == ';' ? ':' : label[i], out);
	free(label);
	return 0;
}

static int folded_write(const struct profile *profile, const struct profile_about *about, FILE *out)
{
	uint32_t path[PROFILE_DEPTH_MAX + 1];
	uint32_t node = 0;

	do {
		const struct profile_node *at = &profile->nodes[node];

		path[at->depth] = node;
		if (at->self[0].ns || at->self[1].ns) {
			for (uint32_t i = 1; i <= at->depth; i++) {
				if (i > 1)
					fputc(';', out);
				if (frame_put(out, profile, path[i]))
					return -ENOMEM;
			}
			fprintf(out, " %" PRIu64, (at->self[0].ns + 500) / 1000);
			if (about->is_diff)
				fprintf(out, " %" PRIu64, (at->self[1].ns + 500) / 1000);
			fputc('\n', out);
		}
		node = profile_next(profile, node);
	} while (node);
	return 0;
}

const struct profile_format format_folded = {
	.name = "folded",
	.ending = "txt",
	.diffs = true,
	.write = folded_write,
};
