/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a process listens, from /proc, in whatever network namespace it is. Knows nothing of
 * servers.
 */
#ifndef WSGISCOPE_LISTENING_H
#define WSGISCOPE_LISTENING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The address of the listening socket that the process opened first ("127.0.0.1:8000", "[::]:80"),
 * else the path of a listening unix socket ("unix:/run/x.sock"), which may hold any bytes but a
 * newline. 0; -ENOENT: it listens nowhere, or out is too small; -errno. What began to listen in the
 * last two seconds may not be seen yet: ask again.
 */
int listening_address(pid_t pid, char *out, size_t size);

/*
 * Each TCP port on which the process listens, with the inode number of its network namespace.
 * 0 or -errno (there may be none), or what fn returned where that is not 0.
 */
int listening_ports(pid_t pid, int (*fn)(void *context, uint64_t net_inode, uint16_t port),
		    void *context);

#endif
