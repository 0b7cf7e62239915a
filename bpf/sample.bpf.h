/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Between sample.bpf.c, which says when a stack is taken and what becomes of it, pystack.bpf.c,
 * which walks the frames, and pycode.bpf.c, which says whose they are.
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

/* Frames of a thread's last stacks, counted from the outermost. Deeper ones share their places. */
#define RECENT_MAX 128 /* a power of two */

/* A code object that a thread had in a frame. */
struct recent_code {
	__u64 code;
	__u64 until_ns; /* so long it needs no look */
	__u32 fingerprint;
	__u32 believed; /* so often, on no better ground than time; see struct code_seen */
};

/* What a thread had at the same depth: most frames of a stack are in the thread's next one, too.
 * It lies together, where what is known of all code objects is spread over much memory. */
struct codes_recent {
	/* As in struct code_naming, when they were had: else they tell nothing. */
	__u64 process;
	__u64 generation;
	struct recent_code codes[RECENT_MAX];
};

/* Which of its thread states a thread uses: finding it goes through those of all threads. */
struct pystack_cache {
	__u64 thread;	 /* address of the PyThreadState, 0: none was found */
	__u64 walked_ns; /* when it was looked for */
};

/* What is kept of a thread from one of its samples to the next. */
struct sampled_thread {
	struct pystack_cache cache;
	struct codes_recent recent;
};

#define PYSTACK_PAGE 4096

/* A walk under way. Too large for the stack; one a CPU and context. */
struct pystack_walk {
	__u64 self; /* of the running thread: what thread_self of its PyThreadState holds */
	__u64 now_ns;
	/* The search for the thread state. */
	__u64 interpreter, thread; /* to look at next */
	__u64 found, found_frame;  /* the best so far */
	__u64 found_interpreter;   /* that it belongs to */
	__u32 attached;		   /* found holds the GIL */
	__u32 searching;
	/* The frames. */
	__u64 frame; /* to read next, 0: no more */
	__u32 count;
	__u32 error; /* enum rec_stack_error */
	__u32 deeper;
	__u32 pad;
	/* Of the thread's interpreter: the same as long as it frees no code object, or makes none.
	 * 0: it does not say. */
	__u64 generation;
	__u8 thread_bytes[256]; /* a power of two above PYSTACK_THREAD_BYTES */
	/* The page that a frame lies in, up to its end: most often its callers are there, too. */
	__u64 window_start, window_end; /* addresses; equal: nothing is there */
	__u8 window[PYSTACK_PAGE + 256];
};

/*
 * The Python frames of the running thread, into sample->frames, without the fingerprints; sets
 * python, error and flags of its head. cache is the thread's own. Global, so that the verifier
 * walks it once; so are those below.
 */
int pystack_take(struct pystack_walk *walk, const struct pystack_python *python,
		 struct pystack_cache *cache, struct sample *sample);

/* For pycode.bpf.c; as large as a copy of a code object, so it lies where the walk does. */
struct code_naming {
	__u64 now_ns;
	__u64 generation; /* struct pystack_walk's */
	__u64 process;	  /* whose: its tgid, and what it has run since its last exec() */
	__u64 until_ns;	  /* so long the object that was named last needs no look */
	__u32 sent;	  /* of this sample's; here, as the verifier would count along */
	__u32 pad;
	struct rec_raw_code raw;
};

/* The fingerprints of the sample's Python frames. Code objects that user space has not been sent
 * yet go to it, the innermost first. recent is the thread's own. */
int codes_name(struct code_naming *naming, const struct pystack_layout *layout,
	       struct codes_recent *recent, struct sample *s);

#endif
