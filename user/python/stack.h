/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the frame walk can be trusted with a process: its layout is tried from user space first,
 * so that an odd build is refused with a reason rather than shown wrong.
 */
#ifndef WSGISCOPE_PYTHON_STACK_H
#define WSGISCOPE_PYTHON_STACK_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

#include "python/layout.h"
#include "python/locate.h"

enum stack_verdict {
	STACK_USABLE,
	STACK_LATER,   /* Python is not running yet, or not any more: look again */
	STACK_REFUSED, /* for good */
};

struct stack_answer {
	enum stack_verdict verdict;
	const char *why; /* where not usable: a few static words for people */
};

/* Fills *layout where usable. 0, also where it is refused; -ESRCH (gone), -EPERM, -errno. */
int python_stack_try(pid_t pid, const struct python_location *where, struct python_layout *layout,
		     struct stack_answer *out);

#endif
