/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: the first line as a pattern, of the configuration and of --path and --route, each
 * further line as a path. Whether a pattern of the configuration matches is decided here once more,
 * segment by segment.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "filter.h"
#include "log.h"
#include "path_group.h"
#include "path_shape.h"
#include "request.h"
#include "settings.h"

struct span {
	const char *at;
	size_t bytes;
};

/* Takes the first segment off; what is left begins behind the slash. False: there was none. */
static bool segment_take(struct span *from, struct span *segment)
{
	const char *slash;

	if (!from->at)
		return false;
	slash = memchr(from->at, '/', from->bytes);
	*segment = (struct span){from->at, slash ? (size_t)(slash - from->at) : from->bytes};
	from->bytes -= segment->bytes + (slash ? 1 : 0);
	from->at = slash ? slash + 1 : NULL;
	return true;
}

static bool segments_match(struct span pattern, struct span path)
{
	struct span wanted, found;

	while (segment_take(&pattern, &wanted)) {
		if (!segment_take(&path, &found))
			return false;
		if (wanted.bytes && wanted.at[0] == '{') {
			if (!found.bytes)
				return false;
			if (wanted.bytes > 4 && !memcmp(wanted.at + wanted.bytes - 4, "...}", 4))
				return true;
		} else if (wanted.bytes != found.bytes ||
			   memcmp(wanted.at, found.at, wanted.bytes) != 0) {
			return false;
		}
	}
	return !path.at;
}

static void shape_check(struct path_shape *shape, struct span pattern, struct span path)
{
	char group[PATH_GROUP_BYTES], out[PATH_GROUP_BYTES];
	size_t group_bytes = path_group(path.at, path.bytes, group);
	struct path_trail trail;
	size_t bytes = path_shape_of(shape, path.at, path.bytes, group, group_bytes,
				     path.bytes % 5 != 0, out, &trail);

	if (bytes > sizeof(out) || trail.count > PATH_TRAIL_MAX)
		abort();
	if (segments_match(pattern, path) &&
	    (bytes != pattern.bytes || memcmp(out, pattern.at, bytes) != 0))
		abort();
	path_shape_again(&trail);
}

static void filter_check(const char *glob, struct span path)
{
	const struct config by_path = {.path_glob = glob}, by_route = {.route = glob};
	const struct request request = {
		.path = {path.at, path.bytes},
		.route = {path.at, path.bytes},
		.application_ns = REQUEST_UNSEEN,
	};

	/* A route passes by its own name, too. */
	if (filter_passes(&by_path, &request) && !filter_passes(&by_route, &request))
		abort();
}

static void paths_check(struct path_shape *shape, const char *pattern, struct span rest)
{
	while (rest.bytes) {
		const char *newline = memchr(rest.at, '\n', rest.bytes);
		size_t bytes = newline ? (size_t)(newline - rest.at) : rest.bytes;

		if (shape)
			shape_check(shape, (struct span){pattern, strlen(pattern)},
				    (struct span){rest.at, bytes});
		filter_check(pattern, (struct span){rest.at, bytes});
		rest.at += bytes + (newline ? 1 : 0);
		rest.bytes -= bytes + (newline ? 1 : 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *text = (const char *)data, *newline = memchr(text, '\n', bytes);
	char line[SETTINGS_PATTERN_BYTES + 64] = "path ";
	struct settings *settings = NULL;
	struct path_shape *shape = NULL;
	size_t length = newline ? (size_t)(newline - text) : bytes;

	if (!newline || !length || length > sizeof(line) - 6 || memchr(text, 0, length))
		return 0;
	memcpy(line + 5, text, length);
	log_level_set(LOG_LEVEL_NONE);
	/* A word of its own: a comment or a space would make it another pattern. */
	if (!strpbrk(line + 5, " \t\r#") &&
	    !settings_parse("fuzz", line, strlen(line), &settings)) {
		shape = path_shape_new(settings);
		if (!shape)
			abort();
	}
	paths_check(shape, line + 5, (struct span){newline + 1, bytes - length - 1});
	path_shape_free(shape);
	settings_free(settings);
	return 0;
}
