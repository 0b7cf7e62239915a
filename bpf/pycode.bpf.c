// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Which code objects the frames of a sample have: their fingerprints, and copies for user space of
 * those that it has not been sent. Owns what is known of code objects. Must not know how frames are
 * found. tests/native compiles this file as ordinary C.
 *
 * To look at a code object costs more than all else that is done for a frame, so what was seen is
 * believed for a while: while its interpreter says that it has made none (3.13) or freed none (3.14
 * on); before, of an object that has been there for long, for a moment. Should another have come to
 * its place within that moment, it is counted in how many frames it may have had the other's name.
 */
#include "sample.bpf.h"

#define CODE_SLOTS 32768 /* a power of two */

/* What is known of a code object that user space has been sent. */
struct code_seen {
	__u64 mark;	 /* of its program, address and fingerprint; 0: nothing is known */
	__u64 looked_ns; /* when it was looked at last */
	/* What its interpreter's generation was then (struct pystack_walk); where it has none: when
	 * it was seen first, SINCE_NEVER: another one has been at this address. */
	__u64 since;
	__u32 fingerprint;
	__u32 believed; /* so often since looked_ns, on no better ground than time, as far as
			 * threads have said: each does when it looks again */
};

/* Not a hash: that takes locks. One object may push out another, which is sent again then. An entry
 * that two CPUs have written at once has no mark that fits: to the reader it is another's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* so each lies in one cache line */
	__uint(max_entries, CODE_SLOTS);
	__type(key, __u32);
	__type(value, struct code_seen);
} codes SEC(".maps");

/*
 * Where nothing else has been seen for so long, the object is believed to be there for a moment
 * after a look. Where something else has been seen, programs make room and use it again: never.
 * Code objects without numbers of their own may have been made anew each time, all alike: so it
 * takes longer until one of those is old.
 */
#define OLD_NS	     1000000000ULL
#define OLD_ALIKE_NS 10000000000ULL
#define BELIEF_NS    250000000ULL
#define SINCE_NEVER  (~0ULL)

/* Of one sample: how many are sent. */
#define SEND_MAX 32

static __always_inline __u64 hash_of(__u64 word)
{
	word *= 0x9e3779b97f4a7c15;
	return (word ^ word >> 32) * 0x9e3779b97f4a7c15;
}

static __always_inline __u64 code_mark(__u64 process, __u64 code, __u32 fingerprint)
{
	return hash_of(code ^ (__u64)fingerprint << 24) ^ process ^ process << 32;
}

static __always_inline struct code_seen *code_slot(__u64 process, __u64 code)
{
	__u32 slot = hash_of(code ^ process << 40) >> 49;

	return bpf_map_lookup_elem(&codes, &slot);
}

_Static_assert(CODE_SLOTS == 1 << (64 - 49), "the hash's upper bits are the slot");

static __always_inline bool code_is_known(const struct code_seen *seen, __u64 process, __u64 code)
{
	return seen->mark && seen->mark == code_mark(process, code, seen->fingerprint);
}

/* Until when it needs no look on the ground of time alone. */
static __always_inline __u64 belief_end(const struct code_seen *seen,
					const struct pystack_layout *layout)
{
	__u64 old_ns = layout->text_hash ? OLD_ALIKE_NS : OLD_NS;

	/* SINCE_NEVER, or a generation from when there was one. */
	if (seen->since > seen->looked_ns || seen->looked_ns - seen->since < old_ns)
		return 0;
	return seen->looked_ns + BELIEF_NS;
}

/*
 * Whether it needs no look, and until when. What another frame of this walk has is the same object:
 * the thread stands still, so both frames live, and each keeps its code object alive. So it is with
 * another thread's frame at the very same time.
 */
static __always_inline bool code_believe(struct code_seen *seen, struct code_naming *naming,
					 const struct pystack_layout *layout)
{
	__u64 now_ns = naming->now_ns;

	if (naming->generation) {
		naming->until_ns = ~0ULL;
		return seen->since == naming->generation || seen->looked_ns == now_ns;
	}
	naming->until_ns = belief_end(seen, layout);
	if (seen->looked_ns == now_ns)
		return true;
	if (now_ns >= naming->until_ns)
		return false;
	seen->believed++;
	return true;
}

/* As much of an object as can be had, up to max: how much. */
static __always_inline __u16 object_read(__u8 *to, const __u32 max, __u64 from)
{
	__u32 rest = PYSTACK_PAGE - (from & (PYSTACK_PAGE - 1));

	if (!bpf_probe_read_user(to, max, (const void *)from))
		return max;
	/* The next page may be one that nobody has touched yet: then the object does not reach into
	 * it. */
	if (rest >= max || bpf_probe_read_user(to, rest, (const void *)from))
		return 0;
	return rest;
}

static __always_inline __u64 window_word(const struct rec_raw_code *raw, __u32 at)
{
	return raw->window[at / 8 & (RAW_WINDOW_WORDS - 1)];
}

/* Puts what the fingerprint is made of into raw. 0: unreadable. */
static __always_inline __u32 code_look(struct rec_raw_code *raw,
				       const struct pystack_layout *layout, __u64 code)
{
	raw->text_hash = 0;
	if (bpf_probe_read_user(raw->window, PYSTACK_PRINT_BYTES,
				(const void *)(code + layout->code_print)))
		return 0;
	if (layout->text_hash &&
	    bpf_probe_read_user(
		    &raw->text_hash, sizeof(raw->text_hash),
		    (const void *)(window_word(raw, layout->code_hashed - layout->code_print) +
				   layout->text_hash)))
		return 0;
	return pystack_fingerprint(raw->window, raw->text_hash);
}

