/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that stands still for some microseconds, all its threads, so that a word of its memory
 * can be read, changed and written with nobody in between. By ptrace: its parent is not told, no
 * signal is lost, and the kernel lets it go on should we die. System calls that wait are begun
 * again by the kernel or, the few that are not (epoll_wait), end with EINTR, as they do by any
 * signal.
 */
#ifndef WSGISCOPE_STANDSTILL_H
#define WSGISCOPE_STANDSTILL_H

#include <sys/types.h>

struct standstill;

/*
 * Stops each thread. 0, -ESRCH (gone), -EPERM (not allowed, or another tracer has it), -ETIMEDOUT
 * (a thread that cannot be interrupted now), -errno; then nothing stands still.
 */
int standstill_begin(pid_t pid, struct standstill **out);

/* Lets them go on. NULL is fine. */
void standstill_end(struct standstill *still);

#endif
