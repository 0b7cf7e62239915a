/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task storage is named by a descriptor of the thread (bpf_pid_task_storage_update_elem() in
 * kernel/bpf/bpf_task_storage.c).
 */
#include "task_storage.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since 6.9. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static int storage_make(struct bpf_map *map, int pidfd)
{
	void *empty = calloc(1, bpf_map__value_size(map));
	int err = -ENOMEM;

	if (empty)
		err = bpf_map_update_elem(bpf_map__fd(map), &pidfd, empty, BPF_NOEXIST);
	free(empty);
	return err == -EEXIST ? 0 : err;
}

int task_storage_make(pid_t tid, struct bpf_map *const *maps, size_t count)
{
	int pidfd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	int err = 0;

	if (pidfd < 0 && errno == EINVAL)
		pidfd = syscall(SYS_pidfd_open, tid, 0);
	if (pidfd < 0)
		return -errno;
	for (size_t i = 0; i < count && !err; i++)
		err = storage_make(maps[i], pidfd);
	close(pidfd);
	return err;
}
