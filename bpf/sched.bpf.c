// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * On-CPU, runnable, blocked: while a thread serves a request, its time is booked at each switch
 * and wake-up into the state that it was in. No event leaves the kernel before the request ends.
 * The first and the last moment are the marker's own, so that the states add up to the application
 * time exactly. What a blocked thread waits for is wait.bpf.c's.
 */
#include "state.bpf.h"
#include "rq.bpf.h"

static __always_inline __u64 least(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* a - b, and never less than nothing. */
static __always_inline __u64 less(__u64 a, __u64 b)
{
	return a > b ? a - b : 0;
}

static __always_inline void state_enter(struct account *a, __u32 state, __u64 now)
{
	a->client = 0;
	a->peer = 0;
	a->state = state;
	a->since_ns = now;
}

static __always_inline void state_change(struct account *a, __u32 state, __u64 now)
{
	__u32 was = a->state;
	__u64 spent = less(now, a->since_ns);
	__u32 peer = a->peer;

	if (was < STATE_COUNT)
		a->spent.ns[was] += spent;
	if (a->client)
		a->spent.client_read_ns += spent;
	if (peer && peer <= PEERS_MAX)
		a->peers[(peer - 1) & (PEERS_MAX - 1)].wait_ns += spent;
	state_enter(a, state, now);
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

/*
 * What a CPU has lost so far: time in which it was given to a task and the task did not run, since
 * a hypervisor had taken it, or an interrupt where the kernel counts that. It is how far the run
 * queue's clocks are apart (update_rq_clock_task() in kernel/sched/core.c), as of their last
 * update: the last switch or tick.
 */
static __always_inline __u64 cpu_lost_ns(struct rq *rq)
{
	return rq ? rq->clock - rq->clock_task : 0;
}

/*
 * There are kernels that do not tell of every switch and wake-up (from the idle task of one CPU,
 * from the processes of a machine's own agent). What was missed is made good when the thread is
 * next heard of, by what the kernel counts: here, that it was woken so long ago.
 */
static __always_inline void wakeup_missed(struct account *a, __u64 ago, __u64 now)
{
	if (is_blocked(a))
		state_change(a, STATE_RUNNABLE, now - least(ago, less(now, a->since_ns)));
}

/* How long the thread has waited for a CPU so far, by the kernel's count. */
static __always_inline __u64 run_delay(struct task_struct *task)
{
	return bpf_core_field_exists(task->sched_info.run_delay) ? task->sched_info.run_delay : 0;
}

/* The same of a running thread: since it came onto its CPU, and what it had waited for that. */
static __always_inline void switch_missed(struct account *a, struct task_struct *task, __u64 now)
{
	const struct sched_info *info = &task->sched_info;

	if (!is_blocked(a) || !bpf_core_field_exists(task->sched_info.last_arrival))
		return;
	wakeup_missed(a,
		      less(now - a->apart_ns, info->last_arrival) + info->run_delay - a->delay_ns,
		      now);
}

/* The end of a run of ran ns. On a CPU that did not run is waiting for one, and so is what was not
 * a run when its start was not told of. */
static __always_inline void run_book(struct account *a, __u64 ran, __u64 now)
{
	/* Less than nothing where the kernel's clock began the run earlier than it was told of:
	 * that much has been booked as runnable before. */
	a->spent.ns[STATE_RUNNABLE] += less(now, a->since_ns) - ran;
	a->spent.ns[STATE_CPU] += ran;
	state_enter(a, a->state, now);
}

/*
 * A run ends with a switch. The thread's own CPU clock tells it, which is exact at a switch; but as
 * old as the last tick, and so saying too much, when the request began in the middle of the run:
 * there what its CPU has lost since tells it.
 */
static __always_inline void run_end(struct account *a, struct task_struct *task, __u64 now)
{
	struct rq *rq = rq_of(task);
	__u64 clock = task->se.sum_exec_runtime;
	__u64 ran = clock - a->ran_ns;

	if (a->first_run)
		ran = least(ran, less(less(now, a->since_ns), cpu_lost_ns(rq) - a->lost_ns));
	a->first_run = 0;
	a->ran_ns = clock;
	a->apart_ns = rq ? now - rq->clock : 0;
	switch_missed(a, task, now);
	a->delay_ns = run_delay(task);
	run_book(a, ran, now);
}

/*
 * How long the run that is under way has run. What the thread's CPU clock has not counted yet is
 * the time since its last update, exec_start, which is in the run queue's time.
 */
static __always_inline __u64 run_so_far(const struct account *a, struct task_struct *task,
					__u64 end_ns)
{
	struct rq *rq = rq_of(task);
	__u64 lost = cpu_lost_ns(rq), spent = less(end_ns, a->since_ns);

	if (a->first_run)
		return less(spent, lost - a->lost_ns);
	if (rq)
		return task->se.sum_exec_runtime - a->ran_ns +
		       less(end_ns, task->se.exec_start + lost + a->apart_ns);
	return a->state == STATE_CPU ? spent : 0;
}

/* The request's end cuts a run. */
static __always_inline void run_cut(struct account *a, struct task_struct *task, __u64 end_ns)
{
	__u64 ran = run_so_far(a, task, end_ns);

	switch_missed(a, task, end_ns);
	run_book(a, ran, end_ns);
}

/* A thread comes off the CPU. */
static __always_inline void thread_off(struct thread *t, struct task_struct *task, bool preempt,
				       __u64 now)
{
	struct account *a = &t->account;

	if (t->untold)
		request_tell(t);
	if (a->serving)
		run_end(a, task, now);
	else
		state_enter(a, STATE_OTHER, now); /* a wait outside of requests, for a sample */
	if (preempt || task_is_running(task))
		a->state = STATE_RUNNABLE;
	else
		a->state = wait_state(t);
}

static __always_inline void thread_on(struct thread *t, struct task_struct *task, __u64 now)
{
	struct account *a = &t->account;
	struct rq *rq = rq_of(task);

	if (bpf_core_field_exists(task->sched_info.last_queued) && is_blocked(a) && rq)
		wakeup_missed(a,
			      less(rq->clock, task->sched_info.last_queued) + run_delay(task) -
				      a->delay_ns,
			      now);
	state_change(a, STATE_CPU, now);
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

/* What we keep of a task, or NULL. All tasks of the host pay for this, and most have no task
 * storage at all: to see that is cheaper than to ask for ours. */
static __always_inline struct thread *thread_of(struct task_struct *task)
{
	if (bpf_core_field_exists(task->bpf_storage) && !task->bpf_storage)
		return NULL;
	return bpf_task_storage_get(&threads, task, 0, 0);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(thread_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct thread *off = thread_of(prev), *on = thread_of(next);
	bool serving = off && off->account.serving;
	bool sampled = sample_waits && off && sample_wait_wanted(prev, serving);
	__u64 now;

	if (!serving && !sampled && !(on && (sample_waits || on->account.serving)))
		return 0;
	now = bpf_ktime_get_ns();
	if (serving || sampled)
		thread_off(off, prev, preempt, now);
	if (sampled)
		sample_wait_begin(ctx, prev, off, now);
	if (on && on->account.serving)
		thread_on(on, next, now);
	if (on && sample_waits)
		sample_wait_end(next, now);
	return 0;
}

/*
 * When a thread that is told of as woken was put on a run queue: just now; but between the two the
 * kernel interrupts that queue's CPU, which a hypervisor may take as the occasion to let somebody
 * else run. What that took is waiting for a CPU.
 */
static __always_inline __u64 queued_ns(const struct account *a, struct task_struct *task, __u64 now)
{
	__u64 queued = bpf_core_field_exists(task->sched_info.last_queued)
			       ? task->sched_info.last_queued
			       : 0;

	if (!queued || !a->apart_ns)
		return now;
	queued = least(queued + a->apart_ns, now);
	return queued > a->since_ns ? queued : a->since_ns;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(thread_wakeup, struct task_struct *task)
{
	struct thread *t = thread_of(task);
	__u64 now;

	if (!t)
		return 0;
	now = bpf_ktime_get_ns();
	if (t->account.serving && is_blocked(&t->account))
		state_change(&t->account, STATE_RUNNABLE, queued_ns(&t->account, task, now));
	if (sample_waits)
		sample_wait_woken(task, now);
	return 0;
}

__hidden void account_begin(struct thread *t, struct task_struct *task, __u64 start_ns)
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
	a->begin_ns = start_ns;
	a->since_ns = start_ns;
	a->first_run = 1;
	a->ran_ns = task->se.sum_exec_runtime;
	a->lost_ns = cpu_lost_ns(rq_of(task));
	a->delay_ns = run_delay(task);
	a->serving = 1;
}

static __always_inline void peer_choose(const struct account *a, struct rec_peer *out)
{
	for (int i = 0; i < PEERS_MAX; i++)
		if (a->peers[i].wait_ns > out->wait_ns)
			*out = a->peers[i];
}

/* The end may have been stamped before a last switch: what was booked after it is taken back. */
static __always_inline void account_cut(struct account *a, struct task_struct *task, __u64 end_ns)
{
	__u64 over = a->since_ns > end_ns ? a->since_ns - end_ns : 0;

	if (!over) {
		run_cut(a, task, end_ns);
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

/* Less than nothing runnable: a run that was told of too late and whose waiting was before the
 * start. */
static __always_inline void states_settle(struct rec_states *states)
{
	__s64 runnable = states->ns[STATE_RUNNABLE];

	if (runnable >= 0)
		return;
	states->ns[STATE_RUNNABLE] = 0;
	states->ns[STATE_CPU] += runnable;
}

/* What is known of a request's states beside them. */
static __always_inline void states_flag(struct rec_request *r)
{
	r->flags |= REC_F_STATES;
	if (!r->gil_known)
		r->flags |= REC_F_GIL_UNSEEN;
	if (r->process & PROCESS_GC_SEEN)
		r->flags |= REC_F_GC_SEEN;
}

__hidden void account_end(struct thread *t, struct task_struct *task, struct rec_request *r)
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
	account_cut(a, task, r->end_ns);
	states_settle(&a->spent);
	r->states = a->spent;
	peer_choose(a, &r->states.peer);
	states_flag(r);
}

__hidden void account_look(struct thread *t, struct rec_request *r, __u64 end_ns)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct account *a = &t->account;
	__u64 ran = run_so_far(a, task, end_ns);

	switch_missed(a, task, end_ns);
	r->states = a->spent;
	r->states.ns[STATE_RUNNABLE] += less(end_ns, a->since_ns) - ran;
	r->states.ns[STATE_CPU] += ran;
	states_settle(&r->states);
	peer_choose(a, &r->states.peer);
	r->reads.states_ns = a->begin_ns;
	states_flag(r);
}

/* Sums that may be less than nothing until the run that was cut is booked. */
__hidden void account_restart(struct thread *t, const struct rec_request *r)
{
	struct account *a = &t->account;

	for (int i = 0; i < STATE_COUNT; i++)
		a->spent.ns[i] -= r->states.ns[i];
	a->spent.client_read_ns -= r->states.client_read_ns;
	a->spent.gc_ns -= r->states.gc_ns;
	a->spent.gc_count -= r->states.gc_count;
	__builtin_memset(a->peers, 0, sizeof(a->peers));
	a->begin_ns = r->writes.last_ns;
}
