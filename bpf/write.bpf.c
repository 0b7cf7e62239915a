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

/* Traced calls under way on all CPUs: while there are none, no call's return is looked at. */
static __u64 calls_open;

static __always_inline int write_enter(enum write_kind kind, int fd, __u64 buffer, __u64 wanted)
{
	__u32 tgid = current_tgid();
	struct rec_request *r;
	struct thread *t;
	struct file *file;
	__u64 conn;

	if (!process_find(tgid))
		return 0;
	file = file_of_fd(fd);
	conn = file ? conn_of_file(file) : 0;
	if (!conn)
		return 0;
	r = bpf_map_lookup_elem(&requests, &conn);
	if (!r || r->h.tgid != tgid)
		return 0;
	t = thread_get();
	if (!t)
		return 0;
	if (!r->writes.family)
		r->writes.family = family_of_file(file);
	if (!t->call.conn)
		__sync_fetch_and_add(&calls_open, 1);
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

/* Three digits, or 0. */
static __always_inline __u16 number_parse(const char *b)
{
	__u16 number = 0;

	for (int i = 0; i < 3; i++) {
		if (b[i] < '0' || b[i] > '9')
			return 0;
		number = number * 10 + (b[i] - '0');
	}
	return number;
}

#define HEAD_BYTES 14

/*
 * "HTTP/1.x NNN", or "Status: NNN" of the CGI kind; 0: neither, or an interim answer (1xx, and
 * what mod_wsgi's daemon says before the application runs: "Status: 200 Continue"). The same
 * daemon asks Apache for a 500 by "Status: 200 Error".
 */
static __always_inline __u16 status_parse(const char *b)
{
	__u16 status = 0;

	if (b[0] == 'H' && b[1] == 'T' && b[2] == 'T' && b[3] == 'P' && b[4] == '/' && b[8] == ' ')
		status = number_parse(b + 9);
	else if (b[0] == 'S' && b[1] == 't' && b[2] == 'a' && b[3] == 't' && b[6] == ':')
		status = number_parse(b + 8);
	if (b[0] == 'S' && status == 200 && b[12] == 'C' && b[13] == 'o')
		return 0;
	if (b[0] == 'S' && status == 200 && b[12] == 'E' && b[13] == 'r')
		return 500;
	return status >= 200 ? status : 0;
}

static __always_inline void wire_status_read(struct rec_request *r, const struct write_call *call,
					     __u64 written)
{
	char head[HEAD_BYTES] = {};
	__u64 data = write_data(call);

	if (data && written >= HEAD_BYTES && !bpf_probe_read_user(head, HEAD_BYTES, (void *)data))
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
		if (ret == -EAGAIN) {
			r->flags |= REC_F_WRITE_SHORT;
		} else if (ret != -EINTR && ret > -4096) {
			r->flags &= ~REC_F_WRITE_SHORT; /* nothing more will go out */
			r->writes.error = -ret;
		}
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
		wire_status_read(r, call, bytes);
	if (!r->writes.first_ns)
		r->writes.first_ns = now;
	__sync_fetch_and_add(&r->writes.bytes, bytes);
}

static __always_inline int write_exit(long ret)
{
	struct rec_request *r;
	struct thread *t;
	__u64 conn;

	if (!calls_open)
		return 0;
	t = thread_find();
	if (!t || !t->call.conn)
		return 0;
	conn = t->call.conn;
	t->call.conn = 0;
	__sync_fetch_and_add(&calls_open, -1);
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
	struct process *p = process_find(current_tgid());
	struct thread *t;
	__u64 conn;

	if (!p || !(p->flags & (PROCESS_FD_HIDDEN | PROCESS_TOLD_FD_HIDDEN)))
		return 0;
	conn = conn_of_fd(fd);
	if (!conn)
		return 0;
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
