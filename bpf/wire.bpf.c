// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Where there is no marker: the system calls by which a process gets, reads and closes the
 * connections of its clients. Only what it has accepted counts, never what it has opened itself.
 * What a read means to the connection is turn.bpf.c's.
 */
#include "entry.bpf.h"
#include "turn.bpf.h"

#define MSG_PEEK 2
#define SHUT_RD	 0

/* --- reads ------------------------------------------------------------------------------------ */

/* The thread that reads from this file, with its client; NULL: it is no connection of a client. */
static __always_inline struct thread *client_find(struct thread *t, struct file *file, __u64 conn)
{
	struct client *client;

	if (t && t->client.file == (__u64)file && t->client.conn == conn)
		return t;
	if (!is_accepted(file))
		return NULL;
	if (!t)
		t = thread_get();
	if (!t)
		return NULL;
	client = &t->client;
	client->file = (__u64)file;
	client->conn = conn;
	client->family = family_of_file(file);
	client->tcp = client->family == REC_FAMILY_UNIX ? 0 : (__u64)sock_of_file(file);
	return t;
}

/* Which argument of a call are its MSG_ flags. */
enum flags_place { FLAGS_NOWHERE, FLAGS_THIRD, FLAGS_FOURTH };

static __always_inline __u64 recv_flags(const struct pt_regs___entry *regs, enum flags_place place)
{
	switch (place) {
	case FLAGS_THIRD:
		return ENTRY_ARG3(regs);
	case FLAGS_FOURTH:
		return ENTRY_ARG4(regs);
	default:
		return 0;
	}
}

/* Looked at when it returns, by the arguments that it was called with: what has come is known then,
 * and a program at its beginning would cost as much again. */
static __always_inline int wire_read(enum call_kind kind, long ret, enum flags_place flags_place)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs___entry *regs;
	struct file *file;
	struct thread *t;
	__u32 flags;
	__u64 conn;

	if (ret <= 0 || !process_may_be(task->tgid))
		return 0;
	regs = entry_regs(task);
	if (recv_flags(regs, flags_place) & MSG_PEEK)
		return 0;
	t = thread_find_of(task);
	if (!flags_find(task->tgid, t, &flags) || !(flags & PROCESS_WIRE))
		return 0;
	file = file_of_fd((int)ENTRY_ARG1(regs));
	conn = file ? conn_of_file(file) : 0;
	t = conn ? client_find(t, file, conn) : NULL;
	/* Of a connection that the server will not write to any more, what still comes (the body
	 * that it would not read, before it closes) is of no request. */
	if (!t || is_shut_down(file))
		return 0;
	t->read.conn = conn;
	t->read.buffer = ENTRY_ARG2(regs);
	t->read.kind = kind;
	return turn_read(t, ret);
}

#define WIRE_READ_CALL(name, kind, flags)                                                          \
	SEC("tracepoint/syscalls/sys_exit_" #name)                                                 \
	int wire_exit_##name(struct trace_event_raw_sys_exit *ctx)                                 \
	{                                                                                          \
		return wire_read(kind, ctx->ret, flags);                                           \
	}

WIRE_READ_CALL(read, CALL_BUFFER, FLAGS_NOWHERE)
WIRE_READ_CALL(readv, CALL_VECTOR, FLAGS_NOWHERE)
WIRE_READ_CALL(recvfrom, CALL_BUFFER, FLAGS_FOURTH)
WIRE_READ_CALL(recvmsg, CALL_MESSAGE, FLAGS_THIRD)

/* --- accept, close ---------------------------------------------------------------------------- */

/* A listener that user space has not found, as one that has just begun to listen. */
static __always_inline int wire_accept(long fd)
{
	__u32 tgid = current_tgid(), one = 1;
	struct process *p = process_find(tgid);
	struct listener listener;
	struct file *file;

	if (fd < 0 || !p || !(p->flags & PROCESS_WIRE))
		return 0;
	file = file_of_fd(fd);
	if (!file || !conn_of_file(file) || !listener_of_file(file, &listener))
		return 0;
	if (!bpf_map_lookup_elem(&listeners, &listener) &&
	    bpf_map_update_elem(&listeners, &listener, &one, BPF_ANY))
		count_drop(DROP_REQUESTS_FULL);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_accept")
int wire_exit_accept(struct trace_event_raw_sys_exit *ctx)
{
	return wire_accept(ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_accept4")
int wire_exit_accept4(struct trace_event_raw_sys_exit *ctx)
{
	return wire_accept(ctx->ret);
}

static __always_inline int wire_close(int fd)
{
	__u32 tgid = current_tgid();
	struct process *p = process_find(tgid);
	struct rec_wire_bytes gone = {.what = WIRE_CLOSED};
	struct file *file;

	if (!p || !(p->flags & PROCESS_WIRE))
		return 0;
	file = file_of_fd(fd);
	gone.conn = file ? conn_of_file(file) : 0;
	if (!gone.conn || !is_accepted(file) || turn_close(gone.conn, tgid))
		return 0;
	if (p->flags & PROCESS_MARKED)
		return 0;
	header_fill(&gone.h, REC_WIRE, sizeof(gone), bpf_get_current_pid_tgid(),
		    bpf_ktime_get_ns());
	emit(&gone, sizeof(gone));
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_close")
int wire_enter_close(struct trace_event_raw_sys_enter *ctx)
{
	return wire_close((int)ctx->args[0]);
}

SEC("tracepoint/syscalls/sys_enter_shutdown")
int wire_enter_shutdown(struct trace_event_raw_sys_enter *ctx)
{
	return ctx->args[1] == SHUT_RD ? 0 : wire_close((int)ctx->args[0]);
}
