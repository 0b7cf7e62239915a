// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * When a stack is taken, and what becomes of it: at each tick of a clock per CPU, of the traced
 * thread that runs then; and, where waits are wanted, of each traced thread that leaves its CPU.
 * A wait's stack is taken when it begins, as that is when the worker's memory can be read, and
 * goes out when it ends, as that is when its length is known. Must not know Python (pystack.bpf.c).
 */
#include "sample.bpf.h"

const volatile __u64 sample_period_ns = 0; /* of the clock; 0: there is none */
const volatile bool sample_waits = false;
const volatile bool sample_native = false;

/* A thread that has been sampled. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pystack_cache);
} sampled SEC(".maps");

/* A thread's wait. Not made in the scheduler, where memory must not be asked for. */
struct wait_sample {
	__u64 since_ns; /* 0: it is not waiting, or its wait did not count */
	__u64 woken_ns; /* 0: not yet */
	struct sample sample;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct wait_sample);
} waits SEC(".maps");

struct scratch {
	struct pystack_walk walk;
	struct pystack_cache cache; /* for a thread that could have none */
	struct sample sample;
	__u64 addresses[STACK_NATIVE_MAX];
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

/* When user space was last woken for a sample: it reads the names, and had better come soon. */
__u64 sample_woken_ns;
#define SAMPLE_WAKE_NS 10000000ULL

static __always_inline struct scratch *scratch_get(__u32 use)
{
	return bpf_map_lookup_elem(&scratches, &use);
}

/* What thread_self of a thread state (pystack.h) holds for this thread: on x86-64 pthread_self(),
 * which is where its thread-local storage is; elsewhere gettid() as it is in its own namespace. */
static __always_inline __u64 self_of_thread(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread.fsbase);
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

	header_fill(&head->h, REC_SAMPLE, sizeof(*head), 0);
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

static __always_inline void sample_take(struct scratch *scratch, struct pystack_cache *cache,
					struct sample *s, __u64 now_ns)
{
	__u32 tgid = current_tgid();
	struct pystack_python *python = bpf_map_lookup_elem(&pythons, &tgid);

	if (!python || !python->runtime)
		return;
	scratch->walk.self = self_of_thread(bpf_get_current_task_btf());
	scratch->walk.now_ns = now_ns;
	pystack_take(&scratch->walk, python, cache, s);
}

static __always_inline void sample_emit(struct sample *s, __u64 now_ns, bool wake)
{
	__u32 frames = s->head.python + s->head.native + s->head.kernel;
	__u32 size;

	barrier_var(frames);
	if (frames > STACK_FRAMES_MAX)
		return;
	size = sizeof(s->head) + frames * sizeof(s->frames[0]);
	s->head.h.size = size;
	s->head.h.time_ns = now_ns;
	barrier_var(size);
	if (size > sizeof(*s))
		return;
	wake = wake && now_ns - sample_woken_ns > SAMPLE_WAKE_NS;
	if (wake)
		sample_woken_ns = now_ns;
	if (bpf_ringbuf_output(&ring, s, size, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP)) {
		count_drop(DROP_RING_FULL);
		return;
	}
	count_event(EVENT_RECORD);
	count_event(EVENT_SAMPLE);
}

SEC("perf_event")
int sample_clock(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pystack_cache *cache;
	struct scratch *scratch;
	__u64 now_ns;

	if (!process_find(current_tgid()))
		return 0;
	scratch = scratch_get(SCRATCH_CLOCK);
	if (!scratch)
		return 0;
	now_ns = bpf_ktime_get_ns();
	cache = bpf_task_storage_get(&sampled, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (sample_waits)
		bpf_task_storage_get(&waits, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	sample_begin(&scratch->sample, thread_find());
	scratch->sample.head.what = SAMPLE_CPU;
	scratch->sample.head.state = STATE_CPU;
	scratch->sample.head.weight_ns = sample_period_ns;
	scratch->cache.thread = 0;
	scratch->cache.walked_ns = 0;
	sample_take(scratch, cache ? cache : &scratch->cache, &scratch->sample, now_ns);
	sample_emit(&scratch->sample, now_ns, true);
	return 0;
}
