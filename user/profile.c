/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the tree's two hashes, by which a function and a node are found again, and its growth.
 */
#include "profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 1024

/* Numbers of functions or nodes, plus one; 0: free. A power of two, at most half in use. */
struct slots {
	uint32_t *slots;
	size_t count;
};

struct profile_index {
	struct slots functions, nodes;
	uint32_t function_room, node_room; /* of the arrays */
};

static uint32_t hash_bytes(uint32_t hash, const void *data, size_t bytes)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < bytes; i++)
		/* NOLINTNEXTLINE(clang-analyzer-*): all keys are filled by their callers */
		hash = (hash ^ at[i]) * 16777619U; /* FNV-1a */
	return hash;
}

static uint32_t function_hash(enum profile_kind kind, struct request_text name,
			      struct request_text file, uint32_t first_line)
{
	uint32_t hash = 2166136261U ^ first_line ^ (uint32_t)kind << 28;

	return hash_bytes(hash_bytes(hash, name.ptr, name.bytes), file.ptr, file.bytes);
}

static uint32_t node_hash(uint32_t parent, uint32_t function, uint32_t line)
{
	const uint32_t key[] = {parent, function, line};

	return hash_bytes(2166136261U, key, sizeof(key));
}

/* The hash of what a slot's number stands for. */
static uint32_t item_hash(const struct profile *profile, const struct slots *slots, uint32_t item)
{
	const struct profile_function *function;
	const struct profile_node *node;

	if (slots == &profile->index->functions) {
		function = &profile->functions[item];
		return function_hash(function->kind, function->name, function->file,
				     function->first_line);
	}
	node = &profile->nodes[item];
	return node_hash(node->parent, node->function, node->line);
}

static void slots_put(struct slots *slots, uint32_t hash, uint32_t item)
{
	size_t i = hash & (slots->count - 1);

	while (slots->slots[i])
		i = (i + 1) & (slots->count - 1);
	slots->slots[i] = item + 1;
}

/* Makes room for one more than there are. 0 or -ENOMEM. */
static int slots_grow(const struct profile *profile, struct slots *slots, uint32_t used)
{
	struct slots fresh = {.count = 2 * slots->count};

	if (2 * ((size_t)used + 1) <= slots->count)
		return 0;
	fresh.slots = calloc(fresh.count, sizeof(*fresh.slots));
	if (!fresh.slots)
		return -ENOMEM;
	for (uint32_t item = 0; item < used; item++)
		slots_put(&fresh, item_hash(profile, slots, item), item);
	free(slots->slots);
	*slots = fresh;
	return 0;
}

/* The array with room for one more than count, doubled where there is none; NULL: no memory. */
static void *array_grow(void *array, uint32_t count, uint32_t *room, size_t item_bytes)
{
	if (count < *room)
		return array;
	array = reallocarray(array, 2 * (size_t)*room, item_bytes);
	if (array)
		*room *= 2;
	return array;
}

static bool text_same(struct request_text a, struct request_text b)
{
	return a.bytes == b.bytes && (!a.bytes || !memcmp(a.ptr, b.ptr, a.bytes));
}

static int text_copy(struct request_text *out, struct request_text text)
{
	char *copy = malloc(text.bytes + 1);

	if (!copy)
		return -ENOMEM;
	if (text.bytes)
		memcpy(copy, text.ptr, text.bytes);
	copy[text.bytes] = '\0';
	*out = (struct request_text){copy, text.bytes};
	return 0;
}

static int function_new(struct profile *profile, const struct profile_frame *frame, uint32_t hash,
			uint32_t *out)
{
	struct profile_index *index = profile->index;
	struct profile_function *functions, *function;
	int error;

	if (profile->function_count >= PROFILE_FUNCTIONS_MAX)
		return -ENOSPC;
	functions = array_grow(profile->functions, profile->function_count, &index->function_room,
			       sizeof(*functions));
	if (!functions)
		return -ENOMEM;
	profile->functions = functions;
	error = slots_grow(profile, &index->functions, profile->function_count);
	if (error)
		return error;
	function = &functions[profile->function_count];
	*function = (struct profile_function){
		.kind = frame->kind,
		.state = frame->state,
		.first_line = frame->first_line,
	};
	error = text_copy(&function->name, frame->name);
	if (!error)
		error = text_copy(&function->file, frame->file);
	if (error) {
		free((char *)function->name.ptr);
		return error;
	}
	slots_put(&index->functions, hash, profile->function_count);
	*out = profile->function_count++;
	return 0;
}

