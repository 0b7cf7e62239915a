/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of the formats, nothing else.
 */
#include "profile_format.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct profile_format *const formats[] = {
	&format_text,	    &format_folded, &format_svg,
	&format_speedscope, &format_pprof,  &format_pstats,
};

#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

const struct profile_format *profile_format_named(const char *name)
{
	for (size_t i = 0; i < FORMAT_COUNT; i++) {
		if (!strcmp(name, formats[i]->name))
			return formats[i];
	}
	return NULL;
}

/* True where the first bytes of path end with a dot and the word. */
static bool ends_with(const char *path, size_t bytes, const char *word)
{
	size_t length = strlen(word);

	return bytes > length && path[bytes - length - 1] == '.' &&
	       !strncasecmp(path + bytes - length, word, length);
}

const struct profile_format *profile_format_of_file(const char *path)
{
	size_t bytes = strlen(path);

	if (ends_with(path, bytes, "gz"))
		bytes -= strlen(".gz");
	for (size_t i = 0; i < FORMAT_COUNT; i++) {
		if (ends_with(path, bytes, formats[i]->name) ||
		    ends_with(path, bytes, formats[i]->ending))
			return formats[i];
	}
	return NULL;
}

void profile_format_names(char *out, size_t bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < FORMAT_COUNT && used < bytes; i++)
		used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? ", " : "",
					 formats[i]->name);
}
