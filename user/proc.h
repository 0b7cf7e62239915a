/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc: processes, their parents, threads and mappings, as text that may change while it is read.
 * Knows nothing of Python or servers. All pids are those of the tracer's own PID namespace.
 */
#ifndef WSGISCOPE_PROC_H
#define WSGISCOPE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	pid_t parent;
	char comm[16]; /* as the kernel has it; may hold anything */
	int threads;
	uint64_t start_ticks; /* tells a reused pid */
};

struct proc_mapping {
	uint64_t start, end, offset;
	dev_t device;
	uint64_t inode; /* 0: anonymous */
	bool executable, writable;
	const char *path; /* borrowed, as /proc shows it, escapes and all */
};

/* The first size - 1 bytes of /proc/PID/name, always terminated. Bytes read, or -errno. */
int proc_text_read(pid_t pid, const char *name, char *out, size_t size);

/* 0, -ESRCH (no such process), -errno. */
int proc_stat_read(pid_t pid, struct proc_stat *out);

/* argv joined with NULs as in /proc/PID/cmdline, at most size-1 bytes, always terminated. Bytes
 * read, or -errno. */
int proc_cmdline_read(pid_t pid, char *out, size_t size);

/* Calls fn for each mapping until it returns non-zero, which is handed back. 0, that, or -errno. */
typedef int (*proc_mapping_fn)(void *context, const struct proc_mapping *mapping);
int proc_mappings_each(pid_t pid, proc_mapping_fn fn, void *context);

/* Opens the file of a mapping (map_files, so that it is right in any mount namespace and for
 * deleted files; /proc/PID/root + path where that fails). O_PATH is not used. fd or -errno. */
int proc_mapping_open(pid_t pid, const struct proc_mapping *mapping);

/* Every process (tgid), ascending, malloc'ed; the caller frees. Count or -errno. */
int proc_list(pid_t **out);

/* pid and all its descendants that live now, parents before children; malloc'ed. Count, -ESRCH. */
int proc_tree(pid_t pid, pid_t **out);

/* The threads of a process, malloc'ed. Count or -errno. */
int proc_threads(pid_t pid, pid_t **out);

#endif
