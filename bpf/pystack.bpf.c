// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The CPython frame walk, for the running thread, whether or not it holds the GIL. Knows no
 * version: what lies where it is told (pystack.h). All that it reads is the worker's and may be
 * anything: every loop has an end, every index a bound. Reads do not fault pages in.
 *
 * The loops are cut into global functions, each verified once for any argument; so the verifier's
 * limit on instructions is not met, on kernels that have no bpf_loop() either.
 *
 * tests/native compiles this file as ordinary C: nothing here but bpf_probe_read_user() leaves it.
 */
#include "sample.bpf.h"

/* A thread state that was found is believed for so long while it does not say itself that it is
 * the one; one that was not found is not looked for again for so long: less than from one tick of
 * the fastest clock to the next, as it may have come meanwhile. */
#define CACHE_NS  1000000000ULL
#define ABSENT_NS 500000ULL

/* Threads and interpreters looked at, in pieces. */
#define SEARCH_PIECE  64
#define SEARCH_PIECES 32

/* Frames walked, in pieces: more than STACK_PYTHON_MAX by the shims between them. */
#define FRAMES_PIECE  32
#define FRAMES_PIECES 24

/* The masks are for the verifier: user space has checked that the offsets lie inside. */
static __always_inline __u64 thread_word(const struct pystack_walk *walk, __u16 at)
{
	return *(const __u64 *)(walk->thread_bytes + (at & 0xf8));
}

static __always_inline __u32 thread_half(const struct pystack_walk *walk, __u16 at)
{
	return *(const __u32 *)(walk->thread_bytes + (at & 0xfc));
}

static __always_inline __u64 frame_word(const __u8 *frame, __u16 at)
{
	return *(const __u64 *)(frame + (at & 0x78));
}

static __always_inline __s32 frame_int(const __u8 *frame, __u16 at)
{
	return *(const __s32 *)(frame + (at & 0x7c));
}

static __always_inline __u8 frame_byte(const __u8 *frame, __u16 at)
{
	return frame[at & 0x7f];
}

static __always_inline __u64 pointer_read(__u64 address)
{
	__u64 pointer = 0;

	bpf_probe_read_user(&pointer, sizeof(pointer), (const void *)address);
	return pointer & 7 ? 0 : pointer;
}

/* Whether there is a state of the running thread at this address; it is in thread_bytes then. */
static __always_inline bool thread_read(struct pystack_walk *walk,
					const struct pystack_layout *layout, __u64 address)
{
	return address &&
	       !bpf_probe_read_user(walk->thread_bytes, PYSTACK_THREAD_BYTES,
				    (const void *)address) &&
	       thread_word(walk, layout->thread_self) == walk->self;
}

/* Of the state in thread_bytes. */
static __always_inline __u64 thread_frame(const struct pystack_walk *walk,
					  const struct pystack_layout *layout)
{
	__u64 frame = thread_word(walk, layout->thread_frame);

	if (!(layout->flags & PYSTACK_F_CFRAME) || !frame)
		return frame;
	return pointer_read(frame + layout->cframe_frame);
}

static __always_inline bool thread_is_attached(const struct pystack_walk *walk,
					       const struct pystack_layout *layout)
{
	return thread_half(walk, layout->thread_status) & layout->thread_attached;
}

static __always_inline void thread_found(struct pystack_walk *walk,
					 const struct pystack_layout *layout, __u64 address,
					 bool attached)
{
	walk->found = address;
	walk->found_frame = thread_frame(walk, layout);
	walk->found_interpreter = thread_word(walk, layout->thread_interpreter);
	walk->attached = attached;
}

/* One that holds the GIL ends the search, one with frames is better than one without. */
static __always_inline void thread_consider(struct pystack_walk *walk,
					    const struct pystack_layout *layout, __u64 address)
{
	bool attached = thread_is_attached(walk, layout);

	if (attached || !walk->found_frame)
		thread_found(walk, layout, address, attached);
	if (attached)
		walk->searching = 0;
}

