// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The socket-write system calls on connections that have a request in flight or draining, whichever
 * thread of the process makes them. Everything else (pipes, files, logs, the application's own
 * sockets) is not a connection with a request, and is left alone after one look-up. What a write
 * means to a turn is turn.bpf.c's.
 */
#include "entry.bpf.h"
#include "turn.bpf.h"
#include "table.bpf.h"
#include "write.bpf.h"

/* Traced calls under way on all CPUs: while there are none, no call's return is looked at. */
static __u64 calls_open;

/* Where no marker is: more of an answer whose turn has been taken, or the next one's. */
static __always_inline bool answer_begin(__u32 flags, struct file *file, __u64 conn)
{
	if ((flags & (PROCESS_WIRE | PROCESS_MARKED)) != PROCESS_WIRE || !is_accepted(file))
		return false;
	return thread_get() && !turn_answer(conn, family_of_file(file));
}

static __always_inline int write_enter(enum call_kind kind, int fd, __u64 buffer, __u64 wanted)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rec_request *r;
	struct thread *t;
	struct file *file;
	__u32 flags;
	__u64 conn;

	if (!process_may_be(task->tgid))
		return 0;
	t = thread_find_of(task);
	if (!flags_find(task->tgid, t, &flags))
		return 0;
	file = file_of_fd(fd);
	conn = file ? conn_of_file(file) : 0;
	if (!conn)
		return 0;
	r = request_lookup(conn);
	if (!r && answer_begin(flags, file, conn))
		r = request_lookup(conn);
	if (!r || r->h.tgid != (__u32)task->tgid)
		return 0;
	if (!t)
		t = thread_get();
	if (!t)
		return 0;
	if (!r->writes.family)
		r->writes.family = family_of_file(file);
	t->call.wire = (r->flags & REC_F_WIRE) != 0;
	if (t->call.wire)
		r->flags |= REC_F_WRITING;
	if (!t->call.conn)
		__sync_fetch_and_add(&calls_open, 1);
	t->call.conn = conn;
	t->call.buffer = buffer;
	t->call.wanted = wanted;
	t->call.kind = kind;
	t->call.enter_ns = bpf_ktime_get_ns();
	return 0;
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
	if (t->call.wire)
		return turn_written(t, conn, ret);
	r = request_lookup(conn);
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

WRITE_CALL(write, CALL_BUFFER, ctx->args[0], ctx->args[1], ctx->args[2])
WRITE_CALL(writev, CALL_VECTOR, ctx->args[0], ctx->args[1], 0)
WRITE_CALL(sendto, CALL_BUFFER, ctx->args[0], ctx->args[1], ctx->args[2])
WRITE_CALL(sendmsg, CALL_MESSAGE, ctx->args[0], ctx->args[1], 0)
WRITE_CALL(sendmmsg, CALL_MESSAGES, ctx->args[0], ctx->args[1], 0)
WRITE_CALL(sendfile64, CALL_FILE, ctx->args[0], 0, 0)
WRITE_CALL(splice, CALL_FILE, ctx->args[2], 0, 0)

#define SOCK_STREAM 1

/*
 * Where the environ does not show the client's descriptor (mod_wsgi, bjoern), the request came in
 * on the stream that its thread read last: not what a resolver asks the kernel and name servers by,
 * as mod_wsgi's daemons do when they have the request's head. Attached only while such a server is
 * traced.
 */
static __always_inline int read_note(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct process *p = process_find(task->tgid);
	struct thread *t;
	struct file *file;
	__u64 conn;

	if (!p || !(p->flags & (PROCESS_FD_HIDDEN | PROCESS_TOLD_FD_HIDDEN)))
		return 0;
	file = file_of_fd((int)ENTRY_ARG1(entry_regs(task)));
	conn = file ? conn_of_file(file) : 0;
	if (!conn || BPF_CORE_READ(sock_of_file(file), sk_type) != SOCK_STREAM)
		return 0;
	t = thread_get();
	if (t)
		t->read_conn = conn;
	return 0;
}

#define READ_CALL(name)                                                                            \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int exit_##name(struct trace_event_raw_sys_exit *ctx)                                      \
	{                                                                                          \
		return read_note();                                                                \
	}

READ_CALL(read)
READ_CALL(readv)
READ_CALL(recvfrom)
READ_CALL(recvmsg)
