/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpf/pystack.bpf.c and bpf/pycode.bpf.c as ordinary functions.
 */
#ifndef WSGISCOPE_TESTS_NATIVE_WALK_H
#define WSGISCOPE_TESTS_NATIVE_WALK_H

#include <linux/types.h>
#include <stdint.h>

#include "abi.h"
#include "python/layout.h"

#define WALK_PID 1ULL /* the process that all images are of */

struct walk_result {
	unsigned int error, flags, count;
	struct rec_frame frames[STACK_PYTHON_MAX];
};

/* Which thread, and when. */
struct walk_of {
	uint64_t runtime;
	uint64_t self;	 /* what it calls itself */
	uint64_t now_ns; /* 1 s and more, for 0 is when all was forgotten */
};

#define WALK_SENT_MAX 32

/* The copies of code objects that went to user space. */
struct walk_sent {
	unsigned int count;
	struct rec_raw_code codes[WALK_SENT_MAX];
};

/* The thread's frames, in the image in use. sent: what is sent is added to it; NULL: the ring is
 * full. */
void walk_thread(const struct python_layout *layout, const struct walk_of *of,
		 struct walk_result *out, struct walk_sent *sent);

/* Forgets all that walks have seen of code objects. */
void walk_forget(void);

/* Frames that may have had the name of another object. */
uint64_t walk_stale(void);

#endif
