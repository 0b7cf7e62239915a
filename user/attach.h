/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probes onto binaries. A marker file (device and inode) is armed once, however many processes map
 * it. For one process tree the probes are perf events of the processes, which the kernel hands on
 * in fork() before the child runs: new workers are covered from their first instruction, and
 * nobody else who maps the file pays. For all processes the whole file is armed.
 */
#ifndef WSGISCOPE_ATTACH_H
#define WSGISCOPE_ATTACH_H

#include <stdbool.h>
#include <sys/types.h>

struct attach;
struct tracefs;
struct tracer;
struct worker;

struct attach_options {
	bool whole_file; /* every process that maps a marker file, not only those named */
	bool blocks;	 /* the per-block mark too */
};

/* group: the name that this run's uprobe events go by. tracer, tracefs, group: borrowed. */
int attach_new(struct tracer *tracer, const struct tracefs *tracefs, const char *group,
	       const struct attach_options *options, struct attach **out);

/* Disarms everything: request_start first, so that no request begins unseen. */
void attach_disarm(struct attach *attach);

/* Disarms and frees. NULL is fine. */
void attach_free(struct attach *attach);

/* Arms the worker's marker file, for the processes armed so far. Once is enough for each file.
 * 0 or -errno, message printed. */
int attach_marker(struct attach *attach, const struct worker *worker);

/* Arms all marker files, now and later, for a process and the children that its main thread will
 * have. Nothing to do with whole_file. 0, -ESRCH (it has gone), -errno with message printed. */
int attach_process(struct attach *attach, pid_t pid);

/* The process has ended: gives its descriptors back. */
void attach_forget(struct attach *attach, pid_t pid);

#endif
