// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Begin, block and end of a request, from the marks. The worker has counted. To read its memory is
 * the dearest thing here (some 200 ns), so what is needed at the start comes in registers, and what
 * the mark points at is read once: at the end, or when the thread first leaves the CPU, so that a
 * request whose worker dies still has its method and path.
 */
#include "table.bpf.h"
#include "mark.bpf.h"

/* What the registers of a start mark say. */
struct start {
	__u64 pid_tgid;
	__u64 id;
	__u64 ns;
	int fd;
};

/* What bpf_get_current_pid_tgid() says, without a further call. */
static __always_inline __u64 pid_tgid_of(const struct task_struct *task)
{
	return (__u64)task->tgid << 32 | (__u32)task->pid;
}

static __always_inline void record_begin(struct rec_request *r, const struct start *start,
					 __u64 conn)
{
	__builtin_memset(r, 0, __builtin_offsetof(struct rec_request, text));
	header_fill(&r->h, REC_REQUEST, sizeof(*r), start->pid_tgid, start->ns);
	r->id = start->id;
	r->conn = conn;
	r->start_ns = start->ns;
	r->fd = start->fd;
	r->flags = REC_F_TEXT_UNREAD | (conn ? 0 : REC_F_CONN_UNKNOWN);
}

static __always_inline void process_tell(enum rec_process_what what)
{
	struct rec_process p = {};

	header_fill(&p.h, REC_PROCESS, sizeof(p), bpf_get_current_pid_tgid(), bpf_ktime_get_ns());
	p.what = what;
	emit(&p, sizeof(p));
}

/* Set when a process that is not traced has run a mark: it pays for our probes. User space resets.
 */
bool foreign_mark;

/* A process that is not known counts from now on. By itself for the stack's sake, as
 * request_begin(). */
static __noinline void process_meet(__u32 tgid)
{
	struct process fresh = {.flags = PROCESS_WRITES_LATE};

	if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_NOEXIST)) {
		count_drop(DROP_REQUESTS_FULL);
		return;
	}
	process_bit_set(tgid);
	processes_changed();
	process_tell(REC_PROCESS_NEW);
}

/* The process that runs a mark, where it counts; with track_all it counts from now on. */
static __always_inline struct process *process_of_mark(__u32 tgid)
{
	struct process *p = process_find(tgid);

	if (p || !track_all)
		return p;
	process_meet(tgid);
	return process_find(tgid);
}

/* The thread that runs a mark, knowing its process; NULL: not traced, or no memory (counted). */
static __always_inline struct thread *thread_of_mark(struct task_struct *task)
{
	__u32 version = *(volatile __u32 *)&processes_version;
	struct thread *t = thread_find_of(task);
	struct process *p;

	if (t && t->version == version)
		return t;
	p = process_of_mark(task->tgid);
	if (!p) {
		foreign_mark = true;
		return NULL;
	}
	t = thread_get();
	if (!t)
		return NULL;
	t->process = p->flags;
	t->gil_known = p->gil_bytes != 0;
	t->version = version;
	return t;
}

/* The connection behind a descriptor, remembered in t->seen; 0: not a socket. */
static __always_inline __u64 conn_see(struct thread *t, int fd)
{
	struct file *file = file_of_fd(fd);

	return file && file_see(file, &t->seen) ? t->seen.conn : 0;
}

/* That of the turn that this thread has read and not answered: the wire has shown it. 0: none. */
static __always_inline __u64 conn_of_turn(const struct thread *t, __u32 tgid)
{
	__u64 key = t->key;
	struct rec_request *r = key ? request_lookup(key) : NULL;

	return r && r->id == t->id && r->h.tgid == tgid && turn_is_read(r) ? key : 0;
}

/* Once a process: from now on what its threads read is looked at. */
static __always_inline void fd_hidden_tell(struct thread *t, __u32 tgid)
{
	struct process *p = process_find(tgid);

	t->process |= PROCESS_TOLD_FD_HIDDEN;
	if (!p || p->flags & PROCESS_TOLD_FD_HIDDEN)
		return;
	p->flags |= PROCESS_TOLD_FD_HIDDEN;
	process_tell(REC_PROCESS_FD_HIDDEN);
}

