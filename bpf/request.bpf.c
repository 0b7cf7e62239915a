// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Begin, block and end of a request, from the marks. The worker has counted; what it says is
 * copied by one read and is not believed: sizes are bounded here, sense is made of it in user
 * space. The strings that are known at the start are read then, so that a request whose worker
 * dies still has its method and path.
 */
#include "state.bpf.h"

/* The worker's struct and the text in it, copied into the thread's storage: it is too large for the
 * stack. NULL: unreadable or of another version, counted. */
static __always_inline struct mark *mark_read(struct thread *t, struct pt_regs *ctx)
{
	const struct wsgiscope_request *from = (const void *)PT_REGS_PARM1(ctx);
	struct wsgiscope_request *m = &t->mark.told;

	if (bpf_probe_read_user(m, sizeof(*m), from) || !m->id) {
		count_drop(DROP_BAD_MARK);
		return NULL;
	}
	if (m->version != WSGISCOPE_MARKS_VERSION || m->size < sizeof(*m)) {
		count_drop(DROP_MARKER_VERSION);
		return NULL;
	}
	if (m->text_bytes > sizeof(m->text))
		m->text_bytes = sizeof(m->text);
	t->mark.text = (__u64)from->text;
	return &t->mark;
}

/* The text that lies in the struct, all of it: the strings only say where theirs is. */
static __always_inline void text_put(struct rec_request *r, const struct mark *mark)
{
	__builtin_memcpy(r->text, mark->told.text, sizeof(mark->told.text));
	if (r->text_bytes < mark->told.text_bytes)
		r->text_bytes = mark->told.text_bytes;
}

/* Reads a string that lies elsewhere, behind those that are there already. */
static __always_inline void string_read(struct rec_request *r, struct rec_str *to, __u64 from,
					__u64 bytes, const __u32 max)
{
	__u32 at = r->text_bytes;

	if (at < STR_BESIDE_MAX)
		at = STR_BESIDE_MAX;
	barrier_var(at);
	barrier_var(bytes);
	if (at > STR_TEXT_MAX - max || bytes > max)
		return;
	if (bpf_probe_read_user(r->text + at, bytes, (const void *)from)) {
		to->failed = 1;
		count_drop(DROP_BAD_STRING);
		return;
	}
	to->offset = at;
	to->bytes = bytes;
	r->text_bytes = at + bytes;
}

/* After text_put(). max: the string's STR_…_MAX. */
static __always_inline void string_put(struct rec_request *r, enum rec_string which,
				       const struct mark *mark, const struct wsgiscope_str *s,
				       const __u32 max)
{
	__u64 at = s->ptr - mark->text, beside = mark->told.text_bytes;
	struct rec_str *to = &r->str[which];
	__u64 bytes = s->len;

	*to = (struct rec_str){.kind = s->kind};
	if (s->kind == WSGISCOPE_STR_NONE || !bytes)
		return;
	if (s->kind == WSGISCOPE_STR_UCS2 || s->kind == WSGISCOPE_STR_UCS4)
		bytes *= s->kind;
	if (bytes > max) {
		bytes = max;
		to->cut = 1;
	}
	if (at < beside && bytes <= beside - at) {
		to->offset = at;
		to->bytes = bytes;
		return;
	}
	string_read(r, to, s->ptr, bytes, max);
}

static __always_inline void strings_put_start(struct rec_request *r, const struct mark *mark)
{
	const struct wsgiscope_request *m = &mark->told;

	r->text_bytes = 0;
	text_put(r, mark);
	string_put(r, STR_METHOD, mark, &m->method, STR_METHOD_MAX);
	string_put(r, STR_SCRIPT, mark, &m->script, STR_SCRIPT_MAX);
	string_put(r, STR_PATH, mark, &m->path, STR_PATH_MAX);
	string_put(r, STR_QUEUE, mark, &m->queue, STR_QUEUE_MAX);
	string_put(r, STR_TRACEPARENT, mark, &m->traceparent, STR_TRACEPARENT_MAX);
	string_put(r, STR_APP, mark, &m->app, STR_APP_MAX);
	__builtin_memset(&r->str[STR_ROUTE], 0, 2 * sizeof(r->str[0]));
}

static __always_inline void strings_put_end(struct rec_request *r, const struct mark *mark)
{
	const struct wsgiscope_request *m = &mark->told;

	if (!m->route.kind && !m->exception.kind)
		return;
	text_put(r, mark);
	string_put(r, STR_ROUTE, mark, &m->route, STR_ROUTE_MAX);
	string_put(r, STR_EXCEPTION, mark, &m->exception, STR_EXCEPTION_MAX);
}

