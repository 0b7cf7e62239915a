/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiles bpf/pystack.bpf.c for this machine, with the image in the place of the worker's memory.
 * What the BPF headers declare stays declared; only reading is redirected.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <string.h>

#include "image.h"

/* In the place of bpf/vmlinux.h: the walk touches no kernel type. */
#define WSGISCOPE_VMLINUX_H
struct file;
struct sock;
struct task_struct;

#include <bpf/bpf_helpers.h>

#undef SEC
#define SEC(name)

static long native_read_user(void *out, __u32 bytes, const void *from)
{
	return image_read((uint64_t)(uintptr_t)from, out, bytes);
}

#define bpf_probe_read_user native_read_user

#include "../../bpf/pystack.bpf.c"

#include "walk.h"

void walk_thread(const struct python_layout *layout, uint64_t runtime, uint64_t self,
		 struct walk_result *out)
{
	static struct pystack_walk walk; /* as in the kernel: what the last walk left is there */
	static struct sample sample;
	struct pystack_cache cache = {0};
	struct pystack_python python = {.runtime = runtime, .layout = layout->walk};

	walk.self = self;
	walk.now_ns = 1ULL << 40;
	pystack_take(&walk, &python, &cache, &sample);
	out->error = sample.head.error;
	out->flags = sample.head.flags;
	out->count = sample.head.python;
	memcpy(out->frames, sample.frames, sizeof(out->frames));
}