/* The request with this id of this process under key that has not ended, else SLOT_NONE. */
static __always_inline __u32 slot_of(__u64 key, __u64 id, __u32 tgid)
{
	__u32 slot = slot_find(key);
	struct rec_request *r = slot_request(slot);

	return r && r->id == id && r->h.tgid == tgid && !(r->flags & REC_F_DRAINING) ? slot
										     : SLOT_NONE;
}

/*
 * The socket that this thread read last, for a request that comes without its descriptor. That is
 * no guess where one of its requests begins while another is open (bjoern's loop): there it is not
 * made again, and their ends are found by their ids. 0: none.
 */
static __always_inline __u64 conn_guess(struct thread *t, __u32 tgid)
{
	struct process *p;

	if (t->process & PROCESS_FD_UNGUESSED)
		return 0;
	if (!t->key || slot_of(t->key, t->id, tgid) == SLOT_NONE)
		return t->read_conn;
	t->guessed_key = t->key;
	t->guessed_id = t->id;
	t->process |= PROCESS_FD_UNGUESSED;
	p = process_find(tgid);
	if (p)
		p->flags |= PROCESS_FD_UNGUESSED;
	return 0;
}

/* The connection that a request came in on: the descriptor that the marker found, else what the
 * wire knows, else a guess. 0: not known. */
static __always_inline __u64 conn_of_start(struct thread *t, const struct start *start,
					   __u64 *queue)
{
	__u64 conn;

	if (start->fd >= 0) {
		conn = conn_see(t, start->fd);
		if (conn)
			*queue = queue_of(t->seen.tcp, start->ns);
		return conn;
	}
	conn = conn_of_turn(t, start->pid_tgid >> 32);
	if (conn)
		return conn;
	if (!(t->process & (PROCESS_FD_HIDDEN | PROCESS_TOLD_FD_HIDDEN)))
		fd_hidden_tell(t, start->pid_tgid >> 32);
	return conn_guess(t, start->pid_tgid >> 32);
}

__hidden void request_displace(struct rec_request *old)
{
	if (!(old->flags & (REC_F_DRAINING | REC_F_WIRE))) {
		old->flags |= REC_F_NO_END | REC_F_ID_REUSED;
		count_drop(DROP_ID_REUSED);
	}
	request_emit(old);
}

/*
 * Where the request that begins under key is put together: in the place of the one that it ends, as
 * on a connection that is kept alive, else in a free one. What the wire has shown of it until now
 * is the marker's from here on: reads.
 */
static __always_inline __u32 request_place(__u64 key, struct rec_reads *reads)
{
	__u32 slot = slot_find(key);
	struct rec_request *old = slot_request(slot);

	if (!old || !slot_own(slot, key))
		return slot_claim(key);
	if (turn_is_read(old))
		*reads = old->reads;
	else
		request_displace(old);
	return slot;
}

/* Requests for which there was no room and whose end may come yet. User space reads it. */
__u64 refused_open;

/* Its end may still make a record. That of the one before it on this thread will not: it is lost.
 */
static __always_inline void request_refuse(struct thread *t, __u64 id)
{
	if (t->refused)
		count_drop(DROP_REQUESTS_FULL);
	else
		__sync_fetch_and_add(&refused_open, 1);
	t->refused = id;
}

__hidden void request_refused_end(struct thread *t)
{
	if (!t->refused)
		return;
	t->refused = 0;
	__sync_fetch_and_add(&refused_open, -1);
}

