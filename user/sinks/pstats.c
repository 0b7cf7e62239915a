/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dict as cProfile dumps it, {(file, line, name): (cc, nc, tt, ct, callers)}, in the format of
 * Python's marshal module (the C source Python/marshal.c names its types; version 2, which every
 * Python 3 reads). A sample is no call: cc is the number of samples with the function on the stack,
 * nc the same with each of its recursions counted, tt and ct are seconds.
 */
#include "profile_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"
#include "profile_about.h"
#include "profile_sums.h"
#include "profile_words.h"

/* What a function did when called by another. */
struct edge {
	uint32_t caller, callee; /* functions */
	uint32_t on_path;
	uint64_t samples, frames;
	uint64_t self_ns, total_ns;
};

/* Edges found again by a hash of at most half as many as slots; 0: free, else a number plus one. */
struct edges {
	struct edge *edges;
	uint32_t *slots;
	uint32_t count, slot_count; /* a power of two */
};

static void put_u32(FILE *out, uint32_t value)
{
	for (int shift = 0; shift < 32; shift += 8)
		fputc((int)(value >> shift & 0xff), out);
}

/* An int; past 31 bits in digits of 15 bits. */
static void put_int(FILE *out, uint64_t value)
{
	uint32_t digits = 0;

	if (value <= INT32_MAX) {
		fputc('i', out);
		put_u32(out, (uint32_t)value);
		return;
	}
	for (uint64_t rest = value; rest; rest >>= 15)
		digits++;
	fputc('l', out);
	put_u32(out, digits);
	for (; value; value >>= 15) {
		fputc((int)(value & 0xff), out);
		fputc((int)(value >> 8 & 0x7f), out);
	}
}

static void put_seconds(FILE *out, uint64_t ns)
{
	double seconds = (double)ns / 1e9;
	uint64_t bits;

	memcpy(&bits, &seconds, sizeof(bits));
	fputc('g', out);
	put_u32(out, (uint32_t)bits);
	put_u32(out, (uint32_t)(bits >> 32));
}

/* A str, made printable: marshal wants valid UTF-8. */
static int put_text(FILE *out, struct request_text text)
{
	char *escaped = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&escaped, &bytes);

	if (!memory)
		return -ENOMEM;
	profile_text_put(memory, text);
	if (fclose(memory)) {
		free(escaped);
		return -ENOMEM;
	}
	fputc('u', out);
	put_u32(out, (uint32_t)bytes);
	fwrite(escaped, 1, bytes, out);
	free(escaped);
	return 0;
}

static void put_tuple(FILE *out, uint32_t items)
{
	fputc('(', out);
	put_u32(out, items);
}

/* (file, line, name); what lies in no file is in "~", as cProfile has it for what is built in. */
static int put_function(FILE *out, const struct profile_function *function)
{
	static const struct request_text no_file = {"~", 1};
	int error;

	put_tuple(out, 3);
	error = put_text(out, function->file.bytes ? function->file : no_file);
	put_int(out, function->first_line);
	return error ? error : put_text(out, function->name);
}

static struct edge *edge_find(struct edges *edges, uint32_t caller, uint32_t callee)
{
	uint64_t mixed = ((uint64_t)caller << 32 | callee) * 0x9e3779b97f4a7c15ULL;
	uint32_t i = (uint32_t)(mixed >> 32) & (edges->slot_count - 1);
	struct edge *edge;

	for (; edges->slots[i]; i = (i + 1) & (edges->slot_count - 1)) {
		edge = &edges->edges[edges->slots[i] - 1];
		if (edge->caller == caller && edge->callee == callee)
			return edge;
	}
	edge = &edges->edges[edges->count++];
	*edge = (struct edge){.caller = caller, .callee = callee};
	edges->slots[i] = edges->count;
	return edge;
}

/* There are no more edges than nodes. */
static int edges_new(const struct profile *profile, struct edges *edges)
{
	edges->slot_count = 2;
	while (edges->slot_count < 2 * profile->node_count)
		edges->slot_count *= 2;
	edges->edges = calloc(profile->node_count, sizeof(*edges->edges));
	edges->slots = calloc(edges->slot_count, sizeof(*edges->slots));
	return edges->edges && edges->slots ? 0 : -ENOMEM;
}

