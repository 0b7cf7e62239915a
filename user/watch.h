/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files the host's processes map as code, as it happens and in whatever mount or PID
 * namespace: so that a marker nobody had until now is seen when it is loaded, without a poll. Knows
 * no marker and no server.
 */
#ifndef WSGISCOPE_WATCH_H
#define WSGISCOPE_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

struct watch;

/* name: the file's path as the process sees it, with " (deleted)" where it is; borrowed. */
typedef void (*watch_fn)(void *context, pid_t pid, const char *name);

/* Begins to watch every CPU that is online. 0 or -errno; nothing printed. */
int watch_open(struct watch **out);
void watch_close(struct watch *watch); /* NULL is fine */

/* Readable when much is there for watch_read(), which is to be called every tick besides. Stays the
 * watch's own. */
int watch_fd(const struct watch *watch);

/* Hands out what was mapped since the last call. False: some mappings were lost, look at /proc. */
bool watch_read(struct watch *watch, watch_fn fn, void *context);

#endif
