/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a process listens, from /proc, in whatever network namespace it is. Knows nothing of
 * servers.
 */
#ifndef WSGISCOPE_LISTENING_H
#define WSGISCOPE_LISTENING_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The address of the listening socket that the process opened first ("127.0.0.1:8000", "[::]:80"),
 * else the path of a listening unix socket ("unix:/run/x.sock"), which may hold any bytes but a
 * newline. 0; -ENOENT: it listens nowhere, or out is too small; -errno. What began to listen in the
 * last two seconds may not be seen yet: ask again.
 */
int listening_address(pid_t pid, char *out, size_t size);

#endif