/* One walk, as profile_sums_make()'s, with the edges on the way from the root at hand. */
static void edges_fill(const struct profile *profile, struct edges *edges)
{
	struct edge *path[PROFILE_DEPTH_MAX + 1];
	uint32_t depth = 0;

	for (uint32_t node = profile_next(profile, 0); node; node = profile_next(profile, node)) {
		const struct profile_node *at = &profile->nodes[node];
		struct edge *edge;

		while (depth && depth >= at->depth)
			path[--depth]->on_path--;
		edge = edge_find(edges, profile->nodes[at->parent].function, at->function);
		edge->self_ns += at->self[0].ns;
		edge->frames += at->total[0].samples;
		if (!edge->on_path++) {
			edge->samples += at->total[0].samples;
			edge->total_ns += at->total[0].ns;
		}
		path[depth++] = edge;
	}
}

static int edge_compare(const void *a, const void *b)
{
	const struct edge *first = a, *second = b;

	if (first->callee != second->callee)
		return first->callee > second->callee ? 1 : -1;
	return (first->caller > second->caller) - (first->caller < second->caller);
}

/* The callers of a function: edges from the first on that are its own. The root is no caller. */
static int put_callers(FILE *out, const struct profile *profile, const struct edge *edge,
		       const struct edge *end, uint32_t callee)
{
	int error = 0;

	fputc('{', out);
	for (; edge < end && edge->callee == callee && !error; edge++) {
		if (edge->caller == profile->nodes[0].function)
			continue;
		error = put_function(out, &profile->functions[edge->caller]);
		put_tuple(out, 4);
		put_int(out, edge->frames); /* here it is nc, cc */
		put_int(out, edge->samples);
		put_seconds(out, edge->self_ns);
		put_seconds(out, edge->total_ns);
	}
	fputc('0', out);
	return error;
}

/* Python refuses to load an empty dict. */
static int put_nothing(FILE *out)
{
	static const struct profile_function nothing = {.name = {"[no samples]", 12}};
	int error = put_function(out, &nothing);

	put_tuple(out, 5);
	put_int(out, 0);
	put_int(out, 0);
	put_seconds(out, 0);
	put_seconds(out, 0);
	fputs("{0", out);
	return error;
}

static int put_all(FILE *out, const struct profile *profile, const struct profile_sum *sums,
		   const struct edges *edges)
{
	const struct edge *edge = edges->edges, *end = edge + edges->count;
	int error = 0;

	fputc('{', out);
	if (edge == end)
		error = put_nothing(out);
	for (; edge < end && !error; edge++) {
		const struct profile_sum *sum = &sums[edge->callee];

		if (edge > edges->edges && edge->callee == edge[-1].callee)
			continue;
		error = put_function(out, &profile->functions[edge->callee]);
		put_tuple(out, 5);
		put_int(out, sum->total[0].samples);
		put_int(out, sum->frames);
		put_seconds(out, sum->self[0].ns);
		put_seconds(out, sum->total[0].ns);
		if (!error)
			error = put_callers(out, profile, edge, end, edge->callee);
	}
	fputc('0', out);
	return error;
}

static int pstats_write(const struct profile *profile, const struct profile_about *about, FILE *out)
{
	struct edges edges = {0};
	struct profile_sum *sums = NULL;
	int error = edges_new(profile, &edges);

	if (!error)
		error = profile_sums_make(profile, &sums);
	if (!error) {
		edges_fill(profile, &edges);
		qsort(edges.edges, edges.count, sizeof(*edges.edges), edge_compare);
		error = put_all(out, profile, sums, &edges);
	}
	free(sums);
	free(edges.edges);
	free(edges.slots);
	return error;
}

const struct profile_format format_pstats = {
	.name = "pstats",
	.ending = "prof",
	.is_binary = true,
	.write = pstats_write,
};
