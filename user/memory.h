/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of another process, which is hostile and changes while it is read. Stops nobody.
 */
#ifndef WSGISCOPE_MEMORY_H
#define WSGISCOPE_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of bytes or nothing. 0, -EFAULT (not mapped), -ESRCH (gone), -EPERM, -errno. */
int memory_read(pid_t pid, uint64_t address, void *out, size_t bytes);

/* A structure's address that lies at `address`; -EFAULT where it can be none. */
int memory_pointer_read(pid_t pid, uint64_t address, uint64_t *out);

/* All of it, into memory that the process may write to itself. As memory_read(). Only where the
 * process offers that: see python/remote.h. */
int memory_write(pid_t pid, uint64_t address, const void *bytes, size_t count);

#endif
