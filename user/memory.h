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

#endif
