/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the uprobe events, their perf events and their links. Must not know servers, /proc, or what
 * the programs do. How the kernel arms: a tracefs uprobe event is only a definition; the perf
 * events opened on it are the processes for which it is armed (kernel/trace/trace_uprobe.c,
 * uprobe_perf_open), the BPF program hangs on the definition and runs for each of them. The perf
 * events stay disabled: they need not count for the program to run.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "attach.h"
#include "log.h"
#include "tracefs.h"
#include "tracer.h"
#include "worker.h"

#define FILES_MAX 512

struct armed_file {
	struct worker_file file;     /* inode 0: a free slot */
	bool whole;		     /* for every process that maps it */
	bool inherit;		     /* if not: for all our processes, and fork() hands it on */
	int64_t ids[TRACER_MARKS];   /* 0: not armed */
	int whole_fds[TRACER_MARKS]; /* the perf event of every process, -1: none */
	struct bpf_link *links[TRACER_MARKS];
};

/* A file that is armed for one process. */
struct armed_pair {
	int file;
	int fds[TRACER_MARKS]; /* -1: none */
};

struct armed_process {
	pid_t pid; /* 0: has ended, but what its children inherited hangs on its events */
	int pair_count;
	struct armed_pair *pairs;
};

struct attach {
	struct tracer *tracer;
	const struct tracefs *tracefs;
	const char *group;
	struct attach_options options;
	struct armed_file files[FILES_MAX];
	int file_count;
	struct armed_process **processes;
	int process_count;
};

static const char *const mark_names[TRACER_MARKS] = {
	[TRACER_START] = "start",	[TRACER_BLOCK] = "block",     [TRACER_END] = "end",
	[TRACER_GC_START] = "gc_start", [TRACER_GC_DONE] = "gc_done",
};

/* The end before the start: a request that is seen to start is seen to end. */
static const enum tracer_mark arming_order[TRACER_MARKS] = {
	TRACER_GC_DONE, TRACER_GC_START, TRACER_END, TRACER_BLOCK, TRACER_START,
};

int attach_new(struct tracer *tracer, const struct tracefs *tracefs, const char *group,
	       const struct attach_options *options, struct attach **out)
{
	struct attach *attach = calloc(1, sizeof(*attach));

	if (!attach)
		return -ENOMEM;
	attach->tracer = tracer;
	attach->tracefs = tracefs;
	attach->group = group;
	attach->options = *options;
	*out = attach;
	return 0;
}

static void whole_disarm(struct armed_file *file, enum tracer_mark mark)
{
	if (file->whole_fds[mark] >= 0)
		close(file->whole_fds[mark]);
	file->whole_fds[mark] = -1;
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
	for (int f = 0; f < attach->file_count; f++) {
		whole_disarm(&attach->files[f], mark);
		bpf_link__destroy(attach->files[f].links[mark]);
		attach->files[f].links[mark] = NULL;
	}
}

static void process_free(struct armed_process *process)
{
	free(process->pairs);
	free(process);
}

void attach_disarm(struct attach *attach)
{
	for (int i = TRACER_MARKS - 1; i >= 0; i--)
		mark_disarm(attach, arming_order[i]);
	for (int p = 0; p < attach->process_count; p++)
		process_free(attach->processes[p]);
	attach->process_count = 0;
	attach->file_count = 0;
}

void attach_free(struct attach *attach)
{
	if (!attach)
		return;
	attach_disarm(attach);
	free(attach->processes);
	free(attach);
}

#define EVENT_NAME_MAX 32

static void event_name(char *out, enum tracer_mark mark, int file)
{
	snprintf(out, EVENT_NAME_MAX, "%s_%d", mark_names[mark], file);
}

