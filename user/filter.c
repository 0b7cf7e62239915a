/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The glob is fnmatch(3)'s over bytes, where * also matches slashes.
 */
#include "filter.h"

#include <fnmatch.h>
#include <string.h>

#include "config.h"
#include "request.h"

#define PATH_BYTES 1024

static bool path_matches(const char *glob, const struct request_text *path)
{
	char text[PATH_BYTES];

	if (!path->ptr || path->bytes >= sizeof(text))
		return false;
	for (size_t i = 0; i < path->bytes; i++)
		text[i] = path->ptr[i] ? path->ptr[i] : '\x01'; /* a NUL must not hide the rest */
	text[path->bytes] = '\0';
	return fnmatch(glob, text, 0) == 0;
}

bool filter_passes(const struct config *config, const struct request *request)
{
	if (config->min_ms > 0 && request->application_ns != REQUEST_UNSEEN &&
	    (double)request->application_ns < config->min_ms * 1e6)
		return false;
	return !config->path_glob || path_matches(config->path_glob, &request->path);
}
