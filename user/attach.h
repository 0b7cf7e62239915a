/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probes onto binaries. A file (device and inode) is armed once, however many processes map it.
 * A marker file that only the traced processes map is armed as a whole; that costs its processes
 * nothing but the probes. Where others map it too, it is armed by process: by perf events that the
 * kernel hands on in fork() before the child runs, so that new workers are covered from their first
 * instruction and nobody else pays; each thread that is made then costs some 50 us more.
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
	bool blocks; /* the per-block mark too */
};

/* group: the name that this run's uprobe events go by. tracer, tracefs, group: borrowed. */
int attach_new(struct tracer *tracer, const struct tracefs *tracefs, const char *group,
	       const struct attach_options *options, struct attach **out);

/* No program of ours runs at a mark any more: at request_start first, so that no request begins
 * unseen. The probes are still there. */
void attach_stop(struct attach *attach);

/* Takes all probes out, which the kernel does one after the other (some 50 ms for each mark of each
 * file, where no other process holds them), and frees. NULL is fine. */
void attach_free(struct attach *attach);

/*
 * Arms the worker's marker file: for every process that maps it, or for the processes armed so far.
 * Once is enough for each file, which may have several names. The slot that it is in; -EAGAIN: the
 * worker is just loading it, ask again; -errno, message printed.
 */
int attach_marker(struct attach *attach, const struct worker *worker, bool whole);

/* The collector's marks of its Python, always by process: other programs run on the same file.
 * After attach_process(). 0, -ENOENT (this Python has none), -errno, message printed. */
int attach_python(struct attach *attach, const struct worker *worker);

/*
 * A process to be armed for, now and later: for the marker files that are armed by process, and for
 * the children that its main thread will have. Once is enough. 0, -ESRCH (it has gone), -errno with
 * message printed.
 */
int attach_process(struct attach *attach, pid_t pid);

/* The same for a process that has been forked by another one, which hands its Python on to it.
 * inherited: the kernel has handed the perf events of the marker on, too. */
int attach_child(struct attach *attach, pid_t parent, pid_t pid, bool inherited);

/* What is armed as a whole is armed by process from now on. 0 or -errno, message printed. */
int attach_narrow(struct attach *attach);

/* The process has ended: gives its descriptors back, but for those that its children live on. */
void attach_forget(struct attach *attach, pid_t pid, bool has_forked);

/* Takes out what nobody was found to use twice in a row: it would keep file systems busy that are
 * to be unmounted. is_used: whether a worker's marker is in this slot. */
void attach_tidy(struct attach *attach, bool (*is_used)(void *context, int slot), void *context);

#endif
