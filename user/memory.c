/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: one bounded copy at a time out of another process, or into it. Must not know what it is
 * for.
 */
#include <errno.h>
#include <sys/uio.h>

#include "memory.h"

int memory_read(pid_t pid, uint64_t address, void *out, size_t bytes)
{
	struct iovec local = {.iov_base = out, .iov_len = bytes};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == bytes ? 0 : -EFAULT;
}

int memory_write(pid_t pid, uint64_t address, const void *bytes, size_t count)
{
	struct iovec local = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = count};
	ssize_t put = process_vm_writev(pid, &local, 1, &remote, 1, 0);

	if (put < 0)
		return -errno;
	return (size_t)put == count ? 0 : -EFAULT;
}

int memory_pointer_read(pid_t pid, uint64_t address, uint64_t *out)
{
	int err = memory_read(pid, address, out, sizeof(*out));

	if (!err && *out % 8)
		err = -EFAULT;
	return err;
}
