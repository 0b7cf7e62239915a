// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The socket-write system calls on connections that have a request in flight or draining, whichever
 * thread of the process makes them. Everything else (pipes, files, logs, the application's own
 * sockets) is not a connection with a request, and is left alone after one look-up.
 */
#include "state.bpf.h"

enum write_kind {
	WRITE_BUFFER,	/* buffer, length */
	WRITE_VECTOR,	/* struct iovec[] */
	WRITE_MESSAGE,	/* struct msghdr */
	WRITE_MESSAGES, /* struct mmsghdr[]: returns a count of messages */
	WRITE_FILE,	/* no buffer in user space */
};

#define EINTR  4
#define EAGAIN 11

/* UAPI layouts (LP64). */
struct user_iovec {
	__u64 base;
	__u64 len;
};

struct user_msghdr {
	__u64 name;
	__u32 namelen;
	__u32 pad;
	__u64 iov;
	__u64 iovlen;
	__u64 control;
	__u64 controllen;
	__u64 flags;
};

struct user_mmsghdr {
	struct user_msghdr hdr;
	__u32 len;
	__u32 pad;
};

#define MESSAGES_MAX 16

static __always_inline int write_enter(enum write_kind kind, int fd, __u64 buffer, __u64 wanted)
{
	struct thread *t = thread_find();
	struct rec_request *r;
	__u32 family;
	__u64 conn;

	if (!t && !process_find(current_tgid()))
		return 0;
	conn = conn_of_fd(fd, &family);
	if (!conn)
		return 0;
	r = bpf_map_lookup_elem(&requests, &conn);
	if (!r || r->h.tgid != current_tgid())
		return 0;
	if (!t)
		t = thread_get();
	if (!t)
		return 0;
	r->writes.family = family;
	t->call.conn = conn;
	t->call.buffer = buffer;
	t->call.wanted = wanted;
	t->call.kind = kind;
	t->call.enter_ns = bpf_ktime_get_ns();
	return 0;
}

/* Where the first byte of a call's data lies, 0: not in user memory. */
static __always_inline __u64 write_data(const struct write_call *call)
{
	struct user_msghdr msg;
	struct user_iovec iov;
	__u64 at = call->buffer;

	if (call->kind == WRITE_FILE)
		return 0;
	if (call->kind == WRITE_BUFFER)
		return at;
	if (call->kind == WRITE_MESSAGE || call->kind == WRITE_MESSAGES) {
		if (bpf_probe_read_user(&msg, sizeof(msg), (const void *)at))
			return 0;
		at = msg.iov;
	}
	if (bpf_probe_read_user(&iov, sizeof(iov), (const void *)at))
		return 0;
	return iov.base;
}

static __always_inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x NNN" or "Status: NNN" (CGI style); 0: neither. Interim answers (1xx) do not count. */
static __always_inline __u16 status_parse(const char *b)
{
	int at;
	__u16 status;

	if (b[0] == 'H' && b[1] == 'T' && b[2] == 'T' && b[3] == 'P' && b[4] == '/' && b[8] == ' ')
		at = 9;
	else if (b[0] == 'S' && b[1] == 't' && b[2] == 'a' && b[3] == 't' && b[6] == ':')
		at = 8;
	else
		return 0;
	if (at == 9) {
		if (!is_digit(b[9]) || !is_digit(b[10]) || !is_digit(b[11]))
			return 0;
		status = (b[9] - '0') * 100 + (b[10] - '0') * 10 + (b[11] - '0');
	} else {
		if (!is_digit(b[8]) || !is_digit(b[9]) || !is_digit(b[10]))
			return 0;
		status = (b[8] - '0') * 100 + (b[9] - '0') * 10 + (b[10] - '0');
	}
	return status >= 200 ? status : 0;
}

static __always_inline void wire_status_read(struct rec_request *r, const struct write_call *call)
{
	char head[16] = {};
	__u64 data = write_data(call);

	if (data && !bpf_probe_read_user(head, 12, (const void *)data))
		r->writes.wire_status = status_parse(head);
}

