// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * When a stack is taken, and what becomes of it: at each tick of a clock per CPU, of the traced
 * thread that runs then; and, where waits are wanted, of each traced thread that leaves its CPU.
 * A wait's stack is taken when it begins, as that is when the worker's memory can be read, and
 * goes out when it ends, as that is when its length is known. Must not know Python (pystack.bpf.c).
 */
#include "rq.bpf.h"
#include "sample.bpf.h"

const volatile __u64 sample_period_ns = 0; /* of the clock; 0: there is none */
const volatile bool sample_native = false; /* native and kernel frames too */

/* A thread that has been sampled. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sampled_thread);
} sampled SEC(".maps");

/*
 * Frames of a wait that are kept: as many Python frames as that without native ones, else so many
 * of each. Storage of a task that is larger than two pages cannot be had since Linux 7
 * (bpf_selem_alloc() takes kmalloc_nolock()'s), nor can the map tell.
 */
#define WAIT_FRAMES_MAX 288
#define WAIT_PYTHON_MAX 160
#define WAIT_NATIVE_MAX 80
#define WAIT_KERNEL_MAX 48

_Static_assert(WAIT_PYTHON_MAX + WAIT_NATIVE_MAX + WAIT_KERNEL_MAX == WAIT_FRAMES_MAX,
	       "a wait has room for all of its frames");

/* A thread's wait. Made when the thread is, or is first seen; not in the scheduler, where memory
 * must not be asked for. */
struct wait_sample {
	__u64 since_ns; /* 0: it does not wait */
	__u64 woken_ns; /* 0: not yet */
	__u64 apart_ns; /* from the run queue's clock to CLOCK_MONOTONIC, 0: not known */
	struct sampled_thread known;
	struct rec_sample head;
	struct rec_frame frames[WAIT_FRAMES_MAX];
};

/* The kernel's own share of two pages is below 256 bytes. */
_Static_assert(sizeof(struct wait_sample) <= 8192 - 256, "a wait's storage can be had");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct wait_sample);
} waits SEC(".maps");

struct scratch {
	struct pystack_walk walk;
	struct sampled_thread known; /* for a thread that could have none */
	struct sample sample;
	__u64 addresses[STACK_NATIVE_MAX]; /* or the kernel's, which are no more */
	struct code_naming naming;
};

enum scratch_use { SCRATCH_CLOCK, SCRATCH_SWITCH, SCRATCH_USES };

/* The clock can tick while a uprobe's program runs, but not within a switch; each has its own all
 * the same. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_USES);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_get(__u32 use)
{
	return bpf_map_lookup_elem(&scratches, &use);
}

/* What thread_self of a thread state (pystack.h) holds for this thread: on x86-64 pthread_self(),
 * which is where its thread-local storage is; elsewhere gettid() as it is in its own namespace. */
static __always_inline __u64 self_of_thread(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread.fsbase;
#else
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid upid = {};

	bpf_core_read(&upid, sizeof(upid), &pid->numbers[level]);
	return upid.nr;
#endif
}

/* Fills all but the time and the weight. */
static __always_inline void sample_begin(struct sample *s, const struct thread *t)
{
	struct rec_sample *head = &s->head;

	header_fill(&head->h, REC_SAMPLE, sizeof(*head), bpf_get_current_pid_tgid(), 0);
	head->id = t && t->account.serving ? t->id : 0;
	head->python = 0;
	head->native = 0;
	head->kernel = 0;
	head->pad = 0;
	head->pad2 = 0;
	head->error = STACK_NO_PYTHON;
	head->flags = 0;
	__builtin_memset(&head->peer, 0, sizeof(head->peer));
}

/* The first `count` of scratch->addresses, behind the frames that are there. How many went in. */
__noinline int sample_add(struct scratch *scratch, struct sample *s, int count)
{
	int at;

	if (!scratch || !s)
		return 0;
	at = s->head.python + s->head.native;
	for (int i = 0; i < STACK_NATIVE_MAX; i++) {
		__u32 to = at + i;

		barrier_var(to); /* a bound on a sum of its own: the verifier wants to see it */
		if (i >= count || to >= STACK_FRAMES_MAX)
			return i;
		s->frames[to].code = scratch->addresses[i];
		s->frames[to].fingerprint = 0;
		s->frames[to].offset = -1;
	}
	return STACK_NATIVE_MAX;
}

_Static_assert(STACK_KERNEL_MAX == STACK_NATIVE_MAX, "both fit into scratch->addresses");

/* Adds what bpf_get_stack() put into so many bytes of scratch->addresses. How many frames went in;
 * cut is set where there were more. */
