/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns which processes are armed for which files, and the perf events of each. Must not know
 * servers, /proc, or what the programs do.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "armed_file.h"
#include "attach.h"
#include "log.h"
#include "semaphore.h"
#include "worker.h"

/* A file that is armed for one process. */
struct armed_pair {
	int file;
	int fds[TRACER_MARKS]; /* -1: none */
};

struct armed_process {
	int anchor; /* -1: none; see anchor_open() */
	pid_t pid;  /* 0: has ended, but what its children inherited hangs on its events */
	int pair_count;
	struct armed_pair *pairs;
};

struct attach {
	struct attach_options options;
	struct armed_files files;
	struct armed_process **processes;
	int process_count;
};

int attach_new(struct tracer *tracer, const struct tracefs *tracefs, const char *group,
	       const struct attach_options *options, struct attach **out)
{
	struct attach *attach = calloc(1, sizeof(*attach));

	if (!attach)
		return -ENOMEM;
	attach->files.tracer = tracer;
	attach->files.tracefs = tracefs;
	attach->files.group = group;
	attach->options = *options;
	*out = attach;
	return 0;
}

static void pair_disarm(struct armed_pair *pair, enum tracer_mark mark)
{
	if (pair->fds[mark] >= 0)
		close(pair->fds[mark]);
	pair->fds[mark] = -1;
}

static void mark_disarm(struct attach *attach, enum tracer_mark mark)
{
	for (int p = 0; p < attach->process_count; p++)
		for (int i = 0; i < attach->processes[p]->pair_count; i++)
			pair_disarm(&attach->processes[p]->pairs[i], mark);
	armed_files_disarm(&attach->files, mark);
}

static void process_free(struct armed_process *process)
{
	if (process->anchor >= 0)
		close(process->anchor);
	free(process->pairs);
	free(process);
}

void attach_stop(struct attach *attach)
{
	armed_files_unlink(&attach->files, &arming_order[TRACER_MARKS - 1], 1);
	armed_files_unlink(&attach->files, arming_order, TRACER_MARKS - 1);
}

static void disarm(struct attach *attach)
{
	attach_stop(attach);
	for (int i = TRACER_MARKS - 1; i >= 0; i--)
		mark_disarm(attach, arming_order[i]);
	for (int p = 0; p < attach->process_count; p++)
		process_free(attach->processes[p]);
	attach->process_count = 0;
	attach->files.count = 0;
}

void attach_free(struct attach *attach)
{
	if (!attach)
		return;
	disarm(attach);
	free(attach->processes);
	free(attach);
}

/*
 * A perf event that does nothing and is not handed on in fork(). Where a task has handed all of its
 * events on, the kernel takes its children's for interchangeable, and at a context switch between
 * two of them swaps the events rather than to take them out and in (perf_event_context_sched_out).
 * What a uprobe event is armed for stays the task that it was made for: a worker that ends would
 * then disarm another one. Without it arming still works, but for that.
 */
static void anchor_open(struct armed_process *process)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.size = sizeof(attr),
		.disabled = 1,
	};

	if (process->anchor >= 0)
		return;
	process->anchor = (int)syscall(SYS_perf_event_open, &attr, process->pid, -1, -1,
				       PERF_FLAG_FD_CLOEXEC);
	if (process->anchor < 0 && errno != ESRCH)
		log_warn("arming process %d: %s; where workers come and go, some may be missed",
			 process->pid, strerror(errno));
}

static int pair_arm(const struct attach *attach, struct armed_pair *pair, pid_t pid)
{
	const struct armed_file *file = &attach->files.files[pair->file];

	for (int i = 0; i < TRACER_MARKS; i++) {
		enum tracer_mark mark = arming_order[i];
		int fd;

		if (!file->ids[mark])
			continue;
		fd = armed_event_open(file->ids[mark], pid, file->inherit);
		if (fd == -ESRCH)
			return fd;
		if (fd < 0) {
			log_error("arming process %d: %s; raise the limit of open files if there "
				  "are thousands of workers",
				  pid, strerror(-fd));
			return fd;
		}
		pair->fds[mark] = fd;
	}
	return 0;
}

