// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Requests from socket bytes: turns of the connections that a process has accepted. A turn is what
 * was read, then what was written; it lies among the requests under its connection, and ends when
 * bytes arrive after it has answered, when the next answer begins, when the connection is closed,
 * or when user space finds it at rest. The heads' bytes go out beside it. No head is parsed here,
 * and none of this is a request yet: user/wire.c makes requests of it.
 */
#include "span.bpf.h"
#include "table.bpf.h"
#include "turn.bpf.h"

/* Of turns; apart from the marker's ids, which count from 1 in each process. */
#define TURN_ID_FIRST (1ULL << 40)
static __u64 turns;

/* Set by user space when the trace ends: what it takes from here on is not changed any more. */
bool turns_stopped;

/* --- turns ------------------------------------------------------------------------------------ */

/* An answer has begun, and it is not an interim one. */
static __always_inline bool turn_is_answered(const struct rec_request *r)
{
	return r->writes.first_ns && !(r->flags & REC_F_WIRE_INTERIM);
}

static __always_inline void turn_emit(struct rec_request *r)
{
	r->end_ns = r->writes.last_ns;
	if (!r->writes.first_ns)
		r->flags |= REC_F_NO_END;
	request_emit(r);
}

/* It is not open any more on its thread, which is this one. */
static __always_inline void turn_leave(struct thread *t, struct rec_request *r)
{
	if (r->flags & REC_F_WIRE_LEFT)
		return;
	r->flags |= REC_F_WIRE_LEFT;
	if (t->account.open)
		t->account.open--;
}

/*
 * This thread turns to a connection: what it served before is over for it, if that is answered.
 * Greenlets leave requests unanswered: then those, and the ones that they take turns with, have no
 * states of their own.
 */
static __always_inline void thread_turn(struct thread *t)
{
	__u64 key = t->key;
	struct rec_request *before;

	if (!key)
		return;
	before = request_lookup(key);
	if (!before || before->id != t->id) {
		if (t->account.open)
			t->account.open--; /* user space has taken it */
		return;
	}
	if (!turn_is_answered(before))
		before->flags |= REC_F_STATES_MIXED;
	else
		turn_leave(t, before);
}

static __always_inline void turn_fill(struct rec_request *r, __u64 conn, __u64 now)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tgid = pid_tgid >> 32;
	struct process *p = process_find(tgid);

	__builtin_memset(r, 0, __builtin_offsetof(struct rec_request, text));
	header_fill(&r->h, REC_REQUEST, sizeof(*r), pid_tgid, now);
	r->conn = conn;
	r->start_ns = now;
	r->fd = -1;
	r->flags = REC_F_WIRE;
	if (p) {
		r->process = p->flags;
		r->gil_known = p->gil_bytes != 0;
	}
}

/* Where the turn that begins is put together, as request_place() of request.bpf.c; SLOT_NONE: no
 * room, counted. */
static __always_inline __u32 turn_place(__u64 conn)
{
	__u32 slot = slot_find(conn);
	struct rec_request *old = slot_request(slot);

	if (!old || !slot_own(slot, conn)) {
		slot = slot_claim(conn);
		if (slot == SLOT_NONE)
			count_drop(DROP_REQUESTS_FULL);
		return slot;
	}
	if (old->flags & REC_F_WIRE)
		turn_emit(old);
	else
		request_displace(old);
	return slot;
}

static __always_inline void turn_publish(__u32 slot, __u64 conn)
{
	slot_publish(slot, conn);
	count_event(EVENT_TURN);
}

/*
 * Bytes have come: a turn begins. Global, as are the next, so that the verifier walks it once. The
 * thread is looked up here: of a global function's argument older kernels (before 6.2) forget that
 * it lies in a map, and take nothing from there into another one.
 */
__noinline int turn_begin(__u64 now)
{
	struct thread *t = thread_find();
	struct rec_request *r;
	__u64 conn;
	__u32 slot;

	if (!t)
		return -1;
	conn = t->read.conn;
	thread_turn(t);
	slot = turn_place(conn);
	r = slot_request(slot);
	if (!r)
		return -1;
	turn_fill(r, conn, now);
	r->id = TURN_ID_FIRST + __sync_fetch_and_add(&turns, 1);
	r->writes.family = t->client.family;
	r->queue_ns = queue_of(t->client.tcp, now);
	t->key = conn;
	t->id = r->id;
	turn_publish(slot, conn);
	account_begin(t, bpf_get_current_task_btf(), now);
	return 0;
}

/*
 * A write to a connection that has no turn open: more of an answer whose turn was taken, which on
 * its own thread goes on as before, states and all; or the answer to a request that came with
 * another one, which user space will know.
 */
