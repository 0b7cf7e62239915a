/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the running kernel is like, found by trying it: nothing here compares versions.
 */
#ifndef WSGISCOPE_KERNEL_H
#define WSGISCOPE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first version that has all that the BPF programs and their reader cannot do without. */
#define KERNEL_SINCE "Linux 5.15 or later"

/* What came last of all that is needed: a kernel that has these has the rest. */
enum kernel_need {
	KERNEL_TASK_STORAGE,   /* storage by task, for programs that trace */
	KERNEL_TASK_REGISTERS, /* bpf_task_pt_regs(): which system call a task is in */
	KERNEL_MAP_TAKE,       /* an entry of a hash map looked up and deleted at once */
	KERNEL_NEEDS,
};

/* Needs the power to load programs and to make maps; else it says no. */
bool kernel_has(enum kernel_need need);

/* The names of those that are missing, with commas between; "" if there are none. */
void kernel_lacks(char *out, size_t size);

/* Whether the kernel's BTF lists a function that programs may call. */
bool kernel_has_function(const char *name);

/* How long the kernel's tick (jiffy) takes, in ns; 0: it does not say. */
uint32_t kernel_tick_ns(void);

#endif
