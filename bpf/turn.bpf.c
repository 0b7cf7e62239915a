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
static __always_inline void thread_turn(struct thread *t, __u32 slot, __u64 conn)
{
	__u64 key = t->key;
	struct rec_request *before;

	if (!key)
		return;
	before = key == conn ? slot_request(slot) : request_lookup(key);
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

static __always_inline void turn_fill(struct rec_request *r, struct thread *t, __u64 conn,
				      __u64 now)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 flags;

	__builtin_memset(r, 0, __builtin_offsetof(struct rec_request, text));
	header_fill(&r->h, REC_REQUEST, sizeof(*r), pid_tgid, now);
	r->conn = conn;
	r->start_ns = now;
	r->fd = -1;
	r->flags = REC_F_WIRE;
	if (flags_find(pid_tgid >> 32, t, &flags)) {
		r->process = flags;
		r->gil_known = t->gil_known;
	}
}

/* Where the turn that begins is put together, as request_place() of request.bpf.c. slot: of what
 * lies there under conn. SLOT_NONE: no room, counted. */
static __always_inline __u32 turn_place(__u64 conn, __u32 slot)
{
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
 * Bytes have come: a turn begins in the place of what lies there (SLOT_NONE: nothing does). Its
 * slot; -1: no room, counted. Global, as are the next, so that the verifier walks it once. The
 * thread is looked up here: of a global function's argument older kernels (before 6.2) forget that
 * it lies in a map, and take nothing from there into another one.
 */
__noinline int turn_begin(__u64 now, __u32 slot)
{
	struct thread *t = thread_find();
	struct rec_request *r;
	__u64 conn;

	if (!t)
		return -1;
	conn = t->read.conn;
	thread_turn(t, slot, conn);
	slot = turn_place(conn, slot);
	r = slot_request(slot);
	if (!r)
		return -1;
	turn_fill(r, t, conn, now);
	r->id = TURN_ID_FIRST + __sync_fetch_and_add(&turns, 1);
	r->writes.family = t->client.family;
	r->queue_ns = queue_of(t->client.tcp, now);
	t->key = conn;
	t->id = r->id;
	turn_publish(slot, conn);
	account_begin(t, bpf_get_current_task_btf(), now);
	return slot;
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
	slot = turn_place(conn, slot_find(conn));
	r = slot_request(slot);
	if (!r)
		return -1;
	turn_fill(r, t, conn, bpf_ktime_get_ns());
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

	if (mine && sample_waits)
		sample_wait_missed(bpf_get_current_task_btf()); /* before the record goes out */
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

/* What was written last is the end of a head. */
static __always_inline bool is_head_end(const struct rec_request *r, __u32 end)
{
	const char *b;

	if (end < 4 || end > STR_TEXT_MAX)
		return false;
	end -= 4;
	barrier_var(end);
	if (end > STR_TEXT_MAX - 4)
		return false;
	b = r->text + end;
	return b[0] == '\r' && b[1] == '\n' && b[2] == '\r' && b[3] == '\n';
}

/*
 * How much of a write the turn's record is to hold, behind the rest of its answer; 0: nothing, it
 * does not fit. What would not be copied as a whole anyhow is a body where it is behind the head's
 * end: of that as much as fits will do.
 */
static __always_inline __u32 held_bytes(const struct rec_request *r, const struct write_call *call,
					long ret, __u32 at)
{
	const struct rec_str *held = &r->str[TURN_WRITTEN];
	__u32 room = held_room(at);

	if (call->kind != CALL_BUFFER || ret <= 0 || r->writes.bytes != held->bytes)
		return 0;
	if (ret <= room)
		return ret;
	return ret > WIRE_WRITTEN_MAX - held->bytes && held->bytes && is_head_end(r, at) ? room : 0;
}

/* So many bytes of a write lie in the turn's record, its first among them; 0: they do not. */
static __always_inline __u32 written_hold(struct rec_request *r, const struct write_call *call,
					  struct written *w, __u32 at)
{
	__u32 bytes = held_bytes(r, call, w->ret, at);

	if (!bytes || !held_copy(r, at, call->buffer, bytes))
		return 0;
	barrier_var(at);
	if (at > STR_TEXT_MAX - 128)
		return 0; /* never: for the verifier */
	w->head[0] = ((__u64 *)(r->text + at))[0];
	w->head[1] = ((__u64 *)(r->text + at))[1];
	return bytes;
}

static __always_inline int written_emit(struct thread *t, struct rec_request *r, struct written *w,
					__u64 offset)
{
	struct span span = {
		.conn = w->conn,
		.id = r->id,
		.offset = offset,
		.now = w->now,
		.what = WIRE_WRITTEN,
		.bytes = span_bytes(offset, w->bytes, WIRE_WRITTEN_MAX),
	};

	held_emit(r, TURN_WRITTEN, w->now);
	return call_emit(&span, t->call.kind, t->call.buffer);
}

__noinline int turn_written(struct thread *t, __u64 conn, long ret)
{
	struct written w = {.conn = conn, .ret = ret};
	struct rec_request *r;
	__u32 at, held;
	__u64 offset;

	if (!t || turns_stopped)
		return 0;
	r = request_lookup(conn);
	if (!r || !(r->flags & REC_F_WIRE))
		return 0;
	count_event(EVENT_WRITE);
	at = r->text_bytes;
	held = written_hold(r, &t->call, &w, at);
	if (!held)
		write_peek(&t->call, ret, (char *)w.head);
	if (is_next_answer(r, &w)) {
		if (answer_next(t, r, conn))
			return 0;
		r = request_lookup(conn);
		if (!r)
			return 0;
		held = 0;
	}
	w.now = bpf_ktime_get_ns();
	offset = r->writes.bytes;
	if (held)
		held_add(r, TURN_WRITTEN, at, held);
	write_take(t, r, &w);
	return held ? 0 : written_emit(t, r, &w, offset);
}

static __always_inline bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/*
 * The first bytes of a turn: true, its record holds them. Not those of a marked process, where the
 * request becomes the marker's; nor what is not HTTP's: what a front end hands on to a worker is
 * known before the worker has answered (user/wire_relay.c).
 */
static __always_inline bool read_hold(struct rec_request *r, const struct read_call *call, long ret)
{
	if (call->kind != CALL_BUFFER || ret > 512 || r->process & PROCESS_MARKED ||
	    !held_copy(r, 0, call->buffer, ret))
		return false;
	if (!is_capital(r->text[0]) || !is_capital(r->text[1]) || !is_capital(r->text[2]))
		return false;
	held_add(r, TURN_READ, 0, ret);
	return true;
}

static __always_inline int read_emit(struct thread *t, struct rec_request *r, long ret, __u64 now)
{
	struct span span = {
		.conn = r->conn,
		.id = r->id,
		.offset = r->reads.bytes,
		.now = now,
		.what = WIRE_READ,
		.bytes = span_bytes(r->reads.bytes, ret, WIRE_READ_MAX),
	};

	held_emit(r, TURN_READ, now);
	return call_emit(&span, t->read.kind, t->read.buffer);
}

/* Bytes have come on the connection of t->read. */
__noinline int turn_read(struct thread *t, long ret)
{
	__u32 tgid = current_tgid(), slot;
	struct rec_request *r;
	bool begins, held;
	__u64 now;

	if (!t || ret <= 0 || turns_stopped)
		return 0;
	count_event(EVENT_READ);
	now = bpf_ktime_get_ns();
	slot = slot_find(t->read.conn);
	r = slot_request(slot);
	if (r && r->h.tgid == tgid && !(r->flags & (REC_F_WIRE | REC_F_DRAINING))) {
		r->reads.bytes += ret; /* the body of a marked request */
		r->reads.calls++;
		return 0;
	}
	begins = !r || r->h.tgid != tgid || r->flags & REC_F_DRAINING || turn_is_answered(r);
	if (begins)
		r = slot_request(turn_begin(now, slot));
	if (!r)
		return 0;
	held = begins && read_hold(r, &t->read, ret);
	if (!held)
		read_emit(t, r, ret, now);
	r->reads.bytes += ret;
	r->reads.calls++;
	r->h.time_ns = now;
	return 0;
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
