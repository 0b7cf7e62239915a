/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiles bpf/pystack.bpf.c and bpf/pycode.bpf.c for this machine, with the image in the place of
 * the worker's memory, an array in that of their map, and a buffer in that of the ring. What the
 * BPF headers declare stays declared.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <string.h>

#include "image.h"
#include "walk.h"

/* In the place of bpf/vmlinux.h: the walk touches no kernel type, what it includes names some. */
#define WSGISCOPE_VMLINUX_H
struct file;
struct sock;
struct task_struct {
	int pid, tgid;
};

#include <bpf/bpf_helpers.h>

#undef SEC
#define SEC(name)

static long native_read_user(void *out, __u32 bytes, const void *from)
{
	return image_read((uint64_t)(uintptr_t)from, out, bytes);
}

static void *native_lookup(const void *map, const void *key);
static long native_output(void *ring, void *record, __u64 bytes, __u64 flags);

static __u64 native_query(void *ring, __u64 flags)
{
	return 0;
}

static __u64 native_pid_tgid(void)
{
	return WALK_PID << 32 | WALK_PID;
}

#define bpf_probe_read_user	 native_read_user
#define bpf_map_lookup_elem	 native_lookup
#define bpf_ringbuf_output	 native_output
#define bpf_ringbuf_query	 native_query
#define bpf_get_current_pid_tgid native_pid_tgid

/* The code itself, with the helpers that it calls in the names above. */
#include "../../bpf/pycode.bpf.c"  // NOLINT(bugprone-suspicious-include)
#include "../../bpf/pystack.bpf.c" // NOLINT(bugprone-suspicious-include)

struct ring_map ring;
struct counters_map counters;
const volatile __u64 wakeup_bytes, wakeup_mask;

static struct code_seen native_codes[CODE_SLOTS];
static struct counters native_counters;
static struct walk_sent *native_sent;
static struct codes_recent native_recent; /* one for all threads: the harder */

static void *native_lookup(const void *map, const void *key)
{
	const __u32 at = *(const __u32 *)key;

	if (map == &codes)
		return at < CODE_SLOTS ? &native_codes[at] : NULL;
	return map == &counters && !at ? &native_counters : NULL;
}

static long native_output(void *map, void *record, __u64 bytes, __u64 flags)
{
	if (!native_sent || bytes != sizeof(native_sent->codes[0]) ||
	    native_sent->count == WALK_SENT_MAX)
		return -1;
	memcpy(&native_sent->codes[native_sent->count++], record, bytes);
	return 0;
}

void walk_forget(void)
{
	memset(native_codes, 0, sizeof(native_codes));
	memset(&native_counters, 0, sizeof(native_counters));
	memset(&native_recent, 0, sizeof(native_recent));
}

uint64_t walk_stale(void)
{
	return native_counters.drops[DROP_CODE_STALE];
}

void walk_thread(const struct python_layout *layout, const struct walk_of *of,
		 struct walk_result *out, struct walk_sent *sent)
{
	/* As in the kernel: what the last walk left is there. */
	static struct pystack_walk walk;
	static struct code_naming naming;
	static struct sample sample;
	struct pystack_cache cache = {0};
	struct pystack_python python = {.runtime = of->runtime, .layout = layout->walk};

	walk.self = of->self;
	walk.now_ns = of->now_ns;
	pystack_take(&walk, &python, &cache, &sample);
	naming.process = WALK_PID;
	naming.now_ns = of->now_ns;
	naming.generation = walk.generation;
	native_sent = sent;
	codes_name(&naming, &layout->walk, &native_recent, &sample);
	out->error = sample.head.error;
	out->flags = sample.head.flags;
	out->count = sample.head.python;
	memcpy(out->frames, sample.frames, sizeof(out->frames));
}