__noinline int turn_answer(__u64 conn, __u32 family)
{
	struct thread *t = thread_find();
	struct rec_request *r;
	__u32 slot;

	if (!t)
		return -1;
	slot = turn_place(conn);
	r = slot_request(slot);
	if (!r)
		return -1;
	turn_fill(r, conn, bpf_ktime_get_ns());
	r->flags |= REC_F_WIRE_ANSWER;
	r->id = t->key == conn ? t->id : TURN_ID_FIRST + __sync_fetch_and_add(&turns, 1);
	r->writes.family = family;
	turn_publish(slot, conn);
	return 0;
}

/* The next of several requests that came together: from the end of the one before. */
static __always_inline int answer_next(struct thread *t, struct rec_request *r, __u64 conn)
{
	bool mine = t->key == conn && t->id == r->id && (r->flags & REC_F_STATES);
	__u32 family = r->writes.family;

	if (mine) {
		account_restart(t, r);
		t->id = TURN_ID_FIRST + __sync_fetch_and_add(&turns, 1);
	} else if (t->key == conn) {
		turn_leave(t, r); /* no states from here on */
		t->key = 0;
	}
	return turn_answer(conn, family);
}

/* States as of now: nobody knows which write is the last. */
static __always_inline void turn_look(struct thread *t, struct rec_request *r, __u64 conn,
				      __u64 now)
{
	bool mine = t->key == conn && t->id == r->id;

	if (mine && t->account.serving && !t->account.mixed && !(r->flags & REC_F_STATES_MIXED)) {
		account_look(t, r, now);
		return;
	}
	r->flags |= REC_F_STATES_MIXED;
	r->flags &= ~REC_F_STATES;
	if (mine || r->h.tid != (__u32)bpf_get_current_pid_tgid())
		return;
	t->account.mixed = 1; /* it has served another one meanwhile */
	if (turn_is_answered(r))
		turn_leave(t, r);
}

static __always_inline bool is_http(const char *b)
{
	return b[0] == 'H' && b[1] == 'T' && b[2] == 'T' && b[3] == 'P' && b[4] == '/' &&
	       b[8] == ' ';
}

/* The first bytes of a write, zeros behind them. */
static __always_inline void write_peek(const struct write_call *call, long ret, char *head)
{
	__u64 data = ret > 0 ? write_data(call) : 0;
	__u32 bytes = ret < HEAD_BYTES ? ret : HEAD_BYTES;

	barrier_var(bytes);
	if (data && bytes <= HEAD_BYTES && bpf_probe_read_user(head, bytes, (const void *)data))
		head[0] = 0;
}

/* What the first bytes of a write of so many say of the turn. */
static __always_inline void turn_status(struct rec_request *r, const char *head, __u64 bytes)
{
	bool first = r->writes.bytes == bytes;
	__u16 status = bytes >= HEAD_BYTES ? status_parse(head) : 0;

	if (!r->writes.wire_status && status)
		r->writes.wire_status = status;
	if ((first || r->flags & REC_F_WIRE_INTERIM) && !status && bytes >= HEAD_BYTES &&
	    ((is_http(head) && head[9] == '1') || (head[0] == 'S' && head[12] == 'C')))
		r->flags |= REC_F_WIRE_INTERIM;
	else
		r->flags &= ~REC_F_WIRE_INTERIM;
	if (bytes == 5 && head[0] == '0' && head[1] == '\r' && head[2] == '\n' && head[3] == '\r' &&
	    head[4] == '\n')
		r->flags |= REC_F_WIRE_LAST_CHUNK;
	else
		r->flags &= ~REC_F_WIRE_LAST_CHUNK;
}

/* A write of a turn that has returned. */
struct written {
	__u64 conn;
	__u64 now;
	long ret;
	__u64 bytes;   /* how many went out: write_take() says it */
	__u64 head[2]; /* its first bytes */
};

/* Counts a write for its turn. Global, so that the verifier walks it once. */
__noinline int write_take(struct thread *t, struct rec_request *r, struct written *w)
{
	if (!t || !r || !w)
		return 0;
	w->bytes = write_count(r, &t->call, w->ret, w->now);
	r->flags &= ~REC_F_WRITING;
	r->h.time_ns = w->now;
	if (w->bytes)
		turn_status(r, (const char *)w->head, w->bytes);
	turn_look(t, r, w->conn, w->now);
	return 0;
}

/* Whether a write begins another answer than the turn's. */
static __always_inline bool is_next_answer(const struct rec_request *r, const struct written *w)
{
	return r->writes.wire_status && w->ret >= HEAD_BYTES && is_http((const char *)w->head);
}

static __always_inline void span_begin(struct span *span, const struct rec_request *r,
				       const struct written *w)
{
	span->now = w->now;
	span->offset = r->writes.bytes;
	span->id = r->id;
}