/* Puts the request that begins where its end and its writes find it; false: no room, counted. */
static __always_inline bool request_open(struct thread *t, const struct start *start, __u64 conn,
					 __u64 queue)
{
	__u64 key = conn ? conn : request_key_by_id(start->pid_tgid >> 32, start->id);
	struct rec_reads reads = {};
	__u32 slot = request_place(key, &reads);
	struct rec_request *r = slot_request(slot);

	if (!r) {
		request_refuse(t, start->id);
		return false;
	}
	record_begin(r, start, conn);
	r->reads = reads;
	r->queue_ns = queue;
	r->process = t->process;
	r->gil_known = t->gil_known;
	slot_publish(slot, key);
	if (t->key && (t->key == key || slot_of(t->key, t->id, start->pid_tgid >> 32) == SLOT_NONE))
		t->account.open = 0; /* the last one was ended by another thread */
	t->key = key;
	t->id = start->id;
	return true;
}

int request_tell(struct thread *t)
{
	struct rec_request *r;
	struct mark mark;
	__u64 key, from;

	if (!t || !t->untold)
		return 0;
	from = t->untold;
	t->untold = 0;
	key = t->key;
	r = request_lookup(key);
	/* One that another thread has ended has no struct any more. */
	if (!r || r->id != t->id ||
	    (r->flags & (REC_F_TEXT_UNREAD | REC_F_DRAINING)) != REC_F_TEXT_UNREAD)
		return 0;
	if (mark_read(&mark, from) == DROP_REASONS && mark.told.id == r->id)
		strings_put_start(r, &mark);
	else
		count_drop(DROP_BAD_STRING); /* there will be a record, or a loss at its end */
	return 0;
}

/*
 * Not a part of request_start(): older kernels (before 6.13) add up the stacks of all that call one
 * another, and request_tell() takes most of what they allow.
 */
static __noinline void request_begin(struct thread *t, struct task_struct *task,
				     struct pt_regs *ctx)
{
	struct start start = {
		.pid_tgid = pid_tgid_of(task),
		.id = PT_REGS_PARM2(ctx),
		.ns = PT_REGS_PARM3(ctx),
		.fd = PT_REGS_PARM4(ctx),
	};
	__u64 conn, queue = 0;

	conn = conn_of_start(t, &start, &queue);
	if (sample_waits)
		sample_wait_prepare(task);
	if (!request_open(t, &start, conn, queue))
		return;
	account_begin(t, task, start.ns);
	t->untold = PT_REGS_PARM1(ctx);
}

SEC("uprobe")
int request_start(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *t = thread_of_mark(task);

	if (!t)
		return 0;
	count_event(EVENT_START);
	if (!PT_REGS_PARM2(ctx))
		return 0; /* its end is as bad, and is counted */
	if (t->untold)
		request_tell(t); /* greenlets: another one is open on this thread */
	request_begin(t, task, ctx);
	return 0;
}

SEC("uprobe")
int request_block(struct pt_regs *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct rec_block b = {};
	enum drop_reason why;
	struct mark mark;

	if (!process_find(pid_tgid >> 32))
		return 0;
	count_event(EVENT_BLOCK);
	why = mark_read(&mark, PT_REGS_PARM1(ctx));
	if (why != DROP_REASONS) {
		count_drop(why);
		return 0;
	}
	header_fill(&b.h, REC_BLOCK, sizeof(b), pid_tgid, bpf_ktime_get_ns());
	b.id = mark.told.id;
	b.index = mark.told.blocks;
	b.bytes = mark.told.block_bytes;
	b.app_ns = mark.told.block_app_ns;
	b.output_ns = mark.told.block_output_ns;
	emit(&b, sizeof(b));
	return 0;
}

/* Found by the thread that began it, else by its connection, else by its id. */
static __always_inline __u32 request_find(struct thread *t, __u32 tgid,
					  const struct wsgiscope_request *m, __u64 *key)
{
	__u32 slot;

	if (t->key && t->id == m->id) {
		*key = t->key;
		t->key = 0;
		slot = slot_of(*key, m->id, tgid);
		if (slot != SLOT_NONE)
			return slot;
	}
	if (m->fd >= 0) {
		*key = conn_of_fd(m->fd);
		slot = *key ? slot_of(*key, m->id, tgid) : SLOT_NONE;
		if (slot != SLOT_NONE)
			return slot;
	}
	*key = t->guessed_key;
	if (*key && t->guessed_id == m->id) {
		t->guessed_key = 0;
		return slot_of(*key, m->id, tgid);
	}
	*key = request_key_by_id(tgid, m->id);
	return slot_of(*key, m->id, tgid);
}