/* The number of a frame's function, made where it is new. 0, -ENOSPC, -ENOMEM. */
static int function_get(struct profile *profile, const struct profile_frame *frame, uint32_t *out)
{
	const struct slots *slots = &profile->index->functions;
	uint32_t hash = function_hash(frame->kind, frame->name, frame->file, frame->first_line);
	size_t i = hash & (slots->count - 1);

	for (; slots->slots[i]; i = (i + 1) & (slots->count - 1)) {
		const struct profile_function *function = &profile->functions[slots->slots[i] - 1];

		if (function->kind == frame->kind && function->first_line == frame->first_line &&
		    text_same(function->name, frame->name) &&
		    text_same(function->file, frame->file)) {
			*out = slots->slots[i] - 1;
			return 0;
		}
	}
	return function_new(profile, frame, hash, out);
}

static int node_new(struct profile *profile, uint32_t parent, uint32_t function, uint32_t line,
		    uint32_t *out)
{
	struct profile_index *index = profile->index;
	struct profile_node *nodes;
	int error;

	if (profile->node_count >= PROFILE_NODES_MAX)
		return -ENOSPC;
	nodes = array_grow(profile->nodes, profile->node_count, &index->node_room, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	profile->nodes = nodes;
	error = slots_grow(profile, &index->nodes, profile->node_count);
	if (error)
		return error;
	nodes[profile->node_count] = (struct profile_node){
		.parent = parent,
		.function = function,
		.line = line,
		.depth = profile->node_count ? nodes[parent].depth + 1 : 0,
	};
	slots_put(&index->nodes, node_hash(parent, function, line), profile->node_count);
	*out = profile->node_count++;
	return 0;
}

/* The number of a node's child, made where it is new. 0, -ENOSPC, -ENOMEM. */
static int node_get(struct profile *profile, uint32_t parent, uint32_t function, uint32_t line,
		    uint32_t *out)
{
	const struct slots *slots = &profile->index->nodes;
	size_t i = node_hash(parent, function, line) & (slots->count - 1);

	for (; slots->slots[i]; i = (i + 1) & (slots->count - 1)) {
		const struct profile_node *node = &profile->nodes[slots->slots[i] - 1];

		/* The root is its own parent and no one's child. */
		if (slots->slots[i] != 1 && node->parent == parent && node->function == function &&
		    node->line == line) {
			*out = slots->slots[i] - 1;
			return 0;
		}
	}
	return node_new(profile, parent, function, line, out);
}

int profile_new(bool by_line, struct profile **out)
{
	static const struct profile_frame root = {.kind = PROFILE_ROOT, .name = {"all", 3}};
	struct profile *profile = calloc(1, sizeof(*profile));
	struct profile_index *index = calloc(1, sizeof(*index));
	uint32_t function, node;
	int error = -ENOMEM;

	if (!profile || !index) {
		free(profile);
		free(index);
		return error;
	}
	profile->by_line = by_line;
	profile->index = index;
	index->function_room = index->node_room = SLOTS_FIRST / 2;
	index->functions.count = index->nodes.count = SLOTS_FIRST;
	index->functions.slots = calloc(SLOTS_FIRST, sizeof(uint32_t));
	index->nodes.slots = calloc(SLOTS_FIRST, sizeof(uint32_t));
	profile->functions = calloc(index->function_room, sizeof(*profile->functions));
	profile->nodes = calloc(index->node_room, sizeof(*profile->nodes));
	if (index->functions.slots && index->nodes.slots && profile->functions && profile->nodes)
		error = function_get(profile, &root, &function);
	if (!error)
		error = node_new(profile, 0, function, 0, &node);
	if (error) {
		profile_free(profile);
		return error;
	}
	*out = profile;
	return 0;
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	for (uint32_t i = 0; i < profile->function_count; i++) {
		free((char *)profile->functions[i].name.ptr);
		free((char *)profile->functions[i].file.ptr);
	}
	free(profile->functions);
	free(profile->nodes);
	free(profile->index->functions.slots);
	free(profile->index->nodes.slots);
	free(profile->index);
	free(profile);
}

/* A recording can lie about weights: sums stay where they are at the end of the numbers. */
static void weight_add(struct profile_weight *weight, uint64_t ns, uint64_t samples)
{
	if (__builtin_add_overflow(weight->ns, ns, &weight->ns) || weight->ns > INT64_MAX)
		weight->ns = INT64_MAX;
	weight->samples += samples;
}

int profile_add(struct profile *profile, unsigned int side, const struct profile_frame *frames,
		size_t count, uint64_t weight_ns)
{
	uint32_t node = 0, function;
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		error = function_get(profile, &frames[i], &function);
		if (!error)
			error = node_get(profile, node, function,
					 profile->by_line ? frames[i].line : 0, &node);
	}
	if (error && error != -ENOSPC)
		return error;
	profile->cut += error == -ENOSPC;
	weight_add(&profile->nodes[node].self[side], weight_ns, 1);
	return 0;
}