/*
 * A write that goes into the ring as a whole: from there its first bytes are taken, for to read the
 * worker's memory twice would be the dearest thing here. False, and nothing done: it begins another
 * turn, whose bytes must come behind the record of this one.
 */
static __always_inline bool written_in(struct thread *t, struct rec_request *r, struct span *span,
				       struct written *w, const __u32 room)
{
	struct rec_wire_bytes *out = span_reserve(t->call.buffer, span->bytes, room);

	if (out) {
		w->head[0] = ((__u64 *)out->data)[0];
		w->head[1] = ((__u64 *)out->data)[1];
		if (is_next_answer(r, w)) {
			bpf_ringbuf_discard(out, BPF_RB_NO_WAKEUP);
			return false;
		}
	}
	w->now = bpf_ktime_get_ns();
	span_begin(span, r, w);
	if (out)
		span_submit(span, out, room);
	write_take(t, r, w);
	return true;
}

#define SMALL 256

/* True: it was a plain buffer that goes out as a whole, and is done with. */
static __always_inline bool written_whole(struct thread *t, struct rec_request *r,
					  struct span *span, struct written *w)
{
	long ret = w->ret;

	if (t->call.kind != CALL_BUFFER || ret <= 0 || ret > WIRE_WRITTEN_MAX ||
	    span_bytes(r->writes.bytes, ret, WIRE_WRITTEN_MAX) != ret)
		return false;
	span->bytes = ret;
	return ret <= SMALL ? written_in(t, r, span, w, SMALL)
			    : written_in(t, r, span, w, WIRE_WRITTEN_MAX);
}

__noinline int turn_written(struct thread *t, __u64 conn, long ret)
{
	struct written w = {.conn = conn, .ret = ret};
	struct span span = {.conn = conn, .what = WIRE_WRITTEN};
	struct rec_request *r;

	if (!t || turns_stopped)
		return 0;
	r = request_lookup(conn);
	if (!r || !(r->flags & REC_F_WIRE))
		return 0;
	count_event(EVENT_WRITE);
	if (written_whole(t, r, &span, &w))
		return 0;
	w.head[0] = w.head[1] = 0;
	write_peek(&t->call, ret, (char *)w.head);
	if (is_next_answer(r, &w)) {
		if (answer_next(t, r, conn))
			return 0;
		r = request_lookup(conn);
		if (!r)
			return 0;
	}
	w.now = bpf_ktime_get_ns();
	span_begin(&span, r, &w);
	write_take(t, r, &w);
	span.bytes = span_bytes(span.offset, w.bytes, WIRE_WRITTEN_MAX);
	return call_emit(&span, t->call.kind, t->call.buffer);
}

/* Bytes have come on the connection of t->read. */
__noinline int turn_read(struct thread *t, long ret)
{
	struct span span = {.what = WIRE_READ};
	struct rec_request *r;
	__u64 conn, now;

	if (!t || ret <= 0 || turns_stopped)
		return 0;
	count_event(EVENT_READ);
	now = bpf_ktime_get_ns();
	conn = t->read.conn;
	r = request_lookup(conn);
	if (r && r->h.tgid == current_tgid() && !(r->flags & (REC_F_WIRE | REC_F_DRAINING))) {
		r->reads.bytes += ret; /* the body of a marked request */
		r->reads.calls++;
		return 0;
	}
	if (!r || r->h.tgid != current_tgid() || r->flags & REC_F_DRAINING || turn_is_answered(r)) {
		if (turn_begin(now))
			return 0;
		r = request_lookup(conn);
		if (!r)
			return 0;
	}
	span.conn = conn;
	span.id = r->id;
	span.now = now;
	span.offset = r->reads.bytes;
	span.bytes = span_bytes(span.offset, ret, WIRE_READ_MAX);
	r->reads.bytes += ret;
	r->reads.calls++;
	r->h.time_ns = now;
	return call_emit(&span, t->read.kind, t->read.buffer);
}

/* The turn that lies there is over, if it is this process's; true: it is, and was told of. */
__hidden bool turn_close(__u64 conn, __u32 tgid)
{
	__u32 slot = slot_find(conn);
	struct rec_request *r = slot_request(slot);
	struct thread *t;

	if (!r || r->h.tgid != tgid)
		return false;
	if (turns_stopped || !(r->flags & REC_F_WIRE))
		return true; /* the marker's */
	t = thread_find();
	if (t && r->h.tid == (__u32)bpf_get_current_pid_tgid()) {
		turn_leave(t, r);
		if (t->key == conn) {
			t->key = 0;
			t->account.serving = t->account.open != 0;
		}
	}
	r->flags |= REC_F_WIRE_CLOSED;
	if (!slot_withdraw(slot, conn))
		return false; /* user space takes it, and may have looked before */
	turn_emit(r);
	slot_free(slot);
	return true;
}
