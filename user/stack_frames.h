/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a sample's addresses to frames with names, outermost first, and the count of what had none.
 */
#ifndef WSGISCOPE_STACK_FRAMES_H
#define WSGISCOPE_STACK_FRAMES_H

#include "profile.h"

struct code_table;
struct stack;

/* Reasons of one kind, by their static text. */
#define STACK_REASONS_MAX 16

struct stack_reason {
	const char *text; /* static; NULL: no more */
	uint64_t count;
};

/* Frames of one stack; made by stack_frames_fill(), valid until its next call. */
struct stack_frames {
	struct profile_frame frames[PROFILE_DEPTH_MAX];
	size_t count;
	bool native; /* the native frames and the kernel's, too; set once by the owner */
	char state_text[96];
	/* So far, of all stacks. */
	struct stack_reason stacks[STACK_REASONS_MAX]; /* with frames missing */
	struct stack_reason names[STACK_REASONS_MAX];  /* frames with no name */
};

/* True where all names that the stack needs have come; native: those of native frames too. */
bool stack_is_named(const struct stack *stack, const struct code_table *codes, bool native);

/*
 * The frames of a stack: the outermost one as given (name NULL: none), then the Python frames, the
 * native ones that ran inside the innermost of those, the kernel's, and of a wait its state.
 */
void stack_frames_fill(struct stack_frames *frames, const struct stack *stack,
		       const struct code_table *codes, struct request_text outermost);

#endif