/* The next thread of this interpreter, or the next interpreter. */
static __always_inline void search_step(struct pystack_walk *walk,
					const struct pystack_layout *layout)
{
	__u64 thread = walk->thread;

	if (!thread) {
		if (!walk->interpreter) {
			walk->searching = 0;
			return;
		}
		walk->thread = pointer_read(walk->interpreter + layout->interpreter_threads);
		walk->interpreter = pointer_read(walk->interpreter + layout->interpreter_next);
		return;
	}
	walk->thread = 0;
	if (bpf_probe_read_user(walk->thread_bytes, PYSTACK_THREAD_BYTES, (const void *)thread))
		return;
	walk->thread = thread_word(walk, layout->thread_next);
	if (thread_word(walk, layout->thread_self) == walk->self)
		thread_consider(walk, layout, thread);
}

__noinline int pystack_search(struct pystack_walk *walk, const struct pystack_layout *layout)
{
	if (!walk || !layout)
		return 0;
	for (int i = 0; i < SEARCH_PIECE && walk->searching; i++)
		search_step(walk, layout);
	return walk->searching;
}

/* Through all threads of all interpreters. */
static __always_inline void threads_search(struct pystack_walk *walk,
					   const struct pystack_python *python)
{
	walk->thread = 0;
	walk->interpreter = pointer_read(python->runtime + python->layout.runtime_interpreters);
	walk->searching = 1;
	for (int i = 0; i < SEARCH_PIECES; i++)
		if (!pystack_search(walk, &python->layout))
			break;
}

/* What needs no search: the holder of the GIL, else what was found before. */
static __always_inline bool thread_recall(struct pystack_walk *walk,
					  const struct pystack_python *python,
					  const struct pystack_cache *cache)
{
	const struct pystack_layout *layout = &python->layout;
	__u64 age = walk->now_ns - cache->walked_ns;
	__u64 current = 0;

	if (layout->runtime_current) {
		current = pointer_read(python->runtime + layout->runtime_current);
		if (thread_read(walk, layout, current)) {
			thread_found(walk, layout, current, true);
			return true;
		}
	}
	if (!thread_read(walk, layout, cache->thread))
		return age < ABSENT_NS;
	thread_found(walk, layout, cache->thread, thread_is_attached(walk, layout));
	return walk->attached || age < (walk->found_frame ? CACHE_NS : ABSENT_NS);
}

__noinline int pystack_thread(struct pystack_walk *walk, const struct pystack_python *python,
			      struct pystack_cache *cache)
{
	if (!walk || !python || !cache)
		return 0;
	walk->found = 0;
	walk->found_frame = 0;
	walk->attached = 0;
	if (thread_recall(walk, python, cache))
		return 0;
	walk->found = 0;
	walk->found_frame = 0;
	threads_search(walk, python);
	cache->thread = walk->found;
	cache->walked_ns = walk->now_ns;
	return 0;
}

static __always_inline __s32 offset_of(const __u8 *frame, const struct pystack_layout *layout,
				       __u64 code)
{
	__s64 offset;

	if (layout->flags & PYSTACK_F_NO_LINES)
		return -1;
	if (layout->flags & PYSTACK_F_INDEX)
		offset = (__s64)frame_int(frame, layout->frame_instruction) *
			 layout->instruction_bytes;
	else
		offset = frame_word(frame, layout->frame_instruction) - code - layout->code_start;
	/* A frame that has only just been linked stands before its first instruction. */
	if (offset < 0 && offset >= -2 * (__s64)sizeof(__u64))
		offset = 0;
	return offset >= 0 && offset < 0x7fffffff ? offset : -1;
}

static __always_inline void walk_end(struct pystack_walk *walk, enum rec_stack_error error)
{
	walk->frame = 0;
	walk->error = error;
}

static __always_inline void frame_put(struct pystack_walk *walk,
				      const struct pystack_layout *layout, struct sample *sample,
				      const __u8 *frame)
{
	/* From 3.14 on the low bits of a reference are a tag. */
	__u64 code = frame_word(frame, layout->frame_code) & ~7ULL;
	__u32 count = walk->count;
	struct rec_frame *to;

	if (!code) {
		walk_end(walk, STACK_BAD_FRAME);
		return;
	}
	if (code == layout->none)
		return;
	if (count >= STACK_PYTHON_MAX) {
		walk->deeper = 1;
		walk_end(walk, STACK_OK);
		return;
	}
	to = &sample->frames[count & (STACK_PYTHON_MAX - 1)];
	to->code = code;
	to->offset = offset_of(frame, layout, code);
	to->fingerprint = 0;
	walk->count = count + 1;
}

