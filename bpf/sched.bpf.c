// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * On-CPU, runnable, blocked: while a thread serves a request, its time is booked at each switch
 * and wake-up into the state that it was in. No event leaves the kernel before the request ends.
 * The first and the last moment are the marker's own, so that the states add up to the application
 * time exactly. What a blocked thread waits for is wait.bpf.c's.
 */
#include "state.bpf.h"

static __always_inline void state_change(struct account *a, __u32 state, __u64 now)
{
	__u32 was = a->state;
	__u64 spent = now > a->since_ns ? now - a->since_ns : 0;
	__u32 peer = a->peer;

	if (was < STATE_COUNT)
		a->spent.ns[was] += spent;
	if (a->client)
		a->spent.client_read_ns += spent;
	if (peer && peer <= PEERS_MAX)
		a->peers[(peer - 1) & (PEERS_MAX - 1)].wait_ns += spent;
	a->client = 0;
	a->peer = 0;
	a->state = state;
	a->since_ns = now;
}

static __always_inline bool is_blocked(const struct account *a)
{
	return a->state != STATE_CPU && a->state != STATE_RUNNABLE;
}

#define TASK_RUNNING 0

static __always_inline bool task_is_running(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state == TASK_RUNNING;
	return BPF_CORE_READ((struct task_struct___old *)task, state) == TASK_RUNNING;
}

static __always_inline void thread_off(struct thread *t, struct task_struct *task, bool preempt,
				       __u64 now)
{
	bool runnable = preempt || task_is_running(task);
	__u32 state = runnable ? STATE_RUNNABLE : STATE_OTHER;

	if (t->account.serving)
		state_change(&t->account, state, now);
	t->account.client = 0;
	t->account.peer = 0;
	t->account.state = state;
	if (!runnable)
		t->account.state = wait_state(t);
}

/* The interpreter's own marks around a garbage collection, on the thread that pays for it. */
SEC("uprobe")
int gc_start(struct pt_regs *ctx)
{
	struct thread *t = thread_find();

	if (t && t->account.serving)
		t->account.gc_since_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("uprobe")
int gc_done(struct pt_regs *ctx)
{
	struct thread *t = thread_find();

	if (!t || !t->account.serving || !t->account.gc_since_ns)
		return 0;
	t->account.spent.gc_ns += bpf_ktime_get_ns() - t->account.gc_since_ns;
	t->account.spent.gc_count++;
	t->account.gc_since_ns = 0;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(thread_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct thread *t = bpf_task_storage_get(&threads, prev, 0, 0);
	bool sampled = sample_waits && sample_wait_wanted(prev);

	if (t && (sampled || t->account.serving)) {
		__u64 now = bpf_ktime_get_ns();

		thread_off(t, prev, preempt, now);
		if (sampled)
			sample_wait_begin(ctx, prev, t, now);
	}
	t = bpf_task_storage_get(&threads, next, 0, 0);
	if (t && t->account.serving)
		state_change(&t->account, STATE_CPU, bpf_ktime_get_ns());
	if (t && sample_waits)
		sample_wait_end(next, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(thread_wakeup, struct task_struct *task)
{
	struct thread *t = bpf_task_storage_get(&threads, task, 0, 0);

	if (!t)
		return 0;
	if (t->account.serving && is_blocked(&t->account))
		state_change(&t->account, STATE_RUNNABLE, bpf_ktime_get_ns());
	if (sample_waits)
		sample_wait_woken(task, bpf_ktime_get_ns());
	return 0;
}

__hidden void account_begin(struct thread *t, __u64 start_ns)
{
	struct account *a = &t->account;

	if (!a->open)
		a->mixed = 0;
	if (a->open++)
		a->mixed = 1;
	__builtin_memset(&a->spent, 0, sizeof(a->spent));
	__builtin_memset(a->peers, 0, sizeof(a->peers));
	a->state = STATE_CPU;
	a->client = 0;
	a->peer = 0;
	a->gc_since_ns = 0;
	a->since_ns = start_ns;
	a->serving = 1;
}

static __always_inline void peer_choose(const struct account *a, struct rec_peer *out)
{
	for (int i = 0; i < PEERS_MAX; i++)
		if (a->peers[i].wait_ns > out->wait_ns)
			*out = a->peers[i];
}

/* The end may have been stamped before a last switch: what was booked after it is taken back. */
static __always_inline void account_cut(struct account *a, __u64 end_ns)
{
	__u64 over = a->since_ns > end_ns ? a->since_ns - end_ns : 0;

	if (!over) {
		state_change(a, STATE_CPU, end_ns);
		return;
	}
	for (int i = 0; i < STATE_COUNT && over; i++) {
		/* Off the CPU first: it ran when it took the stamp, what followed was a switch. */
		int state = i ? i : STATE_RUNNABLE;
		__u64 part = a->spent.ns[state] < over ? a->spent.ns[state] : over;

		a->spent.ns[state] -= part;
		over -= part;
	}
	a->spent.ns[STATE_CPU] -= a->spent.ns[STATE_CPU] < over ? a->spent.ns[STATE_CPU] : over;
}

__hidden void account_end(struct thread *t, struct rec_request *r)
{
	struct account *a = &t->account;

	if (a->open)
		a->open--;
	if (a->mixed) {
		r->flags |= REC_F_STATES_MIXED;
		if (!a->open)
			a->serving = 0;
		return;
	}
	a->serving = 0;
	account_cut(a, r->end_ns);
	r->states = a->spent;
	peer_choose(a, &r->states.peer);
	r->flags |= REC_F_STATES;
	if (!r->gil_known)
		r->flags |= REC_F_GIL_UNSEEN;
	if (r->process & PROCESS_GC_SEEN)
		r->flags |= REC_F_GC_SEEN;
}
