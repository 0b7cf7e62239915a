/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the heads' bytes go out in: a bounded part of what a call read or wrote. Where it is little,
 * the record of the turn holds it, so that there is one record for both; else it is copied into the
 * ring beside that. For turn.bpf.c alone.
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
	/* 1: the address is in the turn's record instead. As wide as the rest: of a structure that
	 * a global function gets, Linux 5.15 wants every byte written, padding too. */
	__u64 held;
};

/* The bytes, in the ring; NULL: they could not be had, counted. room: a power of two, for the ring
 * reserves a size that is known beforehand. */
static __always_inline struct rec_wire_bytes *span_reserve(const struct span *span,
							   const __u32 room)
{
	const void *from = (const void *)span->address;
	struct rec_wire_bytes *out;
	__u32 bytes = span->bytes;

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
	if (span->held ? bpf_probe_read_kernel(out->data, bytes, from)
		       : bpf_probe_read_user(out->data, bytes, from)) {
		bpf_ringbuf_discard(out, BPF_RB_NO_WAKEUP);
		count_drop(DROP_WIRE_UNREAD);
		return NULL;
	}
	return out;
}

static __always_inline void span_emit_in(const struct span *span, const __u32 room)
{
	__u64 waiting = ring_waiting();
	struct rec_wire_bytes *out = span_reserve(span, room);

	if (!out)
		return;
	header_fill(&out->h, REC_WIRE, sizeof(*out) + ((span->bytes + 7) & ~7u),
		    bpf_get_current_pid_tgid(), span->now);
	out->conn = span->conn;
	out->id = span->id;
	out->offset = span->offset;
	out->what = span->what;
	out->bytes = span->bytes;
	bpf_ringbuf_submit(out, wakeup_flags_large(waiting, sizeof(*out) + room));
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

/* --- bytes that the turn's record holds ------------------------------------------------------- */

/* room: of what may begin at this place as much fits at least, and no more is taken: of the sum of
 * two unknowns the verifier knows nothing. */
static __always_inline bool text_copy(struct rec_request *r, __u32 at, __u64 address, __u32 bytes,
				      const __u32 room)
{
	barrier_var(at);
	if (at > STR_TEXT_MAX - room)
		return false;
	barrier_var(bytes);
	if (bytes > room)
		return false;
	return !bpf_probe_read_user(r->text + at, bytes, (const void *)address);
}

/* True: the bytes lie behind all that the turn holds, for held_add(). False: there is no room, or
 * they could not be read, which is not counted yet. */
static __always_inline bool held_copy(struct rec_request *r, __u32 at, __u64 address, __u32 bytes)
{
	if (bytes <= 128)
		return text_copy(r, at, address, bytes, 128);
	if (bytes <= 256)
		return text_copy(r, at, address, bytes, 256);
	return text_copy(r, at, address, bytes, 512);
}

/* How many that may be at this place. */
static __always_inline __u32 held_room(__u32 at)
{
	if (at <= STR_TEXT_MAX - 512)
		return 512;
	if (at <= STR_TEXT_MAX - 256)
		return 256;
	return at <= STR_TEXT_MAX - 128 ? 128 : 0;
}

static __always_inline void held_add(struct rec_request *r, enum rec_turn_string which, __u32 at,
				     __u32 bytes)
{
	struct rec_str *string = &r->str[which];

	if (!string->bytes)
		string->offset = at;
	r->text_bytes = at + bytes;
	string->bytes += bytes;
}

/* What the turn holds of a stream goes out by itself, before more of it that has no room here. */
static __always_inline void held_emit(struct rec_request *r, enum rec_turn_string which, __u64 now)
{
	struct rec_str *string = &r->str[which];
	struct span span = {
		.conn = r->conn,
		.id = r->id,
		.address = (__u64)r->text + string->offset,
		.now = now,
		.what = which == TURN_READ ? WIRE_READ : WIRE_WRITTEN,
		.bytes = string->bytes,
		.held = 1,
	};

	if (!string->bytes)
		return;
	string->bytes = 0;
	span_emit(&span);
}

#endif
