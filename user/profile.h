/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A weighted call tree of named frames: what every profile format is written from. Knows nothing of
 * requests, addresses or formats.
 *
 *	functions  what a frame is called, each once
 *	nodes      one for each different way from the root to a frame; nodes[0] is the root; each
 *	           comes after its parent, so that a loop from the end on meets children first
 */
#ifndef WSGISCOPE_PROFILE_H
#define WSGISCOPE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

/* Past so many, a sample is booked to the last frame that there is room for, and counted. */
#define PROFILE_NODES_MAX     (1U << 20)
#define PROFILE_FUNCTIONS_MAX (1U << 18)
/* Of a stack: all frames of a sample, and those that are put around them. */
#define PROFILE_DEPTH_MAX 800
/* A profile, or the two that are compared. */
#define PROFILE_SIDES 2

enum profile_kind {
	PROFILE_ROOT,
	PROFILE_PYTHON,
	PROFILE_NATIVE,
	PROFILE_KERNEL,
	PROFILE_STATE,	 /* what a thread waited in: the innermost frame */
	PROFILE_ROUTE,	 /* the outermost frame, with --by route */
	PROFILE_MISSING, /* stands for frames or a name that are not known; says why */
};

/* A frame as it is added. Texts may hold anything; borrowed. */
struct profile_frame {
	enum profile_kind kind;
	enum request_state state; /* of PROFILE_STATE */
	struct request_text name, file;
	uint32_t first_line; /* of the function, 0: not known */
	uint32_t line;	     /* that was being executed, 0: not known */
};

struct profile_function {
	enum profile_kind kind;
	enum request_state state;
	struct request_text name, file; /* owned by the profile */
	uint32_t first_line;
	uint32_t rank; /* by name, file and first line, once the profile is finished */
};

struct profile_weight {
	uint64_t ns;
	uint64_t samples;
};

struct profile_node {
	uint32_t parent;   /* of nodes; of the root: 0 */
	uint32_t function; /* of functions */
	uint32_t line;	   /* 0 unless the profile tells lines apart */
	uint32_t depth;	   /* of the root: 0 */
	/* Of nodes, 0: none; in the order of rank and line. Once the profile is finished. */
	uint32_t first_child, next_sibling;
	struct profile_weight self[PROFILE_SIDES];
	struct profile_weight total[PROFILE_SIDES]; /* once the profile is finished */
};

struct profile {
	bool by_line; /* lines of a function are frames of their own */
	struct profile_function *functions;
	uint32_t function_count;
	struct profile_node *nodes;
	uint32_t node_count;
	uint64_t cut;		     /* samples that lost inner frames because there was no room */
	struct profile_index *index; /* private */
};

/* 0 or -ENOMEM. */
int profile_new(bool by_line, struct profile **out);
void profile_free(struct profile *profile); /* NULL is fine */

/*
 * Adds a sample to a side: its frames, outermost first, PROFILE_DEPTH_MAX at most, and what it
 * stands for. 0 or -ENOMEM.
 */
int profile_add(struct profile *profile, unsigned int side, const struct profile_frame *frames,
		size_t count, uint64_t weight_ns);

/* Sums up and puts in order; adds nothing after it. 0 or -ENOMEM. */
int profile_finish(struct profile *profile);

/* The next node in depth-first order, parents before children; 0: that was the last. */
uint32_t profile_next(const struct profile *profile, uint32_t node);

#endif
