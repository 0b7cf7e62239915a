/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the heads' bytes go out in: a bounded part of what a call read or wrote, copied into the
 * ring beside the record of its turn. For turn.bpf.c alone.
 */
#ifndef WSGISCOPE_SPAN_BPF_H
#define WSGISCOPE_SPAN_BPF_H

#include "write.bpf.h"

struct span {
	__u64 conn;
	__u64 id;
	__u64 offset;
	__u64 address; /* in user memory */
	__u64 now;
	__u32 what; /* enum rec_wire_what */
	__u32 bytes;
};

/* The bytes, in the ring, for the caller to say whose they are. NULL: they could not be had,
 * counted. room: a power of two, for the ring reserves a size that is known beforehand. */
static __always_inline struct rec_wire_bytes *span_reserve(__u64 address, __u32 bytes,
							   const __u32 room)
{
	struct rec_wire_bytes *out;

	/* The verifier wants this check, which the compiler would leave out, and by itself:
	 * together with one for nothing it becomes one of bytes - 1, which says nothing to
	 * Linux 6.1. */
	barrier_var(bytes);
	if (bytes > room)
		return NULL;
	out = bpf_ringbuf_reserve(&ring, sizeof(*out) + room, 0);
	if (!out) {
		count_drop(DROP_RING_FULL);
		return NULL;
	}
	*(__u64 *)(out->data + ((bytes - 1) & (room - 1) & ~7u)) = 0;
	if (bpf_probe_read_user(out->data, bytes, (const void *)address)) {
		bpf_ringbuf_discard(out, BPF_RB_NO_WAKEUP);
		count_drop(DROP_WIRE_UNREAD);
		return NULL;
	}
	return out;
}

static __always_inline void span_submit(const struct span *span, struct rec_wire_bytes *out,
					const __u32 room)
{
	header_fill(&out->h, REC_WIRE, sizeof(*out) + ((span->bytes + 7) & ~7u),
		    bpf_get_current_pid_tgid(), span->now);
	out->conn = span->conn;
	out->id = span->id;
	out->offset = span->offset;
	out->what = span->what;
	out->bytes = span->bytes;
	bpf_ringbuf_submit(out, wakeup_flags(sizeof(*out) + room));
}

static __always_inline void span_emit_in(const struct span *span, const __u32 room)
{
	struct rec_wire_bytes *out = span_reserve(span->address, span->bytes, room);

	if (out)
		span_submit(span, out, room);
}

__noinline int span_emit(const struct span *span)
{
	if (!span || !span->bytes)
		return 0;
	if (span->bytes <= 256)
		span_emit_in(span, 256);
	else if (span->bytes <= 1024)
		span_emit_in(span, 1024);
	else if (span->bytes <= 2048)
		span_emit_in(span, 2048);
	else
		span_emit_in(span, WIRE_READ_MAX);
	return 0;
}

/* How much of a call's bytes is copied, where so many of its turn have been before. */
static __always_inline __u32 span_bytes(__u64 before, __u64 bytes, __u32 max)
{
	if (before >= max)
		return 0;
	return bytes < max - before ? bytes : max - before;
}

#define VECTORS_MAX 4

/* From the memory that an iovec array names, in its order. */
static __always_inline void vector_emit(struct span *span, __u64 vector, __u32 left)
{
	struct user_iovec iov;

	for (int i = 0; i < VECTORS_MAX && left; i++) {
		if (bpf_probe_read_user(&iov, sizeof(iov),
					(const void *)(vector + i * sizeof(iov)))) {
			count_drop(DROP_WIRE_UNREAD);
			return;
		}
		span->address = iov.base;
		span->bytes = iov.len < left ? iov.len : left;
		span_emit(span);
		left -= span->bytes;
		span->offset += span->bytes;
	}
}

/* The first bytes of a call's data, of which there are so many. */
__noinline int call_emit(struct span *span, __u32 kind, __u64 buffer)
{
	struct user_msghdr msg;

	if (!span || !span->bytes || kind == CALL_FILE)
		return 0;
	if (kind == CALL_BUFFER) {
		span->address = buffer;
		return span_emit(span);
	}
	if (kind == CALL_MESSAGE || kind == CALL_MESSAGES) {
		if (bpf_probe_read_user(&msg, sizeof(msg), (const void *)buffer)) {
			count_drop(DROP_WIRE_UNREAD);
			return 0;
		}
		buffer = msg.iov;
	}
	vector_emit(span, buffer, span->bytes);
	return 0;
}

#endif