/*
 * The bytes of the frame at walk->frame, NULL: unreadable. A read costs much the same whatever its
 * length; so, where callers lie before a frame, all of its page up to its end is read at once. What
 * is in the page can be read when the frame can.
 */
static __always_inline const __u8 *frame_read(struct pystack_walk *walk,
					      const struct pystack_layout *layout)
{
	__u64 frame = walk->frame;
	__u64 end = frame + layout->frame_bytes;
	__u64 bytes, at;

	if (frame < walk->window_start || end > walk->window_end) {
		__u64 start =
			layout->flags & PYSTACK_F_CHUNKS ? frame & ~(PYSTACK_PAGE - 1ULL) : frame;

		bytes = end - start;
		if (bytes > sizeof(walk->window) || end < start)
			return NULL;
		walk->window_end = walk->window_start = 0;
		if (bpf_probe_read_user(walk->window, bytes, (const void *)start))
			return NULL;
		walk->window_start = start;
		walk->window_end = end;
	}
	at = frame - walk->window_start;
	barrier_var(at);
	return at > sizeof(walk->window) - 128 ? NULL : walk->window + at;
}

static __always_inline void frame_step(struct pystack_walk *walk,
				       const struct pystack_layout *layout, struct sample *sample)
{
	const __u8 *frame;

	if (walk->frame & 7) {
		walk_end(walk, STACK_BAD_FRAME);
		return;
	}
	frame = frame_read(walk, layout);
	if (!frame) {
		walk_end(walk, STACK_UNREADABLE);
		return;
	}
	walk->frame = frame_word(frame, layout->frame_previous);
	if (!(layout->flags & PYSTACK_F_OWNER) ||
	    frame_byte(frame, layout->frame_owner) < PYSTACK_OWNER_SHIM)
		frame_put(walk, layout, sample, frame);
}

__noinline int pystack_frames(struct pystack_walk *walk, const struct pystack_layout *layout,
			      struct sample *sample)
{
	if (!walk || !layout || !sample)
		return 0;
	for (int i = 0; i < FRAMES_PIECE && walk->frame; i++)
		frame_step(walk, layout, sample);
	return walk->frame != 0;
}

static __always_inline void frames_take(struct pystack_walk *walk,
					const struct pystack_layout *layout, struct sample *sample)
{
	walk->frame = walk->found_frame;
	walk->window_start = walk->window_end = 0;
	for (int i = 0; i < FRAMES_PIECES; i++)
		if (!pystack_frames(walk, layout, sample))
			return;
	walk->deeper = 1; /* nothing but shims for very long: a circle */
}

/* Two interpreters may have made or freed as many. */
static __always_inline __u64 generation_read(const struct pystack_walk *walk,
					     const struct pystack_layout *layout)
{
	__u64 count;

	if (!layout->interpreter_generation ||
	    bpf_probe_read_user(
		    &count, sizeof(count),
		    (const void *)(walk->found_interpreter + layout->interpreter_generation)))
		return 0;
	if (layout->flags & PYSTACK_F_MADE) {
		count = (__u32)count;
		if (!count)
			return 0;
	}
	return (count * 0x9e3779b97f4a7c15 ^ walk->found_interpreter) | 1;
}

__noinline int pystack_take(struct pystack_walk *walk, const struct pystack_python *python,
			    struct pystack_cache *cache, struct sample *sample)
{
	if (!walk || !python || !cache || !sample)
		return 0;
	walk->count = 0;
	walk->deeper = 0;
	walk->error = STACK_OK;
	walk->generation = 0;
	pystack_thread(walk, python, cache);
	if (walk->found) {
		walk->generation = generation_read(walk, &python->layout);
		frames_take(walk, &python->layout, sample);
	} else {
		walk->error = STACK_NO_THREAD_STATE;
	}
	sample->head.python = walk->count;
	sample->head.error = walk->error;
	sample->head.flags =
		(walk->attached ? SAMPLE_F_GIL_HELD : 0) | (walk->deeper ? SAMPLE_F_TRUNCATED : 0);
	return 0;
}
