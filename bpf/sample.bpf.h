/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Between sample.bpf.c, which says when a stack is taken and what becomes of it, and
 * pystack.bpf.c, which walks the frames.
 */
#ifndef WSGISCOPE_SAMPLE_BPF_H
#define WSGISCOPE_SAMPLE_BPF_H

#include "state.bpf.h"

#define STACK_FRAMES_MAX (STACK_PYTHON_MAX + STACK_NATIVE_MAX + STACK_KERNEL_MAX)

#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

/* A struct rec_sample with room for the most that it can have: frames is head.frames. */
struct sample {
	struct rec_sample head;
	struct rec_frame frames[STACK_FRAMES_MAX];
};

/* Which of its thread states a thread uses: finding it goes through those of all threads. */
struct pystack_cache {
	__u64 thread;	 /* address of the PyThreadState, 0: none was found */
	__u64 walked_ns; /* when it was looked for */
};

#define PYSTACK_PAGE 4096
#define PYSTACK_SEEN 64 /* a power of two */

/* A walk under way. Too large for the stack; one a CPU and context. */
struct pystack_walk {
	__u64 self; /* of the running thread: what thread_self of its PyThreadState holds */
	__u64 now_ns;
	/* The search for the thread state. */
	__u64 interpreter, thread; /* to look at next */
	__u64 found, found_frame;  /* the best so far */
	__u32 attached;		   /* found holds the GIL */
	__u32 searching;
	/* The frames. */
	__u64 frame; /* to read next, 0: no more */
	__u32 count;
	__u32 error; /* enum rec_stack_error */
	__u32 deeper;
	__u32 pad;
	/* By a code object's address: the frame that had it last. Anything until one had. */
	__u16 seen[PYSTACK_SEEN];
	__u8 thread_bytes[256]; /* a power of two above PYSTACK_THREAD_BYTES */
	/* The page that a frame lies in, up to its end: most often its callers are there, too. */
	__u64 window_start, window_end; /* addresses; equal: nothing is there */
	__u8 window[PYSTACK_PAGE + 256];
};

/*
 * The Python frames of the running thread, into sample->frames; sets python, error and flags of
 * its head. cache is the thread's own. Global, so that the verifier walks it once.
 */
int pystack_take(struct pystack_walk *walk, const struct pystack_python *python,
		 struct pystack_cache *cache, struct sample *sample);

#endif
