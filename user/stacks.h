/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which traced processes the frame walk can be used on: tries each one, tells the kernel side, and
 * says once of whom it cannot and why.
 */
#ifndef WSGISCOPE_STACKS_H
#define WSGISCOPE_STACKS_H

#include <linux/types.h>
#include <sys/types.h>

struct python_layout;
struct rec_process;
struct stacks;
struct tracer;
struct worker;

int stacks_new(struct tracer *tracer, struct stacks **out); /* 0 or -ENOMEM; tracer: borrowed */
void stacks_free(struct stacks *stacks);		    /* NULL is fine */

/* A process has been looked at: tries it where that has not been done since it execed. stacks NULL:
 * nothing is sampled. 0 or -errno, message printed; a process that cannot be used is no error. */
int stacks_process(struct stacks *stacks, const struct worker *worker);

/* What the kernel said of a process: the kernel side has given its child what it had itself. */
int stacks_event(struct stacks *stacks, const struct rec_process *record);

/* Borrowed until the next call of any of the above. NULL: not usable, or not known. */
const struct python_layout *stacks_layout(const struct stacks *stacks, pid_t pid);

/* The process that forked it while it was traced, 0: not known. */
pid_t stacks_parent(const struct stacks *stacks, pid_t pid);

#endif