static __always_inline __u16 sample_add_stack(struct scratch *scratch, struct sample *s, long bytes,
					      __u8 cut)
{
	int count = bytes > 0 ? bytes / sizeof(__u64) : 0;
	int added = count ? sample_add(scratch, s, count) : 0;

	if (count == STACK_NATIVE_MAX || added < count)
		s->head.flags |= cut;
	return added;
}

/* As far as frame pointers lead; user space throws away what they led to that is no code. */
static __always_inline void sample_natives(void *ctx, struct scratch *scratch, struct sample *s)
{
	long bytes = bpf_get_stack(ctx, scratch->addresses, sizeof(scratch->addresses),
				   BPF_F_USER_STACK);

	s->head.native = sample_add_stack(scratch, s, bytes, SAMPLE_F_NATIVE_CUT);
	bytes = bpf_get_stack(ctx, scratch->addresses, sizeof(scratch->addresses), 0);
	s->head.kernel = sample_add_stack(scratch, s, bytes, SAMPLE_F_KERNEL_CUT);
}

static __always_inline void sample_take(void *ctx, struct scratch *scratch,
					struct sampled_thread *known, struct sample *s,
					__u64 now_ns)
{
	__u32 tgid = current_tgid();
	struct pystack_python *python = bpf_map_lookup_elem(&pythons, &tgid);

	if (python && python->runtime) {
		scratch->walk.self = self_of_thread(bpf_get_current_task_btf());
		scratch->walk.now_ns = now_ns;
		pystack_take(&scratch->walk, python, &known->cache, s);
		scratch->naming.process = (__u64)python->serial << 32 | tgid;
		scratch->naming.now_ns = now_ns;
		scratch->naming.generation = scratch->walk.generation;
		codes_name(&scratch->naming, &python->layout, &known->recent, s);
	}
	if (sample_native)
		sample_natives(ctx, scratch, s);
}

/* head: of a sample that has room for so many frames behind it. */
static __always_inline void sample_emit(struct rec_sample *head, const __u32 room, __u64 now_ns)
{
	__u32 frames = head->python + head->native + head->kernel;
	struct counters *c;
	__u32 size;

	barrier_var(frames);
	if (frames > room)
		return;
	size = sizeof(*head) + frames * sizeof(struct rec_frame);
	head->h.size = size;
	head->h.time_ns = now_ns;
	barrier_var(size);
	if (size > sizeof(*head) + room * sizeof(struct rec_frame))
		return;
	c = counters_get();
	if (!c)
		return; /* never */
	if (bpf_ringbuf_output(&ring, head, size, wakeup_flags(c))) {
		__sync_fetch_and_add(&c->drops[DROP_RING_FULL], 1);
		return;
	}
	__sync_fetch_and_add(&c->events[EVENT_RECORD], 1);
	__sync_fetch_and_add(&c->events[EVENT_SAMPLE], 1);
}

SEC("perf_event")
int sample_clock(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sampled_thread *known;
	struct scratch *scratch;
	struct sample *s;
	__u64 now_ns;

	if (!process_may_be(task->tgid))
		return 0;
	scratch = scratch_get(SCRATCH_CLOCK);
	if (!scratch)
		return 0;
	now_ns = bpf_ktime_get_ns();
	known = bpf_task_storage_get(&sampled, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!known) {
		known = &scratch->known;
		known->cache.thread = 0;
		known->cache.walked_ns = 0;
		known->recent.process = 0;
	}
	if (sample_waits)
		sample_wait_prepare(task);
	s = &scratch->sample;
	sample_begin(s, thread_find());
	s->head.what = SAMPLE_CPU;
	s->head.state = STATE_CPU;
	s->head.weight_ns = sample_period_ns;
	sample_take(ctx, scratch, known, s, now_ns);
	sample_emit(&s->head, STACK_FRAMES_MAX, now_ns);
	return 0;
}