static int text_compare(struct request_text a, struct request_text b)
{
	size_t shorter = a.bytes < b.bytes ? a.bytes : b.bytes;
	int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;

	return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int function_compare(const void *a, const void *b)
{
	const struct profile_function *first = *(struct profile_function *const *)a;
	const struct profile_function *second = *(struct profile_function *const *)b;
	int order = text_compare(first->name, second->name);

	if (!order)
		order = text_compare(first->file, second->file);
	if (!order)
		order = (first->first_line > second->first_line) -
			(first->first_line < second->first_line);
	return order ? order : (int)first->kind - (int)second->kind;
}

static int functions_rank(struct profile *profile)
{
	struct profile_function **sorted = calloc(profile->function_count, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile->function_count; i++)
		sorted[i] = &profile->functions[i];
	qsort(sorted, profile->function_count, sizeof(*sorted), function_compare);
	for (uint32_t i = 0; i < profile->function_count; i++)
		sorted[i]->rank = i;
	free(sorted);
	return 0;
}

/* What the order of siblings goes by. */
struct sibling {
	uint32_t node, parent, rank, line;
};

static int sibling_compare(const void *a, const void *b)
{
	const struct sibling *first = a, *second = b;

	if (first->parent != second->parent)
		return first->parent > second->parent ? 1 : -1;
	if (first->rank != second->rank)
		return first->rank > second->rank ? 1 : -1;
	return (first->line > second->line) - (first->line < second->line);
}

static int children_link(struct profile *profile)
{
	uint32_t count = profile->node_count - 1;
	struct sibling *siblings = calloc(count + 1, sizeof(*siblings));

	if (!siblings)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct profile_node *node = &profile->nodes[i + 1];

		siblings[i] = (struct sibling){i + 1, node->parent,
					       profile->functions[node->function].rank, node->line};
	}
	qsort(siblings, count, sizeof(*siblings), sibling_compare);
	while (count--) { /* from the last on, each before the ones that were */
		struct profile_node *parent = &profile->nodes[siblings[count].parent];

		profile->nodes[siblings[count].node].next_sibling = parent->first_child;
		parent->first_child = siblings[count].node;
	}
	free(siblings);
	return 0;
}

int profile_finish(struct profile *profile)
{
	int error = functions_rank(profile);

	if (!error)
		error = children_link(profile);
	if (error)
		return error;
	for (uint32_t i = profile->node_count; i-- > 0;) {
		struct profile_node *node = &profile->nodes[i];

		for (unsigned int side = 0; side < PROFILE_SIDES; side++) {
			weight_add(&node->total[side], node->self[side].ns,
				   node->self[side].samples);
			if (i)
				weight_add(&profile->nodes[node->parent].total[side],
					   node->total[side].ns, node->total[side].samples);
		}
	}
	return 0;
}

uint32_t profile_next(const struct profile *profile, uint32_t node)
{
	if (profile->nodes[node].first_child)
		return profile->nodes[node].first_child;
	while (node && !profile->nodes[node].next_sibling)
		node = profile->nodes[node].parent;
	return node ? profile->nodes[node].next_sibling : 0;
}