static __always_inline void counts_put(struct rec_request *r, const struct wsgiscope_request *m)
{
	r->end_ns = m->end_ns;
	r->first_block_ns = m->first_block_ns;
	r->output_ns = m->output_ns;
	r->blocks = m->blocks;
	r->bytes = m->bytes;
	r->status = m->status;
	r->mark_flags = m->flags;
}

static __always_inline void record_begin(struct rec_request *r, const struct mark *mark, __u64 conn)
{
	const struct wsgiscope_request *m = &mark->told;

	header_fill(&r->h, REC_REQUEST, sizeof(*r), m->start_ns);
	r->id = m->id;
	r->conn = conn;
	r->start_ns = m->start_ns;
	r->fd = m->fd;
	r->flags = conn ? 0 : REC_F_CONN_UNKNOWN;
	counts_put(r, m);
	r->queue_ns = 0;
	__builtin_memset(&r->writes, 0, sizeof(r->writes));
	__builtin_memset(&r->states, 0, sizeof(r->states));
	strings_put_start(r, mark);
}

static __always_inline void process_tell(enum rec_process_what what)
{
	struct rec_process p = {};

	header_fill(&p.h, REC_PROCESS, sizeof(p), bpf_ktime_get_ns());
	p.what = what;
	emit(&p, sizeof(p));
}

/* The process that runs a mark, where it counts; with track_all it counts from now on. */
static __always_inline struct process *process_of_mark(void)
{
	__u32 tgid = current_tgid();
	struct process *p = process_find(tgid);
	struct process fresh = {.flags = PROCESS_WRITES_LATE};

	if (p || !track_all)
		return p;
	if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_NOEXIST)) {
		count_drop(DROP_REQUESTS_FULL);
		return NULL;
	}
	process_tell(REC_PROCESS_NEW);
	return process_find(tgid);
}

extern unsigned int CONFIG_HZ __kconfig __weak;

#define AF_INET	    2
#define AF_INET6    10
#define SOCK_STREAM 1

/*
 * How long the request's bytes had been readable when the application was called, 0: not known.
 * tcp_mstamp is the time of the socket's last packet in or out (us, CLOCK_MONOTONIC), which is
 * the arrival of the request unless a delayed ACK has gone out since; then the time of the last
 * data in (jiffies) says so and is taken, coarser.
 */
static __always_inline __u64 queue_of(struct sock *sk, __u64 start_ns)
{
	__u64 now, stamp, age, tick;

	if (!sk || !CONFIG_HZ)
		return 0;
	tick = 1000000000ULL / CONFIG_HZ;
	now = bpf_ktime_get_ns();
	stamp = BPF_CORE_READ((struct tcp_sock *)sk, tcp_mstamp) * 1000;
	age = (__u32)((__u32)bpf_jiffies64() -
		      BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ack.lrcvtime)) *
	      tick;
	if (!stamp || stamp > now || age > now)
		return 0;
	if (age > now - stamp + 2 * tick)
		stamp = now - age;
	return start_ns > stamp ? start_ns - stamp : 0;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	unsigned short family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) &&
	       BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
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

/* The connection that a request came in on: the descriptor that the marker found, else the socket
 * that this thread read last. 0: not known. */
static __always_inline __u64 conn_of_start(struct process *p, struct thread *t,
					   const struct wsgiscope_request *m, __u64 *queue)
{
	__u64 conn;

	if (m->fd >= 0) {
		conn = conn_see(t, m->fd);
		if (conn)
			*queue = queue_of((struct sock *)t->seen.tcp, m->start_ns);
		return conn;
	}
	if (!(p->flags & (PROCESS_FD_HIDDEN | PROCESS_TOLD_FD_HIDDEN))) {
		p->flags |= PROCESS_TOLD_FD_HIDDEN;
		process_tell(REC_PROCESS_FD_HIDDEN);
	}
	return t->read_conn;
}

/*
 * Something is on this connection (or has this id) already. Draining: its next request has
 * started, so it is finished. Not ended: its end will not come any more.
 */
