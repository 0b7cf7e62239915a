/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns how each thing is tried. Must not know what for: that is the BPF programs' and tracer.c's.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel.h"

static bool task_storage_has(void)
{
	return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL) == 1 &&
	       libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_task_storage_get, NULL) ==
		       1;
}

static bool task_registers_has(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_task_pt_regs, NULL) == 1;
}

static bool map_take_has(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "wsgiscope_check", 4, 4, 1, NULL);
	__u32 key = 1, value = 2, taken = 0;
	bool has;

	if (fd < 0)
		return false;
	has = !bpf_map_update_elem(fd, &key, &value, BPF_ANY) &&
	      !bpf_map_lookup_and_delete_elem(fd, &key, &taken) && taken == value;
	close(fd);
	return has;
}

static const struct {
	const char *name;
	bool (*has)(void);
} needs[KERNEL_NEEDS] = {
	[KERNEL_TASK_STORAGE] = {"storage by task in tracing programs", task_storage_has},
	[KERNEL_TASK_REGISTERS] = {"a task's registers in tracing programs", task_registers_has},
	[KERNEL_MAP_TAKE] = {"taking an entry out of a hash map", map_take_has},
};

bool kernel_has(enum kernel_need need)
{
	return needs[need].has();
}

void kernel_lacks(char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (int need = 0; need < KERNEL_NEEDS; need++)
		if (!kernel_has(need) && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
						 needs[need].name);
}

bool kernel_has_function(const char *name)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

/* The coarse clocks go on with each tick. CONFIG_HZ would say the same, but Debian's kernels have
 * no /proc/config.gz, and where there is no /boot nothing else does. */
uint32_t kernel_tick_ns(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec)
		return 0;
	return (uint32_t)tick.tv_nsec;
}