/* pid -1: every process. */
static int event_open(int64_t id, pid_t pid, bool inherit)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.disabled = 1,
		.inherit = inherit,
	};
	int fd = syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int pair_arm(const struct attach *attach, struct armed_pair *pair, pid_t pid)
{
	const struct armed_file *file = &attach->files[pair->file];

	for (int i = 0; i < TRACER_MARKS; i++) {
		enum tracer_mark mark = arming_order[i];
		int fd;

		if (!file->ids[mark])
			continue;
		fd = event_open(file->ids[mark], pid, file->inherit);
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

	if (attach->files[file].whole || !process->pid)
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
	return pair_arm(attach, pairs, process->pid);
}

static struct armed_process *process_find(const struct attach *attach, pid_t pid)
{
	for (int p = 0; p < attach->process_count; p++)
		if (attach->processes[p]->pid == pid)
			return attach->processes[p];
	return NULL;
}

/*
 * Defines one mark's uprobe event and hangs the program on it. The perf event that carries the
 * program is one of our own process, which never maps the file as code.
 */
static int mark_arm(struct attach *attach, int number, int fd, const struct elf_probe *probe,
		    enum tracer_mark mark)
{
	struct armed_file *file = &attach->files[number];
	char event[EVENT_NAME_MAX];
	int64_t id;
	int carrier, err;

	event_name(event, mark, number);
	err = tracefs_uprobe_define(attach->tracefs, attach->group, event, fd, probe->offset,
				    probe->semaphore_offset);
	if (err)
		return err;
	id = tracefs_event_id(attach->tracefs, attach->group, event);
	if (id < 0)
		return id;
	file->ids[mark] = id;
	carrier = event_open(id, getpid(), false);
	if (carrier < 0)
		return carrier;
	err = tracer_attach_mark(attach->tracer, mark, carrier, &file->links[mark]);
	if (err) {
		close(carrier);
		return err;
	}
	if (!file->whole)
		return 0;
	file->whole_fds[mark] = event_open(id, -1, false);
	return file->whole_fds[mark] < 0 ? file->whole_fds[mark] : 0;
}

/* The slot of a file, or -ENOENT. */
static int file_find(const struct attach *attach, const struct worker_file *file)
{
	for (int f = 0; f < attach->file_count; f++)
		if (attach->files[f].file.inode == file->inode &&
		    attach->files[f].file.device == file->device)
			return f;
	return -ENOENT;
}

/* A slot that is free, or -E2BIG. */
static int file_slot(struct attach *attach)
{
	for (int f = 0; f < attach->file_count; f++)
		if (!attach->files[f].file.inode)
			return f;
	return attach->file_count < FILES_MAX ? attach->file_count++ : -E2BIG;
}

/* A file to arm: which one, how, and where its marks lie (NULL: not wanted). */
struct arming {
	struct worker_file file;
	bool whole, inherit;
	const char *what; /* for people */
	const struct elf_probe *probes[TRACER_MARKS];
};

static int marks_arm(struct attach *attach, int number, int fd, const struct arming *arming)
{
	struct armed_file *file = &attach->files[number];
	int err = 0;

	memset(file, 0, sizeof(*file));
	file->file = arming->file;
	file->whole = arming->whole;
	file->inherit = arming->inherit;
	memset(file->whole_fds, -1, sizeof(file->whole_fds));
	for (int i = 0; i < TRACER_MARKS && !err; i++)
		if (arming->probes[arming_order[i]])
			err = mark_arm(attach, number, fd, arming->probes[arming_order[i]],
				       arming_order[i]);
	return err;
}

/* Takes a file's probes out, its definitions too: they would keep its file system mounted. */
static void file_disarm(struct attach *attach, int number)
{
	struct armed_file *file = &attach->files[number];
	char event[EVENT_NAME_MAX];

	for (int i = TRACER_MARKS - 1; i >= 0; i--) {
		enum tracer_mark mark = arming_order[i];

		whole_disarm(file, mark);
		bpf_link__destroy(file->links[mark]);
		file->links[mark] = NULL;
		event_name(event, mark, number);
		if (file->ids[mark])
			tracefs_uprobe_remove(attach->tracefs, attach->group, event);
	}
	memset(file, 0, sizeof(*file));
}

/* fd: the open file, closed here. The file's slot or -errno, message printed. */
static int file_arm(struct attach *attach, pid_t pid, int fd, const struct arming *arming)
{
	int number, err;

	if (fd < 0)
		return fd;
	number = file_slot(attach);
	if (number < 0) {
		log_error("more than %d different files to arm: process %d is not traced",
			  FILES_MAX, pid);
		close(fd);
		return number;
	}
	err = marks_arm(attach, number, fd, arming);
	close(fd);
	if (!err)
		return number;
	log_error("arming %s of process %d: %s; `wsgiscope check -p %d` says what is missing",
		  arming->what, pid, strerror(-err), pid);
	file_disarm(attach, number);
	return err;
}

int attach_marker(struct attach *attach, const struct worker *worker, bool whole)
{
	const struct worker_marker *marker = &worker->marker;
	const struct arming arming = {
		.file = marker->file,
		.whole = whole,
		.inherit = true,
		.what = "the marker",
		.probes = {[TRACER_START] = &marker->start,
			   [TRACER_BLOCK] = attach->options.blocks ? &marker->block : NULL,
			   [TRACER_END] = &marker->end},
	};
	int file = file_find(attach, &arming.file), err = 0;

	if (file >= 0)
		return 0;
	file = file_arm(attach, worker->pid, worker_marker_open(worker), &arming);
	for (int p = 0; file >= 0 && p < attach->process_count && !err; p++) {
		err = process_arm(attach, attach->processes[p], file);
		if (err == -ESRCH)
			err = 0;
	}
	return file < 0 ? file : err;
}

int attach_python(struct attach *attach, const struct worker *worker)
{
	const struct arming arming = {
		.file = worker->python_file,
		.what = "the garbage collector",
		.probes = {[TRACER_GC_START] = &worker->gc_start,
			   [TRACER_GC_DONE] = &worker->gc_done},
	};
	struct armed_process *process = process_find(attach, worker->pid);
	int file;

	if (!worker->gc_start.offset)
		return -ENOENT;
	if (!process)
		return -ESRCH;
	file = file_find(attach, &arming.file);
	if (file < 0)
		file = file_arm(attach, worker->pid, worker_python_open(worker), &arming);
	return file < 0 ? file : process_arm(attach, process, file);
}

int attach_narrow(struct attach *attach)
{
	int err;

	for (int f = 0; f < attach->file_count; f++) {
		struct armed_file *file = &attach->files[f];

		if (!file->whole)
			continue;
		file->whole = false;
		for (int p = 0; p < attach->process_count; p++) {
			err = process_arm(attach, attach->processes[p], f);
			if (err && err != -ESRCH)
				return err;
		}
		for (int mark = 0; mark < TRACER_MARKS; mark++)
			whole_disarm(file, mark);
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
	attach->process_count++;
	return *grown;
}

/* The files that all our processes are armed for. */
static int process_arm_all(struct attach *attach, struct armed_process *process)
{
	int err = 0;

	for (int f = 0; f < attach->file_count && !err; f++)
		if (attach->files[f].inherit)
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
	for (int i = 0; parent && i < parent->pair_count && !err; i++)
		if (!attach->files[parent->pairs[i].file].inherit)
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
		if (has_forked && attach->files[process->pairs[i].file].inherit) {
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
