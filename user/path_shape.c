/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns a tree of the values that were seen, one node a value, in one hash by (parent, value). A
 * node is also the position of what follows it, and counts the values there.
 */
#include "path_shape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "key_table.h"
#include "settings.h"

#define NAME "{name}"

_Static_assert(SETTINGS_PATTERN_BYTES <= PATH_GROUP_BYTES, "a pattern is a path group");

struct path_node {
	uint32_t id;
	bool collapsed;	     /* what follows has shown too many values */
	unsigned int values; /* that follow */
	/* Requests of this value, and of all values that follow; no longer counted once the
	 * position has collapsed, so that it stays decided who keeps a name. */
	uint64_t hits, hits_below;
	struct path_node *parent;
};

struct path_shape {
	const struct settings *settings; /* borrowed */
	struct key_table *nodes;	 /* of struct path_node, owned */
	struct path_node root;
	size_t overflows;
	uint64_t changes;
};

/* What is written, and where in the tree it ends; at NULL: in no node. */
struct walk {
	struct path_shape *shape;
	struct path_node *at;
	bool learns;
	char *out; /* PATH_GROUP_BYTES */
	size_t used;
	struct path_trail *trail;
};

struct path_shape *path_shape_new(const struct settings *settings)
{
	struct path_shape *shape = calloc(1, sizeof(*shape));

	if (!shape)
		return NULL;
	shape->settings = settings;
	shape->nodes = key_table_new(PATH_SHAPE_VALUES_MAX);
	if (!shape->nodes) {
		free(shape);
		return NULL;
	}
	return shape;
}

void path_shape_free(struct path_shape *shape)
{
	if (!shape)
		return;
	for (size_t i = 0; i < key_table_count(shape->nodes); i++)
		free(key_table_at(shape->nodes, i));
	key_table_free(shape->nodes);
	free(shape);
}

void path_shape_settings(struct path_shape *shape, const struct settings *settings)
{
	shape->settings = settings;
	shape->changes++;
}

size_t path_shape_overflows(const struct path_shape *shape)
{
	return shape->overflows;
}

uint64_t path_shape_changes(const struct path_shape *shape)
{
	return shape->changes;
}

static void node_hit(struct path_node *node)
{
	if (node->parent->collapsed)
		return;
	node->hits++;
	node->parent->hits_below++;
}

void path_shape_again(const struct path_trail *trail)
{
	for (size_t i = 0; i < trail->count; i++)
		node_hit(trail->nodes[i]);
}

/* One segment of a pattern stands for one of the path, {name...} for all the rest. */
static bool pattern_matches(const struct settings_pattern *pattern, const char *path, size_t bytes)
{
	const char *end = path + bytes, *want = pattern->text;

	while (*want) {
		const char *brace;

		if (*want != '{') {
			if (path == end || *path++ != *want++)
				return false;
			continue;
		}
		brace = strchr(want, '}');
		if (path == end || *path == '/')
			return false;
		if (brace[-1] == '.')
			return true;
		while (path < end && *path != '/')
			path++;
		want = brace + 1;
	}
	return path == end;
}

struct node_key {
	size_t bytes;
	char text[sizeof(uint32_t) + PATH_GROUP_BYTES];
};

static void node_key_make(struct node_key *key, const struct path_node *parent, const char *value,
			  size_t bytes)
{
	memcpy(key->text, &parent->id, sizeof(parent->id));
	memcpy(key->text + sizeof(parent->id), value, bytes);
	key->bytes = sizeof(parent->id) + bytes;
}

/* NULL: no room, counted. */
static struct path_node *node_add(struct path_shape *shape, struct path_node *parent,
				  const struct node_key *key)
{
	struct path_node *node = calloc(1, sizeof(*node));

	if (node && !key_table_add(shape->nodes, key->text, key->bytes, node)) {
		node->id = (uint32_t)key_table_count(shape->nodes);
		node->parent = parent;
		shape->changes++;
		return node;
	}
	free(node);
	shape->overflows++;
	return NULL;
}

