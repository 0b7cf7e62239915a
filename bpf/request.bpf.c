// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Begin, block and end of a request, from the marks. The worker has counted. To read its memory is
 * the dearest thing here (some 200 ns), so what is needed at the start comes in registers, and what
 * the mark points at is read once: at the end, or when the thread first leaves the CPU, so that a
 * request whose worker dies still has its method and path.
 */
#include "state.bpf.h"
#include "mark.bpf.h"
#include "tcp.bpf.h"

/* What the registers of a start mark say. */
struct start {
	__u64 pid_tgid;
	__u64 id;
	__u64 ns;
	int fd;
};

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

/* The process that runs a mark, where it counts; with track_all it counts from now on. */
static __always_inline struct process *process_of_mark(__u32 tgid)
{
	struct process *p = process_find(tgid);
	struct process fresh = {.flags = PROCESS_WRITES_LATE};

	if (p || !track_all)
		return p;
	if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_NOEXIST)) {
		count_drop(DROP_REQUESTS_FULL);
		return NULL;
	}
	processes_changed();
	process_tell(REC_PROCESS_NEW);
	return process_find(tgid);
}

/* The thread that runs a mark, knowing its process; NULL: not traced, or no memory (counted). */
static __always_inline struct thread *thread_of_mark(__u32 tgid)
{
	__u32 version = *(volatile __u32 *)&processes_version;
	struct thread *t = thread_find();
	struct process *p;

	if (t && t->version == version)
		return t;
	p = process_of_mark(tgid);
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
	struct inode *inode;
	struct sock *sk;
	__u64 conn;

	if (!file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	conn = BPF_CORE_READ(inode, i_ino);
	if ((__u64)inode == t->seen.inode && conn == t->seen.conn)
		return conn;
	conn = conn_of_file(file);
	if (!conn)
		return 0;
	sk = sock_of_file(file);
	t->seen.inode = (__u64)inode;
	t->seen.conn = conn;
	t->seen.tcp = is_tcp(sk) ? (__u64)sk : 0;
	return conn;
}

/* That of the turn that this thread has read and not answered: the wire has shown it. 0: none. */
static __always_inline __u64 conn_of_turn(const struct thread *t, __u32 tgid)
{
	__u64 key = t->key;
	struct rec_request *r = key ? bpf_map_lookup_elem(&requests, &key) : NULL;

	return r && r->id == t->id && r->h.tgid == tgid && turn_is_read(r) ? key : 0;
}

/* The connection that a request came in on: the descriptor that the marker found, else what the
 * wire knows, else the socket that this thread read last. 0: not known. */
static __always_inline __u64 conn_of_start(struct thread *t, const struct start *start,
					   __u64 *queue)
{
	struct process *p;
	__u64 conn;

	if (start->fd >= 0) {
		conn = conn_see(t, start->fd);
		if (conn)
			*queue = queue_of((struct sock *)t->seen.tcp, start->ns);
		return conn;
	}
	conn = conn_of_turn(t, start->pid_tgid >> 32);
	if (conn)
		return conn;
	if (t->process & (PROCESS_FD_HIDDEN | PROCESS_TOLD_FD_HIDDEN))
		return t->read_conn;
	t->process |= PROCESS_TOLD_FD_HIDDEN;
	p = process_find(start->pid_tgid >> 32);
	if (p && !(p->flags & PROCESS_TOLD_FD_HIDDEN)) {
		p->flags |= PROCESS_TOLD_FD_HIDDEN;
		process_tell(REC_PROCESS_FD_HIDDEN);
	}
	return t->read_conn;
}

__hidden void request_displace(struct rec_request *old)
{
	if (!(old->flags & (REC_F_DRAINING | REC_F_WIRE))) {
		old->flags |= REC_F_NO_END | REC_F_ID_REUSED;
		count_drop(DROP_ID_REUSED);
	}
	request_emit(old);
}

/* The request with this id of this process under key, or NULL. */
static __always_inline struct rec_request *request_at(__u64 key, __u64 id, __u32 tgid)
{
	struct rec_request *r = bpf_map_lookup_elem(&requests, &key);

	return r && r->id == id && r->h.tgid == tgid && !(r->flags & REC_F_DRAINING) ? r : NULL;
}

/*
 * Where the request that begins under key is put together: in the place of the one that it ends, as
 * on a connection that is kept alive, else in the thread's scratch, to be inserted. A place in the
 * hash costs as much as all the rest of a start. What the wire has shown of it until now is the
 * marker's from here on: reads.
 */
static __always_inline struct rec_request *request_place(struct thread *t, __u64 key, __u64 now,
							 struct rec_reads *reads, bool *insert)
{
	struct rec_request *old = bpf_map_lookup_elem(&requests, &key);

	*insert = true;
	if (!old)
		return &t->scratch;
	if (turn_is_read(old))
		*reads = old->reads;
	else
		request_displace(old);
	if (!request_is_fresh(old, now))
		return &t->scratch;
	*insert = false;
	return old;
}

/* Puts the request that begins where its end and its writes find it; false: no room, counted. */
static __always_inline bool request_open(struct thread *t, const struct start *start, __u64 conn,
					 __u64 queue)
{
	__u64 key = conn ? conn : request_key_by_id(start->pid_tgid >> 32, start->id);
	struct rec_reads reads = {};
	struct rec_request *r;
	bool insert;

	r = request_place(t, key, start->ns, &reads, &insert);
	record_begin(r, start, conn);
	r->reads = reads;
	r->queue_ns = queue;
	r->process = t->process;
	r->gil_known = t->gil_known;
	if (insert && bpf_map_update_elem(&requests, &key, r, BPF_ANY)) {
		count_drop(DROP_REQUESTS_FULL);
		return false;
	}
	if (t->key && (t->key == key || !request_at(t->key, t->id, r->h.tgid)))
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
	r = bpf_map_lookup_elem(&requests, &key);
	/* One that another thread has ended has no struct any more. */
	if (!r || r->id != t->id ||
	    (r->flags & (REC_F_TEXT_UNREAD | REC_F_DRAINING)) != REC_F_TEXT_UNREAD)
		return 0;
	if (mark_read(&mark, from) && mark.told.id == r->id)
		strings_put_start(r, &mark);
	return 0;
}

SEC("uprobe")
int request_start(struct pt_regs *ctx)
{
	struct start start = {
		.pid_tgid = bpf_get_current_pid_tgid(),
		.id = PT_REGS_PARM2(ctx),
		.ns = PT_REGS_PARM3(ctx),
		.fd = PT_REGS_PARM4(ctx),
	};
	struct thread *t = thread_of_mark(start.pid_tgid >> 32);
	__u64 conn, queue = 0;

	if (!t)
		return 0;
	count_event(EVENT_START);
	if (!start.id) {
		count_drop(DROP_BAD_MARK);
		return 0;
	}
	if (t->untold)
		request_tell(t); /* greenlets: another one is open on this thread */
	conn = conn_of_start(t, &start, &queue);
	if (sample_waits)
		sample_wait_prepare(bpf_get_current_task_btf());
	if (!request_open(t, &start, conn, queue))
		return 0;
	account_begin(t, start.ns);
	t->untold = PT_REGS_PARM1(ctx);
	return 0;
}

SEC("uprobe")
int request_block(struct pt_regs *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct rec_block b = {};
	struct mark mark;

	if (!process_find(pid_tgid >> 32))
		return 0;
	count_event(EVENT_BLOCK);
	if (!mark_read(&mark, PT_REGS_PARM1(ctx)))
		return 0;
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
static __always_inline struct rec_request *
request_find(struct thread *t, __u32 tgid, const struct wsgiscope_request *m, __u64 *key)
{
	struct rec_request *r;

	if (t->key && t->id == m->id) {
		*key = t->key;
		t->key = 0;
		r = request_at(*key, m->id, tgid);
		if (r)
			return r;
	}
	if (m->fd >= 0) {
		*key = conn_of_fd(m->fd);
		r = *key ? request_at(*key, m->id, tgid) : NULL;
		if (r)
			return r;
	}
	*key = request_key_by_id(tgid, m->id);
	return request_at(*key, m->id, tgid);
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

static __always_inline void request_finish(struct rec_request *r, const struct mark *mark,
					   __u64 time_ns)
{
	counts_put(r, &mark->told);
	r->h.time_ns = time_ns;
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
	request_finish(r, mark, bpf_ktime_get_ns());
	r->flags |= REC_F_NO_START;
	request_emit(r);
}

SEC("uprobe")
int request_end(struct pt_regs *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct rec_request *r;
	struct thread *t = thread_find();
	struct mark mark;
	__u64 key = 0;
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
	if (!mark_read(&mark, PT_REGS_PARM1(ctx)))
		return 0;
	r = request_find(t, pid_tgid >> 32, &mark.told, &key);
	if (!r) {
		request_end_alone(t, pid_tgid, &mark);
		return 0;
	}
	mine = r->h.tid == (__u32)pid_tgid;
	r->h.tid = pid_tgid;
	request_finish(r, &mark, bpf_ktime_get_ns());
	if (sample_waits)
		sample_wait_missed(bpf_get_current_task_btf());
	if (mine)
		account_end(t, r);
	else
		r->flags |= REC_F_STATES_MIXED;
	if (request_drains(r)) {
		r->flags |= REC_F_DRAINING | REC_F_DRAINED;
		return 0;
	}
	request_emit(r);
	bpf_map_delete_elem(&requests, &key);
	return 0;
}
