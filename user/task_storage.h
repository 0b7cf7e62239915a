/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for a thread in BPF task storage, made from user space: where the thread sleeps, no program
 * of ours runs on it that could ask for memory. Knows nothing of what is kept there.
 */
#ifndef WSGISCOPE_TASK_STORAGE_H
#define WSGISCOPE_TASK_STORAGE_H

#include <stddef.h>
#include <sys/types.h>

struct bpf_map;

/*
 * An empty value for a live thread in each of count maps; one that it has stays. 0, -ESRCH,
 * -EINVAL (this kernel gives descriptors of processes only, and it is not its process's first
 * thread), -errno.
 */
int task_storage_make(pid_t tid, struct bpf_map *const *maps, size_t count);

#endif
