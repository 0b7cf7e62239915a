// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Owns the maps, the knobs and the licence, and what every other object needs: a thread's state,
 * the way out through the ring.
 */
#include "state.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct processes_map processes SEC(".maps");
struct pythons_map pythons SEC(".maps");
struct threads_map threads SEC(".maps");
struct requests_map requests SEC(".maps");
struct request_keys_map request_keys SEC(".maps");
struct listeners_map listeners SEC(".maps");
struct ring_map ring SEC(".maps");
struct counters_map counters SEC(".maps");

__u32 processes_version = 1;
__u64 process_bits[PROCESS_BITS / 64];
const volatile bool track_all = false;
const volatile bool sample_waits = false;
const volatile bool sample_outside = false;
const volatile __u64 wakeup_bytes = 512 * 1024;
const volatile __u64 wakeup_mask = 15;
const volatile __u32 request_groups = 8192 / GROUP_SLOTS;
const volatile __u64 tick_ns = 0;

__hidden struct thread *thread_get(void)
{
	struct thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0,
						BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		count_drop(DROP_THREAD_STATE);
	return t;
}

static __always_inline void emit_sized(void *record, __u32 size)
{
	struct counters *c = counters_get();

	if (!c)
		return; /* never */
	if (bpf_ringbuf_output(&ring, record, size, wakeup_flags(c)))
		__sync_fetch_and_add(&c->drops[DROP_RING_FULL], 1);
	else
		__sync_fetch_and_add(&c->events[EVENT_RECORD], 1);
}

__hidden void emit(void *record, __u32 size)
{
	/* The bound is for the verifier: only small records come this way. */
	if (size <= sizeof(struct rec_block))
		emit_sized(record, size);
}

/* What fills the text's last word up lay there before: of another request, or a client's bytes. */
static __always_inline void text_fill(struct rec_request *r, __u32 text)
{
	__u32 last = text & ~7u;

	barrier_var(last);
	if (text & 7 && last <= STR_TEXT_MAX - 8)
		*(__u64 *)(r->text + last) &= (1ULL << (text & 7) * 8) - 1; /* little-endian */
}

__hidden void request_emit(struct rec_request *r)
{
	__u32 text = r->text_bytes;
	__u32 size;

	r->flags &= ~REC_F_DRAINING;
	if (text > STR_TEXT_MAX)
		text = STR_TEXT_MAX;
	text_fill(r, text);
	size = __builtin_offsetof(struct rec_request, text) + ((text + 7) & ~7u);
	barrier_var(size);
	if (size > sizeof(*r))
		size = sizeof(*r);
	r->h.size = size;
	emit_sized(r, size);
}