/* sendmmsg returns how many messages went out; how long each was lies in the vector. */
static __always_inline __u64 messages_bytes(const struct write_call *call, long count)
{
	struct user_mmsghdr m;
	__u64 bytes = 0;

	for (int i = 0; i < MESSAGES_MAX && i < count; i++) {
		if (bpf_probe_read_user(&m, sizeof(m),
					(const void *)(call->buffer + i * sizeof(m))))
			break;
		bytes += m.len;
	}
	return bytes;
}

static __always_inline void write_add(struct rec_request *r, const struct write_call *call,
				      long ret)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 bytes = ret;

	__sync_fetch_and_add(&r->writes.calls, 1);
	__sync_fetch_and_add(&r->writes.time_ns, now - call->enter_ns);
	r->writes.last_ns = now;
	if (ret < 0) {
		if (ret == -EAGAIN)
			r->flags |= REC_F_WRITE_SHORT;
		else if (ret != -EINTR && ret > -4096)
			r->writes.error = -ret;
		return;
	}
	if (call->kind == WRITE_MESSAGES)
		bytes = messages_bytes(call, ret);
	if (call->wanted > bytes)
		r->flags |= REC_F_WRITE_SHORT;
	else
		r->flags &= ~REC_F_WRITE_SHORT;
	if (!bytes)
		return;
	/* The head may come in pieces or behind an interim answer: look again until it is seen,
	 * while the writes are still few. */
	if (!r->writes.wire_status && r->writes.calls <= 4)
		wire_status_read(r, call);
	if (!r->writes.first_ns)
		r->writes.first_ns = now;
	__sync_fetch_and_add(&r->writes.bytes, bytes);
}

static __always_inline int write_exit(long ret)
{
	struct thread *t = thread_find();
	struct rec_request *r;
	__u64 conn;

	if (!t || !t->call.conn)
		return 0;
	conn = t->call.conn;
	t->call.conn = 0;
	r = bpf_map_lookup_elem(&requests, &conn);
	if (!r)
		return 0;
	count_event(EVENT_WRITE);
	write_add(r, &t->call, ret);
	return 0;
}

#define WRITE_CALL(name, kind, fd, buffer, wanted)                                                 \
	SEC("tracepoint/syscalls/sys_enter_" #name)                                                \
	int enter_##name(struct trace_event_raw_sys_enter *ctx)                                    \
	{                                                                                          \
		return write_enter(kind, (int)(fd), buffer, wanted);                               \
	}                                                                                          \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int exit_##name(struct trace_event_raw_sys_exit *ctx)                                      \
	{                                                                                          \
		return write_exit(ctx->ret);                                                       \
	}

WRITE_CALL(write, WRITE_BUFFER, ctx->args[0], ctx->args[1], ctx->args[2])
WRITE_CALL(writev, WRITE_VECTOR, ctx->args[0], ctx->args[1], 0)
WRITE_CALL(sendto, WRITE_BUFFER, ctx->args[0], ctx->args[1], ctx->args[2])
WRITE_CALL(sendmsg, WRITE_MESSAGE, ctx->args[0], ctx->args[1], 0)
WRITE_CALL(sendmmsg, WRITE_MESSAGES, ctx->args[0], ctx->args[1], 0)
WRITE_CALL(sendfile64, WRITE_FILE, ctx->args[0], 0, 0)
WRITE_CALL(splice, WRITE_FILE, ctx->args[2], 0, 0)

/*
 * Where the environ does not show the client's descriptor (mod_wsgi, Tornado), the request came in
 * on the socket that its thread read last. Attached only while such a server is traced.
 */
static __always_inline int read_enter(int fd)
{
	struct thread *t = thread_find();
	struct process *p;
	__u64 conn;

	p = process_find(current_tgid());
	if (!p || !(p->flags & (PROCESS_FD_HIDDEN | PROCESS_TOLD_FD_HIDDEN)))
		return 0;
	conn = conn_of_fd(fd, NULL);
	if (!conn)
		return 0;
	if (!t)
		t = thread_get();
	if (t)
		t->read_conn = conn;
	return 0;
}

#define READ_CALL(name)                                                                            \
	SEC("tracepoint/syscalls/sys_enter_" #name)                                                \
	int enter_##name(struct trace_event_raw_sys_enter *ctx)                                    \
	{                                                                                          \
		return read_enter((int)ctx->args[0]);                                              \
	}

READ_CALL(read)
READ_CALL(readv)
READ_CALL(recvfrom)
READ_CALL(recvmsg)
