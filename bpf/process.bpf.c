// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Fork, exec and exit of traced processes: a child is traced from its first instruction, with what
 * is known of its parent; user space is told. So it is of the end of threads that served requests.
 */
#include "state.bpf.h"

static __always_inline void process_tell_of(enum rec_process_what what, __u32 tgid, __u32 tid,
					    __u32 other)
{
	struct rec_process p = {};

	header_fill(&p.h, REC_PROCESS, sizeof(p), (__u64)tgid << 32 | tid, bpf_ktime_get_ns());
	p.what = what;
	p.other = other;
	emit(&p, sizeof(p));
}

/* What a child runs is its parent's Python. */
static __always_inline void python_inherit(__u32 parent, __u32 child)
{
	struct pystack_python *python = bpf_map_lookup_elem(&pythons, &parent);
	struct pystack_python copy;

	if (!python)
		return;
	copy = *python;
	if (bpf_map_update_elem(&pythons, &child, &copy, BPF_ANY))
		count_drop(DROP_REQUESTS_FULL);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = parent->tgid;
	__u32 other = child->tgid;
	struct process *p;
	struct process copy;

	p = process_find(tgid);
	if (!p)
		return 0;
	if (sample_waits)
		sample_wait_prepare(child);
	if (tgid == other)
		return 0; /* a thread */
	copy = *p;
	if (bpf_map_update_elem(&processes, &other, &copy, BPF_ANY)) {
		count_drop(DROP_REQUESTS_FULL);
		return 0;
	}
	process_bit_set(other);
	processes_changed();
	python_inherit(tgid, other);
	process_tell_of(REC_PROCESS_FORK, tgid, parent->pid, other);
	return 0;
}

/* Once the new program is there, what the old one knew of the request that it was in is gone. */
static __always_inline int exec_enter(void)
{
	struct thread *t = process_find(current_tgid()) ? thread_find() : NULL;

	return t && t->untold ? request_tell(t) : 0;
}

SEC("tracepoint/syscalls/sys_enter_execve")
int enter_execve(struct trace_event_raw_sys_enter *ctx)
{
	return exec_enter();
}

SEC("tracepoint/syscalls/sys_enter_execveat")
int enter_execveat(struct trace_event_raw_sys_enter *ctx)
{
	return exec_enter();
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	__u32 tgid = task->tgid;

	if (!process_find(tgid))
		return 0;
	bpf_map_delete_elem(&pythons, &tgid);
	process_tell_of(REC_PROCESS_EXEC, tgid, task->pid, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct thread *t;

	if (!process_find(tgid))
		return 0;
	t = thread_find();
	if (t && t->untold)
		request_tell(t); /* its memory is still there since 6.16 */
	if (t && t->refused) {
		request_refused_end(t);
		count_drop(DROP_REQUESTS_FULL);
	}
	if (task->signal->live.counter) {
		if (t && t->id) /* who counts request threads has seen this one */
			process_tell_of(REC_PROCESS_THREAD_EXIT, tgid, task->pid, 0);
		return 0;
	}
	bpf_map_delete_elem(&processes, &tgid);
	process_bit_clear(tgid);
	bpf_map_delete_elem(&pythons, &tgid);
	processes_changed();
	process_tell_of(REC_PROCESS_EXIT, tgid, task->pid, 0);
	return 0;
}