/*
 * Whether writes may still come: the server is one that writes after close(), or it has not yet
 * answered, or the end was not close() itself but what comes before it (an iterable without
 * close() ends with its last block; the end of a chunked body is written after that).
 */
static __always_inline bool request_drains(const struct rec_request *r)
{
	if (r->flags & REC_F_CONN_UNKNOWN)
		return false;
	return (r->process & PROCESS_WRITES_LATE) || !r->writes.bytes ||
	       !(r->mark_flags & WSGISCOPE_F_CLOSED);
}

/* The time is the marker's: the clock is not asked where user space sees what is no time. */
static __always_inline void request_finish(struct rec_request *r, const struct mark *mark)
{
	counts_put(r, &mark->told);
	r->h.time_ns = r->end_ns;
	strings_put_end(r, mark);
}

/* An end whose start was not seen (armed in between): all but the writes is known. */
static __always_inline void request_end_alone(struct thread *t, __u64 pid_tgid,
					      const struct mark *mark)
{
	const struct start start = {
		.pid_tgid = pid_tgid,
		.id = mark->told.id,
		.ns = mark->told.start_ns,
		.fd = mark->told.fd,
	};
	struct rec_request *r = &t->scratch;

	count_drop(DROP_NO_START);
	record_begin(r, &start, 0);
	request_finish(r, mark);
	r->flags |= REC_F_NO_START;
	request_emit(r);
}

/* An end that cannot be read is taken for that of the request that this thread has open: else that
 * one would be counted too, as one that never ended. */
static __always_inline void request_lose(struct thread *t, __u32 tgid, enum drop_reason why)
{
	__u64 key = t->key;
	__u32 slot = key ? slot_of(key, t->id, tgid) : SLOT_NONE;

	count_drop(why);
	t->key = 0;
	t->untold = 0;
	t->account.open = 0;
	t->account.serving = 0;
	if (slot != SLOT_NONE && slot_withdraw(slot, key))
		slot_free(slot);
}

SEC("uprobe")
int request_end(struct pt_regs *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *t = thread_find_of(task);
	__u64 pid_tgid = pid_tgid_of(task);
	struct rec_request *r;
	struct mark mark;
	enum drop_reason why;
	__u64 key = 0;
	__u32 slot;
	bool mine;

	if (!t && !process_find(pid_tgid >> 32))
		return 0;
	count_event(EVENT_END);
	if (!t)
		t = thread_get();
	if (!t)
		return 0;
	if (t->untold == PT_REGS_PARM1(ctx))
		t->untold = 0; /* read here */
	why = mark_read(&mark, PT_REGS_PARM1(ctx));
	if (why != DROP_REASONS) {
		request_lose(t, pid_tgid >> 32, why);
		return 0;
	}
	slot = request_find(t, pid_tgid >> 32, &mark.told, &key);
	r = slot_request(slot);
	if (!r) {
		if (t->refused == mark.told.id)
			request_refused_end(t);
		request_end_alone(t, pid_tgid, &mark);
		return 0;
	}
	mine = r->h.tid == (__u32)pid_tgid;
	r->h.tid = pid_tgid;
	request_finish(r, &mark);
	if (sample_waits)
		sample_wait_missed(task);
	if (mine)
		account_end(t, task, r);
	else
		r->flags |= REC_F_STATES_MIXED;
	/* What user space has in its hands just now it will come back to. */
	if (request_drains(r) || !slot_withdraw(slot, key)) {
		r->flags |= REC_F_DRAINING | REC_F_DRAINED;
		return 0;
	}
	request_emit(r);
	slot_free(slot);
	return 0;
}