static void walk_put(struct walk *walk, const char *text, size_t bytes)
{
	memcpy(walk->out + walk->used, text, bytes);
	walk->used += bytes;
}

/* A segment that is a value by its form, or has become one: it takes no place among the values. */
static void walk_placeholder(struct walk *walk, const char *text, size_t bytes)
{
	struct node_key key;
	struct path_node *node;

	walk_put(walk, text, bytes);
	if (!walk->at)
		return;
	node_key_make(&key, walk->at, text, bytes);
	node = key_table_get(walk->shape->nodes, key.text, key.bytes);
	if (!node && walk->learns)
		node = node_add(walk->shape, walk->at, &key);
	walk->at = node;
}

/* The node under which a value keeps its name, NULL: it is {name}. */
static struct path_node *value_node(struct walk *walk, const char *text, size_t bytes)
{
	struct path_node *parent = walk->at, *node;
	struct node_key key;

	if (!parent)
		return NULL;
	node_key_make(&key, parent, text, bytes);
	node = key_table_get(walk->shape->nodes, key.text, key.bytes);
	if (parent->collapsed)
		return node && node->hits * 16 >= parent->hits_below ? node : NULL;
	if (!walk->learns)
		return node;
	if (!node && parent->values >= walk->shape->settings->segment_values) {
		parent->collapsed = true;
		walk->shape->changes++;
		return NULL;
	}
	if (!node) {
		node = node_add(walk->shape, parent, &key);
		if (!node)
			return NULL;
		parent->values++;
	}
	node_hit(node);
	if (walk->trail->count < PATH_TRAIL_MAX)
		walk->trail->nodes[walk->trail->count++] = node;
	return node;
}

static bool is_placeholder(const char *text, size_t bytes)
{
	return text[0] == '{' && text[bytes - 1] == '}';
}

static void walk_segment(struct walk *walk, const char *text, size_t bytes)
{
	struct path_node *node;

	if (is_placeholder(text, bytes)) {
		walk_placeholder(walk, text, bytes);
		return;
	}
	node = value_node(walk, text, bytes);
	if (node) {
		walk_put(walk, text, bytes);
		walk->at = node;
	} else {
		walk_placeholder(walk, NAME, strlen(NAME));
	}
}

/* The shape of path_group(), position by position. */
static size_t shape_walk(struct walk *walk, const char *group, size_t bytes)
{
	static const char more[] = "{more}";
	const size_t room = PATH_GROUP_BYTES - strlen(more) - strlen(NAME) - 1;

	for (size_t begin = 0; begin < bytes;) {
		const char *slash = memchr(group + begin, '/', bytes - begin);
		size_t length = (slash ? (size_t)(slash - group) : bytes) - begin;

		if (walk->used + length > room) {
			walk_put(walk, more, strlen(more));
			break;
		}
		if (length)
			walk_segment(walk, group + begin, length);
		if (slash)
			walk_put(walk, "/", 1);
		begin += length + 1;
	}
	return walk->used;
}

size_t path_shape_of(struct path_shape *shape, const char *path, size_t path_bytes,
		     const char *group, size_t group_bytes, bool learns, char out[PATH_GROUP_BYTES],
		     struct path_trail *trail)
{
	struct walk walk = {
		.shape = shape, .at = &shape->root, .learns = learns, .out = out, .trail = trail};
	const struct settings *settings = shape->settings;

	trail->count = 0;
	for (size_t i = 0; i < settings->pattern_count; i++) {
		const struct settings_pattern *pattern = &settings->patterns[i];

		if (pattern_matches(pattern, path, path_bytes)) {
			memcpy(out, pattern->text, pattern->bytes);
			return pattern->bytes;
		}
	}
	return shape_walk(&walk, group, group_bytes);
}
