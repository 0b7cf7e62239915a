/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path group of a request among all that were seen: the patterns of the settings first, else
 * the shape that path_group() gave, with each position that shows too many values made {name}.
 * Bounded in memory, whatever the paths. Knows nothing of requests.
 */
#ifndef WSGISCOPE_PATH_SHAPE_H
#define WSGISCOPE_PATH_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include <stdint.h>

#include "path_group.h"

struct path_shape;
struct path_node;
struct settings;

/* Path groups are at most so many segments deep. */
#define PATH_TRAIL_MAX 9

/* The values that a path went through: what path_shape_again() counts. */
struct path_trail {
	size_t count;
	struct path_node *nodes[PATH_TRAIL_MAX]; /* live as long as the shape */
};

/* Values of all positions that are remembered at most; a further one is {name}. */
#define PATH_SHAPE_VALUES_MAX 16384

/* settings is borrowed until path_shape_free() or the next path_shape_settings(). NULL: no memory.
 */
struct path_shape *path_shape_new(const struct settings *settings);
void path_shape_free(struct path_shape *shape); /* NULL is fine */
void path_shape_settings(struct path_shape *shape, const struct settings *settings);

/*
 * path: the whole path, which may hold anything; group: what path_group() made of it. Writes what
 * the request is shown under to out and returns its length.
 *
 * A position is what can follow one beginning (/user/...). Once it has shown more than
 * segment-values values it is one of {name}: from then on only those that had at least a sixteenth
 * of its requests keep their names, which are the pages of a site as against its users.
 * learns false (the answer was 404): a value not known yet is {name} and is not remembered, so that
 * who tries paths at random neither fills the memory nor takes the names from the pages there are.
 */
size_t path_shape_of(struct path_shape *shape, const char *path, size_t path_bytes,
		     const char *group, size_t group_bytes, bool learns, char out[PATH_GROUP_BYTES],
		     struct path_trail *trail);

/*
 * While path_shape_changes() is the same number, path_shape_of() would give the same path the same
 * shape: who remembers it needs but this call, with the trail that came with it.
 */
void path_shape_again(const struct path_trail *trail);
uint64_t path_shape_changes(const struct path_shape *shape);

/* Values that were made {name} since PATH_SHAPE_VALUES_MAX was reached. */
size_t path_shape_overflows(const struct path_shape *shape);

#endif
