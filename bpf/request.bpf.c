// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Begin, block and end of a request, from the marks. The worker has counted; what it says is
 * copied by one read and is not believed: sizes are bounded here, sense is made of it in user
 * space. The strings that are known at the start are read then, so that a request whose worker
 * dies still has its method and path.
 */
#include "state.bpf.h"

/* The worker's struct, copied; false: unreadable or of another version, counted. */
static __always_inline bool mark_read(struct wsgiscope_request *m, const void *from)
{
	if (bpf_probe_read_user(m, sizeof(*m), from) || !m->id) {
		count_drop(DROP_BAD_MARK);
		return false;
	}
	if (m->version != WSGISCOPE_MARKS_VERSION || m->size < sizeof(*m)) {
		count_drop(DROP_MARKER_VERSION);
		return false;
	}
	return true;
}

/* Copies one string behind those that are there already. max: its STR_…_MAX. */
static __always_inline void string_put(struct rec_request *r, enum rec_string which,
				       const struct wsgiscope_str *s, const __u32 max)
{
	struct rec_str *to = &r->str[which];
	__u32 at = r->text_bytes;
	__u64 bytes = s->len;

	to->offset = at;
	to->bytes = 0;
	to->cut = 0;
	to->failed = 0;
	to->pad = 0;
	to->kind = s->kind;
	if (s->kind == WSGISCOPE_STR_NONE || !bytes)
		return;
	if (s->kind == WSGISCOPE_STR_UCS2 || s->kind == WSGISCOPE_STR_UCS4)
		bytes *= s->kind;
	if (bytes > max) {
		bytes = max;
		to->cut = 1;
	}
	barrier_var(at);
	barrier_var(bytes);
	if (at > STR_TEXT_MAX - max || bytes > max)
		return;
	if (bpf_probe_read_user(r->text + at, bytes, (const void *)s->ptr)) {
		to->failed = 1;
		count_drop(DROP_BAD_STRING);
		return;
	}
	to->bytes = bytes;
	r->text_bytes = at + bytes;
}

static __always_inline void strings_put_start(struct rec_request *r,
					      const struct wsgiscope_request *m)
{
	r->text_bytes = 0;
	string_put(r, STR_METHOD, &m->method, STR_METHOD_MAX);
	string_put(r, STR_SCRIPT, &m->script, STR_SCRIPT_MAX);
	string_put(r, STR_PATH, &m->path, STR_PATH_MAX);
	string_put(r, STR_QUEUE, &m->queue, STR_QUEUE_MAX);
	string_put(r, STR_TRACEPARENT, &m->traceparent, STR_TRACEPARENT_MAX);
	string_put(r, STR_APP, &m->app, STR_APP_MAX);
	__builtin_memset(&r->str[STR_ROUTE], 0, 2 * sizeof(r->str[0]));
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

static __always_inline void record_begin(struct rec_request *r, const struct wsgiscope_request *m,
					 __u64 conn)
{
	header_fill(&r->h, REC_REQUEST, sizeof(*r), m->start_ns);
	r->id = m->id;
	r->conn = conn;
	r->start_ns = m->start_ns;
	r->fd = m->fd;
	r->flags = conn ? 0 : REC_F_CONN_UNKNOWN;
	counts_put(r, m);
	__builtin_memset(&r->writes, 0, sizeof(r->writes));
	strings_put_start(r, m);
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

/* The connection that a request came in on: the descriptor that the marker found, else the socket
 * that this thread read last. 0: not known. */
static __always_inline __u64 conn_of_start(struct process *p, struct thread *t,
					   const struct wsgiscope_request *m)
{
	if (m->fd >= 0)
		return conn_of_fd(m->fd);
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

static __always_inline bool request_insert(__u64 key, struct rec_request *r)
{
	struct rec_request *old;

	if (!bpf_map_update_elem(&requests, &key, r, BPF_NOEXIST))
		return true;
	old = bpf_map_lookup_elem(&requests, &key);
	if (old)
		request_displace(old);
	if (!bpf_map_update_elem(&requests, &key, r, BPF_ANY))
		return true;
	count_drop(DROP_REQUESTS_FULL);
	return false;
}

SEC("uprobe")
int request_start(struct pt_regs *ctx)
{
	struct wsgiscope_request m;
	struct process *p = process_of_mark();
	struct thread *t;
	__u64 key;

	if (!p)
		return 0;
	count_event(EVENT_START);
	if (!mark_read(&m, (const void *)PT_REGS_PARM1(ctx)))
		return 0;
	t = thread_get();
	if (!t)
		return 0;
	key = conn_of_start(p, t, &m);
	record_begin(&t->scratch, &m, key);
	t->scratch.process = p->flags;
	if (!key)
		key = request_key_by_id(t->scratch.h.tgid, m.id);
	if (!request_insert(key, &t->scratch))
		return 0;
	t->key = key;
	t->id = m.id;
	return 0;
}

SEC("uprobe")
int request_block(struct pt_regs *ctx)
{
	struct wsgiscope_request m;
	struct rec_block b = {};

	if (!process_find(current_tgid()))
		return 0;
	count_event(EVENT_BLOCK);
	if (!mark_read(&m, (const void *)PT_REGS_PARM1(ctx)))
		return 0;
	header_fill(&b.h, REC_BLOCK, sizeof(b), bpf_ktime_get_ns());
	b.id = m.id;
	b.index = m.blocks;
	b.bytes = m.block_bytes;
	b.app_ns = m.block_app_ns;
	b.output_ns = m.block_output_ns;
	emit(&b, sizeof(b));
	return 0;
}

/* The request with this id of this process under key, or NULL. */
static __always_inline struct rec_request *request_at(__u64 key, __u64 id, __u32 tgid)
{
	struct rec_request *r = bpf_map_lookup_elem(&requests, &key);

	return r && r->id == id && r->h.tgid == tgid && !(r->flags & REC_F_DRAINING) ? r : NULL;
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

static __always_inline void request_finish(struct rec_request *r, const struct wsgiscope_request *m)
{
	counts_put(r, m);
	header_fill(&r->h, REC_REQUEST, sizeof(*r), bpf_ktime_get_ns());
	string_put(r, STR_ROUTE, &m->route, STR_ROUTE_MAX);
	string_put(r, STR_EXCEPTION, &m->exception, STR_EXCEPTION_MAX);
}

/* An end whose start was not seen (armed in between): all but the writes is known. */
static __always_inline void request_end_alone(struct thread *t, const struct wsgiscope_request *m)
{
	struct rec_request *r = &t->scratch;

	count_drop(DROP_NO_START);
	record_begin(r, m, 0);
	request_finish(r, m);
	r->flags |= REC_F_NO_START;
	request_emit(r);
}

SEC("uprobe")
int request_end(struct pt_regs *ctx)
{
	struct wsgiscope_request m;
	struct rec_request *r;
	struct thread *t = thread_find();
	__u64 key = 0;

	if (!t && !process_find(current_tgid()))
		return 0;
	count_event(EVENT_END);
	if (!mark_read(&m, (const void *)PT_REGS_PARM1(ctx)))
		return 0;
	if (!t)
		t = thread_get();
	if (!t)
		return 0;
	r = request_find(t, current_tgid(), &m, &key);
	if (!r) {
		request_end_alone(t, &m);
		return 0;
	}
	request_finish(r, &m);
	if (request_drains(r)) {
		r->flags |= REC_F_DRAINING | REC_F_DRAINED;
		return 0;
	}
	request_emit(r);
	bpf_map_delete_elem(&requests, &key);
	return 0;
}