__hidden void sample_wait_prepare(struct task_struct *task)
{
	bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	bpf_task_storage_get(&waits, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

__hidden bool sample_wait_wanted(struct task_struct *task, bool serving)
{
	bool has_room = bpf_task_storage_get(&waits, task, 0, 0);
	__u32 tgid = task->tgid;

	if (!serving && !sample_outside) {
		if (has_room)
			count_event(EVENT_WAIT_UNASKED);
		return false;
	}
	if (!has_room && process_find(tgid))
		count_drop(DROP_WAIT_UNSAMPLED);
	return has_room;
}

/*
 * There are kernels that do not tell of every switch (see sched.bpf.c). A thread that runs has come
 * onto its CPU when the kernel says so, by its run queue's clock.
 */
__hidden void sample_wait_missed(struct task_struct *task)
{
	struct wait_sample *w = bpf_task_storage_get(&waits, task, 0, 0);

	if (w && w->since_ns && w->apart_ns && bpf_core_field_exists(task->sched_info.last_arrival))
		sample_wait_end(task, task->sched_info.last_arrival + w->apart_ns);
}

/* So many frames of a sample, from one on, to a place in a wait's. */
static __always_inline void wait_frames_put(struct wait_sample *w, __u32 to, const struct sample *s,
					    __u32 from, __u32 count, const __u32 max)
{
	barrier_var(to);
	barrier_var(from);
	barrier_var(count);
	if (to > WAIT_FRAMES_MAX - max || from >= STACK_FRAMES_MAX || count > max)
		return;
	bpf_probe_read_kernel(&w->frames[to], count * sizeof(w->frames[0]), &s->frames[from]);
}

/* Keeps what there is room for: of the frames of each kind the innermost. */
static __always_inline void wait_keep(struct wait_sample *w, const struct sample *s)
{
	__u32 python = s->head.python, native = s->head.native, kernel = s->head.kernel;
	__u32 python_max = sample_native ? WAIT_PYTHON_MAX : WAIT_FRAMES_MAX;

	w->head = s->head;
	if (python > python_max) {
		w->head.python = python_max;
		w->head.flags |= SAMPLE_F_TRUNCATED;
	}
	wait_frames_put(w, 0, s, 0, w->head.python, WAIT_FRAMES_MAX);
	if (!sample_native)
		return;
	if (native > WAIT_NATIVE_MAX) {
		w->head.native = WAIT_NATIVE_MAX;
		w->head.flags |= SAMPLE_F_NATIVE_CUT;
	}
	if (kernel > WAIT_KERNEL_MAX) {
		w->head.kernel = WAIT_KERNEL_MAX;
		w->head.flags |= SAMPLE_F_KERNEL_CUT;
	}
	wait_frames_put(w, w->head.python, s, python, w->head.native, WAIT_NATIVE_MAX);
	wait_frames_put(w, w->head.python + w->head.native, s, python + native, w->head.kernel,
			WAIT_KERNEL_MAX);
}

__hidden void sample_wait_begin(void *ctx, struct task_struct *task, struct thread *t, __u64 now_ns)
{
	struct wait_sample *w = bpf_task_storage_get(&waits, task, 0, 0);
	struct scratch *scratch = scratch_get(SCRATCH_SWITCH);
	__u32 peer = t->account.peer;
	struct sample *s;
	struct rq *rq;

	if (!w || !scratch)
		return;
	sample_wait_missed(task);
	rq = rq_of(task);
	w->woken_ns = 0;
	w->since_ns = now_ns;
	w->apart_ns = rq ? now_ns - rq->clock : 0;
	s = &scratch->sample;
	sample_begin(s, t);
	s->head.what = SAMPLE_WAIT;
	s->head.state = t->account.state;
	if (peer && peer <= PEERS_MAX) {
		s->head.peer = t->account.peers[(peer - 1) & (PEERS_MAX - 1)];
		s->head.peer.wait_ns = 0;
	}
	sample_take(ctx, scratch, &w->known, s, now_ns);
	wait_keep(w, s);
}

__hidden void sample_wait_woken(struct task_struct *task, __u64 now_ns)
{
	struct wait_sample *w;

	w = bpf_task_storage_get(&waits, task, 0, 0);
	if (w && w->since_ns && !w->woken_ns)
		w->woken_ns = now_ns;
}

/* The wait itself, then the wait for a CPU, where there was one: the same stack. */
__hidden void sample_wait_end(struct task_struct *task, __u64 now_ns)
{
	struct wait_sample *w;
	__u64 woken_ns;

	w = bpf_task_storage_get(&waits, task, 0, 0);
	if (!w || !w->since_ns)
		return;
	woken_ns = w->woken_ns && w->head.state != STATE_RUNNABLE ? w->woken_ns : now_ns;
	for (int i = 0; i < 2; i++) {
		__u64 end_ns = i ? now_ns : woken_ns;

		if (end_ns <= w->since_ns)
			continue;
		w->head.weight_ns = end_ns - w->since_ns;
		sample_emit(&w->head, WAIT_FRAMES_MAX, end_ns);
		w->since_ns = end_ns;
		w->head.state = STATE_RUNNABLE;
		__builtin_memset(&w->head.peer, 0, sizeof(w->head.peer));
	}
	w->since_ns = 0;
}

/* At the end, for each thread of the machine: a wait that goes on has lasted for so long. */
SEC("iter/task")
int waits_end(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		sample_wait_end(task, bpf_ktime_get_ns());
	return 0;
}