static __always_inline void request_displace(struct rec_request *old)
{
	if (!(old->flags & REC_F_DRAINING)) {
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

/* Less than user space waits until it takes a draining request: it is not about to take this one.
 */
#define REUSE_NS 50000000ULL

static __always_inline bool request_is_fresh(const struct rec_request *r)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 last = r->writes.last_ns > r->h.time_ns ? r->writes.last_ns : r->h.time_ns;

	return now - last < REUSE_NS;
}

/*
 * Where the request that begins under key is put together: in the place of the one that it ends, as
 * on a connection that is kept alive, else in the thread's scratch, to be inserted. A place in the
 * hash costs as much as all the rest of a start.
 */
static __always_inline struct rec_request *request_place(struct thread *t, __u64 key, bool *insert)
{
	struct rec_request *old = bpf_map_lookup_elem(&requests, &key);

	*insert = true;
	if (!old)
		return &t->scratch;
	request_displace(old);
	if (!request_is_fresh(old))
		return &t->scratch;
	*insert = false;
	return old;
}

/* Puts the request that begins where its end and its writes find it; false: no room, counted. */
static __always_inline bool request_open(struct process *p, struct thread *t,
					 const struct mark *mark, __u64 conn, __u64 queue)
{
	__u64 key = conn ? conn : request_key_by_id(current_tgid(), mark->told.id);
	struct rec_request *r;
	bool insert;

	r = request_place(t, key, &insert);
	record_begin(r, mark, conn);
	r->queue_ns = queue;
	r->process = p->flags;
	r->gil_known = p->gil_bytes != 0;
	if (insert && bpf_map_update_elem(&requests, &key, r, BPF_ANY)) {
		count_drop(DROP_REQUESTS_FULL);
		return false;
	}
	if (t->key && (t->key == key || !request_at(t->key, t->id, r->h.tgid)))
		t->account.open = 0; /* the last one was ended by another thread */
	t->key = key;
	t->id = mark->told.id;
	return true;
}

/* Set when a process that is not traced has run a mark: it pays for our probes. User space resets.
 */
bool foreign_mark;

SEC("uprobe")
int request_start(struct pt_regs *ctx)
{
	struct process *p = process_of_mark();
	struct thread *t;
	struct mark *mark;
	__u64 conn, queue = 0;

	if (!p) {
		foreign_mark = true;
		return 0;
	}
	count_event(EVENT_START);
	t = thread_get();
	if (!t)
		return 0;
	mark = mark_read(t, ctx);
	if (!mark)
		return 0;
	conn = conn_of_start(p, t, &mark->told, &queue);
	if (sample_waits)
		sample_wait_prepare(bpf_get_current_task_btf());
	if (request_open(p, t, mark, conn, queue))
		account_begin(t, mark->told.start_ns);
	return 0;
}

SEC("uprobe")
int request_block(struct pt_regs *ctx)
{
	struct rec_block b = {};
	struct thread *t;
	struct mark *mark;

	if (!process_find(current_tgid()))
		return 0;
	count_event(EVENT_BLOCK);
	t = thread_get();
	if (!t)
		return 0;
	mark = mark_read(t, ctx);
	if (!mark)
		return 0;
	header_fill(&b.h, REC_BLOCK, sizeof(b), bpf_ktime_get_ns());
	b.id = mark->told.id;
	b.index = mark->told.blocks;
	b.bytes = mark->told.block_bytes;
	b.app_ns = mark->told.block_app_ns;
	b.output_ns = mark->told.block_output_ns;
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

static __always_inline void request_finish(struct rec_request *r, const struct mark *mark)
{
	counts_put(r, &mark->told);
	header_fill(&r->h, REC_REQUEST, sizeof(*r), bpf_ktime_get_ns());
	strings_put_end(r, mark);
}

/* An end whose start was not seen (armed in between): all but the writes is known. */
static __always_inline void request_end_alone(struct thread *t, const struct mark *mark)
{
	struct rec_request *r = &t->scratch;

	count_drop(DROP_NO_START);
	record_begin(r, mark, 0);
	request_finish(r, mark);
	r->flags |= REC_F_NO_START;
	request_emit(r);
}

SEC("uprobe")
int request_end(struct pt_regs *ctx)
{
	struct rec_request *r;
	struct thread *t = thread_find();
	struct mark *mark;
	__u64 key = 0;
	bool mine;

	if (!t && !process_find(current_tgid()))
		return 0;
	count_event(EVENT_END);
	if (!t)
		t = thread_get();
	if (!t)
		return 0;
	mark = mark_read(t, ctx);
	if (!mark)
		return 0;
	r = request_find(t, current_tgid(), &mark->told, &key);
	if (!r) {
		request_end_alone(t, mark);
		return 0;
	}
	mine = r->h.tid == (__u32)bpf_get_current_pid_tgid();
	request_finish(r, mark);
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