/* Once is enough. 0, -ESRCH, -errno with message printed. */
static int process_arm(struct attach *attach, struct armed_process *process, int file)
{
	struct armed_pair *pairs = process->pairs;

	if (attach->files.files[file].whole || !process->pid)
		return 0;
	for (int i = 0; i < process->pair_count; i++)
		if (pairs[i].file == file)
			return 0;
	pairs = realloc(pairs, (process->pair_count + 1) * sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	process->pairs = pairs;
	pairs += process->pair_count++;
	pairs->file = file;
	memset(pairs->fds, -1, sizeof(pairs->fds));
	if (attach->files.files[file].inherit)
		anchor_open(process);
	return pair_arm(attach, pairs, process->pid);
}

static struct armed_process *process_find(const struct attach *attach, pid_t pid)
{
	for (int p = 0; p < attach->process_count; p++)
		if (attach->processes[p]->pid == pid)
			return attach->processes[p];
	return NULL;
}

/* Arms the processes that we have for a file that is armed by process. */
static int file_arm_processes(struct attach *attach, int slot)
{
	int err = 0;

	for (int p = 0; p < attach->process_count && !err; p++) {
		err = process_arm(attach, attach->processes[p], slot);
		if (err == -ESRCH)
			err = 0;
	}
	return err;
}

/*
 * Whether the worker's marker, of a file that we do not know, is one that we have armed under
 * another name: containers of one image share the file below their overlays, and that is where
 * probes are. Armed twice, each mark would be seen twice. A raised semaphore tells: it is in the
 * memory of each process that maps the armed file. The slot; -ENOENT: no; -EAGAIN: not yet to be
 * told, its data is not mapped yet.
 */
static int marker_twin(const struct attach *attach, const struct worker *worker, int fd)
{
	const struct worker_marker *marker = &worker->marker;
	int slot = armed_file_twin(&attach->files, fd), err;
	uint16_t raised;

	if (slot < 0)
		return slot;
	err = semaphore_read(worker->pid, marker->device, marker->inode,
			     marker->start.semaphore_offset, &raised);
	if (err == -ENOENT)
		return -EAGAIN;
	return err ? err : raised ? slot : -ENOENT;
}

static int marker_add(struct attach *attach, const struct worker *worker,
		      const struct arming *arming)
{
	int fd = worker_marker_open(worker), slot;

	if (fd < 0)
		return fd;
	slot = marker_twin(attach, worker, fd);
	if (slot == -ENOENT)
		slot = armed_file_add(&attach->files, fd, arming);
	close(fd);
	return slot;
}

int attach_marker(struct attach *attach, const struct worker *worker, bool whole)
{
	const struct worker_marker *marker = &worker->marker;
	const struct arming arming = {
		.file = marker->file,
		.whole = whole,
		.inherit = true,
		.what = "the marker",
		.pid = worker->pid,
		.probes = {[TRACER_START] = &marker->start,
			   [TRACER_BLOCK] = attach->options.blocks ? &marker->block : NULL,
			   [TRACER_END] = &marker->end},
	};
	int slot = armed_file_find(&attach->files, &arming.file), err;

	if (slot >= 0)
		return slot;
	slot = marker_add(attach, worker, &arming);
	err = slot < 0 ? slot : file_arm_processes(attach, slot);
	return err ? err : slot;
}

static int python_add(struct attach *attach, const struct worker *worker,
		      const struct arming *arming)
{
	int fd = worker_python_open(worker), slot;

	if (fd < 0)
		return fd;
	slot = armed_file_add(&attach->files, fd, arming);
	close(fd);
	return slot;
}

int attach_python(struct attach *attach, const struct worker *worker)
{
	const struct arming arming = {
		.file = worker->python_file,
		.what = "the garbage collector",
		.pid = worker->pid,
		.probes = {[TRACER_GC_START] = &worker->gc_start,
			   [TRACER_GC_DONE] = &worker->gc_done},
	};
	struct armed_process *process = process_find(attach, worker->pid);
	int slot;

	if (!worker->gc_start.offset)
		return -ENOENT;
	if (!process)
		return -ESRCH;
	slot = armed_file_find(&attach->files, &arming.file);
	if (slot < 0)
		slot = python_add(attach, worker, &arming);
	return slot < 0 ? slot : process_arm(attach, process, slot);
}

int attach_narrow(struct attach *attach)
{
	int err;

	for (int f = 0; f < attach->files.count; f++) {
		struct armed_file *file = &attach->files.files[f];

		if (!file->whole)
			continue;
		file->whole = false;
		err = file_arm_processes(attach, f);
		if (err)
			return err;
		armed_file_unwhole(file);
	}
	return 0;
}

/* NULL: no memory. */
static struct armed_process *process_add(struct attach *attach, pid_t pid)
{
	struct armed_process **grown;

	grown = realloc(attach->processes, (attach->process_count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	attach->processes = grown;
	grown += attach->process_count;
	*grown = calloc(1, sizeof(**grown));
	if (!*grown)
		return NULL;
	(*grown)->pid = pid;
	(*grown)->anchor = -1;
	attach->process_count++;
	return *grown;
}

/* The files that all our processes are armed for. */
static int process_arm_all(struct attach *attach, struct armed_process *process)
{
	int err = 0;

	for (int f = 0; f < attach->files.count && !err; f++)
		if (attach->files.files[f].inherit)
			err = process_arm(attach, process, f);
	return err;
}

int attach_process(struct attach *attach, pid_t pid)
{
	struct armed_process *process = process_find(attach, pid);

	if (process)
		return 0;
	process = process_add(attach, pid);
	return process ? process_arm_all(attach, process) : -ENOMEM;
}

/* Whether any file is armed by perf events that fork() hands on. */
static bool is_narrow(const struct attach *attach)
{
	for (int f = 0; f < attach->files.count; f++)
		if (attach->files.files[f].inherit && !attach->files.files[f].whole)
			return true;
	return false;
}

int attach_child(struct attach *attach, pid_t parent_pid, pid_t pid, bool inherited)
{
	const struct armed_process *parent = process_find(attach, parent_pid);
	struct armed_process *process;
	int err = 0;

	if (process_find(attach, pid))
		return 0;
	process = process_add(attach, pid);
	if (!process)
		return -ENOMEM;
	if (!inherited)
		err = process_arm_all(attach, process);
	else if (is_narrow(attach))
		anchor_open(process);
	for (int i = 0; parent && i < parent->pair_count && !err; i++)
		if (!attach->files.files[parent->pairs[i].file].inherit)
			err = process_arm(attach, process, parent->pairs[i].file);
	return err;
}

void attach_forget(struct attach *attach, pid_t pid, bool has_forked)
{
	struct armed_process *process = NULL;
	bool kept = false;
	int p;

	for (p = 0; p < attach->process_count && !process; p++)
		if (attach->processes[p]->pid == pid)
			process = attach->processes[p];
	if (!process)
		return;
	/* Closing a process's perf events would take those that its children inherited along. */
	for (int i = 0; i < process->pair_count; i++) {
		if (has_forked && attach->files.files[process->pairs[i].file].inherit) {
			kept = true;
			continue;
		}
		for (int mark = 0; mark < TRACER_MARKS; mark++)
			pair_disarm(&process->pairs[i], mark);
	}
	process->pid = 0;
	if (kept)
		return;
	process_free(process);
	attach->processes[p - 1] = attach->processes[--attach->process_count];
}

static bool file_is_paired(const struct attach *attach, int slot)
{
	for (int p = 0; p < attach->process_count; p++)
		for (int i = 0; i < attach->processes[p]->pair_count; i++)
			if (attach->processes[p]->pairs[i].file == slot)
				return true;
	return false;
}

void attach_tidy(struct attach *attach, bool (*is_used)(void *context, int slot), void *context)
{
	for (int slot = 0; slot < attach->files.count; slot++) {
		struct armed_file *file = &attach->files.files[slot];

		if (!file->file.inode)
			continue;
		if (file_is_paired(attach, slot) || is_used(context, slot))
			file->unused = 0;
		else if (++file->unused > 1)
			armed_file_remove(&attach->files, slot);
	}
}