/* The object whose window is in raw. Whether it went out. */
static __always_inline bool code_send(struct rec_raw_code *raw, const struct pystack_layout *layout,
				      const struct rec_frame *frame)
{
	const __u32 start = layout->code_print;

	header_fill(&raw->h, REC_RAW_CODE, sizeof(*raw), bpf_get_current_pid_tgid(), 0);
	raw->code = frame->code;
	raw->fingerprint = frame->fingerprint;
	raw->pad = 0;
	raw->pad2 = 0;
	if (bpf_probe_read_user(raw->head, sizeof(raw->head), (const void *)frame->code))
		return false;
	raw->name_bytes = object_read(raw->name, sizeof(raw->name),
				      window_word(raw, layout->code_name - start));
	raw->file_bytes = object_read(raw->file, sizeof(raw->file),
				      window_word(raw, layout->code_file - start));
	raw->lines_bytes = object_read(raw->lines, sizeof(raw->lines),
				       window_word(raw, layout->code_lines - start));
	return !bpf_ringbuf_output(&ring, raw, sizeof(*raw),
				   wakeup_flags_large(ring_waiting(), sizeof(*raw)));
}

/*
 * Looks at a frame's object. What finds no room in the ring is not counted: it is tried again, and
 * user space asks the process meanwhile.
 */
__noinline int code_name(struct code_naming *naming, const struct pystack_layout *layout,
			 struct rec_frame *frame)
{
	struct code_seen *seen;
	bool known;

	if (!naming || !layout || !frame)
		return 0;
	naming->until_ns = 0;
	seen = code_slot(naming->process, frame->code);
	if (!seen)
		return 0;
	frame->fingerprint = code_look(&naming->raw, layout, frame->code);
	if (!frame->fingerprint)
		return 0;
	known = code_is_known(seen, naming->process, frame->code);
	if (!known || seen->fingerprint != frame->fingerprint) {
		if (naming->sent >= SEND_MAX)
			return 0;
		if (known && seen->believed)
			count_drops(DROP_CODE_STALE, seen->believed);
		naming->sent++;
		seen->mark = 0;
		seen->since = known ? SINCE_NEVER : naming->now_ns;
		seen->fingerprint = frame->fingerprint;
		if (!code_send(&naming->raw, layout, frame))
			return 0;
	}
	seen->looked_ns = naming->now_ns;
	if (naming->generation)
		seen->since = naming->generation;
	seen->believed = 0;
	seen->mark = code_mark(naming->process, frame->code, frame->fingerprint);
	naming->until_ns = naming->generation ? ~0ULL : belief_end(seen, layout);
	return 0;
}

/* What a thread has believed goes to where it is counted when another object is found there; which
 * may have been meanwhile. */
static __always_inline void recent_tell(struct recent_code *recent, __u64 process)
{
	struct code_seen *seen = code_slot(process, recent->code);

	if (seen && code_is_known(seen, process, recent->code)) {
		if (seen->fingerprint == recent->fingerprint)
			seen->believed += recent->believed;
		else
			count_drops(DROP_CODE_STALE, recent->believed);
	}
	recent->believed = 0;
}

/* By what is known from all threads, else by a look. */
static __always_inline void frame_name(struct code_naming *naming,
				       const struct pystack_layout *layout, struct rec_frame *frame)
{
	struct code_seen *seen = code_slot(naming->process, frame->code);

	if (seen && code_is_known(seen, naming->process, frame->code) &&
	    code_believe(seen, naming, layout))
		frame->fingerprint = seen->fingerprint;
	else
		code_name(naming, layout, frame);
}

/* What the thread has had at this depth is another one, or needs a look. */
__noinline int frame_renew(struct code_naming *naming, const struct pystack_layout *layout,
			   struct recent_code *recent, struct rec_frame *frame)
{
	if (!naming || !layout || !recent || !frame)
		return 0;
	if (recent->believed)
		recent_tell(recent, naming->process);
	frame_name(naming, layout, frame);
	recent->code = frame->code;
	recent->until_ns = frame->fingerprint ? naming->until_ns : 0;
	recent->fingerprint = frame->fingerprint;
	return 0;
}

/* Whether it is the one that the thread has had there. */
static __always_inline bool frame_recall(const struct code_naming *naming,
					 struct recent_code *recent, struct rec_frame *frame)
{
	if (recent->code != frame->code || naming->now_ns >= recent->until_ns)
		return false;
	frame->fingerprint = recent->fingerprint;
	if (!naming->generation)
		recent->believed++;
	return true;
}

/* What the thread had, when that was of another program or another generation, is forgotten. */
static __always_inline void recent_check(struct codes_recent *recent,
					 const struct code_naming *naming)
{
	if (recent->process == naming->process && recent->generation == naming->generation)
		return;
	recent->process = naming->process;
	recent->generation = naming->generation;
	for (__u32 i = 0; i < RECENT_MAX; i++) {
		recent->codes[i].until_ns = 0;
		recent->codes[i].believed = 0;
	}
}

__noinline int codes_name(struct code_naming *naming, const struct pystack_layout *layout,
			  struct codes_recent *recent, struct sample *s)
{
	__u32 count;

	if (!naming || !layout || !recent || !s)
		return 0;
	naming->sent = 0;
	recent_check(recent, naming);
	count = s->head.python;
	for (__u32 i = 0; i < STACK_PYTHON_MAX && i < count; i++) {
		__u32 depth = count - 1 - i;
		struct recent_code *at = &recent->codes[depth & (RECENT_MAX - 1)];

		if (!frame_recall(naming, at, &s->frames[i]))
			frame_renew(naming, layout, at, &s->frames[i]);
	}
	return 0;
}
