// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The tracer without states: stands in for bpf/sched.bpf.c when the benchmark links a tracer that
 * differs in nothing else. Has the same programs and functions, and they do nothing.
 */
#include "state.bpf.h"

SEC("uprobe")
int gc_start(struct pt_regs *ctx)
{
	return 0;
}

SEC("uprobe")
int gc_done(struct pt_regs *ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int thread_switch(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_wakeup")
int thread_wakeup(void *ctx)
{
	return 0;
}

__hidden void account_begin(struct thread *t, struct task_struct *task, __u64 start_ns)
{
}

__hidden void account_end(struct thread *t, struct task_struct *task, struct rec_request *r)
{
}

__hidden void account_look(struct thread *t, struct rec_request *r, __u64 end_ns)
{
}

__hidden void account_restart(struct thread *t, const struct rec_request *r)
{
}
