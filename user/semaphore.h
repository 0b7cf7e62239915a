/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The semaphore of a USDT probe in a process's memory: how many want to hear of it there.
 */
#ifndef WSGISCOPE_SEMAPHORE_H
#define WSGISCOPE_SEMAPHORE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Reads the semaphore that lies at an offset of a mapped file, which is named as /proc/PID/maps
 * names it. 0; -ENOENT: that part of it is not mapped (yet); -errno.
 */
int semaphore_read(pid_t pid, dev_t device, uint64_t inode, uint64_t offset, uint16_t *out);

#endif
