/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A glob is fnmatch(3)'s over bytes, where * also matches slashes.
 */
#include "filter.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "request.h"

#define PATH_BYTES 1024

static bool text_matches(const char *glob, const struct request_text *from)
{
	char text[PATH_BYTES];

	if (!from->ptr || from->bytes >= sizeof(text))
		return false;
	for (size_t i = 0; i < from->bytes; i++)
		text[i] = from->ptr[i] ? from->ptr[i] : '\x01'; /* a NUL must not hide the rest */
	text[from->bytes] = '\0';
	return fnmatch(glob, text, 0) == 0;
}

/* A route may hold what means something in a glob: by itself it always matches. */
static bool route_matches(const char *route, const struct request *request)
{
	const struct request_text *name =
		request->route.ptr ? &request->route : &request->path_group;

	if (name->ptr && name->bytes == strlen(route) && !memcmp(name->ptr, route, name->bytes))
		return true;
	return text_matches(route, name);
}

static bool method_matches(const char *method, const struct request_text *from)
{
	return from->ptr && from->bytes == strlen(method) &&
	       !strncasecmp(from->ptr, method, from->bytes);
}

bool filter_status_valid(const char *status)
{
	return strlen(status) == 3 && status[0] >= '1' && status[0] <= '9' &&
	       (!strcasecmp(status + 1, "xx") ||
		(status[1] >= '0' && status[1] <= '9' && status[2] >= '0' && status[2] <= '9'));
}

static bool status_matches(const char *status, const struct request *request)
{
	int64_t code = request->status != REQUEST_UNSEEN ? request->status : request->wire_status;

	if (code == REQUEST_UNSEEN)
		return false;
	if (status[1] == 'x' || status[1] == 'X')
		return code / 100 == status[0] - '0';
	return code == (status[0] - '0') * 100 + (status[1] - '0') * 10 + status[2] - '0';
}

bool filter_is_slow(const struct config *config, const struct request *request)
{
	return config->slower_ms <= 0 || request->application_ns == REQUEST_UNSEEN ||
	       (double)request->application_ns > config->slower_ms * 1e6;
}

bool filter_passes(const struct config *config, const struct request *request)
{
	if (config->min_ms > 0 && request->application_ns != REQUEST_UNSEEN &&
	    (double)request->application_ns < config->min_ms * 1e6)
		return false;
	if (config->path_glob && !text_matches(config->path_glob, &request->path))
		return false;
	if (config->route && !route_matches(config->route, request))
		return false;
	if (config->method && !method_matches(config->method, &request->method))
		return false;
	return !config->status || status_matches(config->status, request);
}
