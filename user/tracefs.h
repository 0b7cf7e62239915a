/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's tracefs: ids of tracepoints, definitions of uprobe events. Opened as a mount of our
 * own that is in no namespace, so nothing has to be mounted and nothing is left behind.
 */
#ifndef WSGISCOPE_TRACEFS_H
#define WSGISCOPE_TRACEFS_H

#include <stddef.h>
#include <stdint.h>

struct tracefs;

/* 0 or -errno; nothing printed. Falls back to what is mounted at /sys/kernel/tracing. */
int tracefs_open(struct tracefs **out);
void tracefs_close(struct tracefs *tracefs); /* NULL is fine */

/* The descriptor that everything goes through; stays tracefs's own. */
int tracefs_fd(const struct tracefs *tracefs);

/* The perf id of an event, such as ("syscalls", "sys_enter_write"). -errno. */
int64_t tracefs_event_id(const struct tracefs *tracefs, const char *group, const char *event);

/*
 * Defines a uprobe event on the open file fd at a file offset, with the file offset of its
 * semaphore (0: none). 0 or -errno.
 */
int tracefs_uprobe_define(const struct tracefs *tracefs, const char *group, const char *event,
			  int fd, uint64_t offset, uint64_t semaphore_offset);

/* Takes one away that is not in use any more. 0 or -errno. */
int tracefs_uprobe_remove(const struct tracefs *tracefs, const char *group, const char *event);

/* Takes all uprobe events of a group away; tries for so long while they are in use. */
int tracefs_uprobes_remove(const struct tracefs *tracefs, const char *group, unsigned int seconds);

/* Calls fn with each group of events that begins with prefix. */
int tracefs_uprobe_groups(const struct tracefs *tracefs, const char *prefix,
			  void (*fn)(void *context, const char *group), void *context);

#endif
