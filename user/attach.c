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

#define FILES_MAX 64

struct armed_file {
	dev_t device;
	uint64_t inode;
	bool whole;		     /* for every process that maps it */
	bool inherit;		     /* if not: whether fork() hands the perf events on */
	int64_t ids[TRACER_MARKS];   /* 0: not armed */
	int whole_fds[TRACER_MARKS]; /* the perf event of every process, -1: none */
	struct bpf_link *links[TRACER_MARKS];
};

struct armed_process {
	pid_t pid;
	int fds[FILES_MAX][TRACER_MARKS]; /* -1: none */
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

static void mark_disarm(struct attach *attach, enum tracer_mark mark)
{
	for (int p = 0; p < attach->process_count; p++) {
		for (int m = 0; m < attach->file_count; m++) {
			int *fd = &attach->processes[p]->fds[m][mark];

			if (*fd >= 0)
				close(*fd);
			*fd = -1;
		}
	}
	for (int m = 0; m < attach->file_count; m++) {
		whole_disarm(&attach->files[m], mark);
		bpf_link__destroy(attach->files[m].links[mark]);
		attach->files[m].links[mark] = NULL;
	}
}

void attach_disarm(struct attach *attach)
{
	for (int i = TRACER_MARKS - 1; i >= 0; i--)
		mark_disarm(attach, arming_order[i]);
	for (int p = 0; p < attach->process_count; p++)
		free(attach->processes[p]);
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

static int process_arm(struct attach *attach, struct armed_process *process, int file)
{
	for (int i = 0; i < TRACER_MARKS && !attach->files[file].whole; i++) {
		enum tracer_mark mark = arming_order[i];
		int64_t id = attach->files[file].ids[mark];
		int fd;

		if (!id)
			continue;
		fd = event_open(id, process->pid, attach->files[file].inherit);
		if (fd == -ESRCH)
			return fd;
		if (fd < 0) {
			log_error("arming process %d: %s; raise the limit of open files if there "
				  "are thousands of workers",
				  process->pid, strerror(-fd));
			return fd;
		}
		process->fds[file][mark] = fd;
	}
	return 0;
}

/*
 * Defines one mark's uprobe event and hangs the program on it. The perf event that carries the
 * program is one of our own process, which never maps the file as code.
 */
static int mark_arm(struct attach *attach, int fd, const struct elf_probe *probe,
		    enum tracer_mark mark)
{
	struct armed_file *file = &attach->files[attach->file_count];
	char event[32];
	int64_t id;
	int carrier, err;

	snprintf(event, sizeof(event), "%s_%d", mark_names[mark], attach->file_count);
	err = tracefs_uprobe_define(attach->tracefs, attach->group, event, fd, probe->offset,
				    probe->semaphore_offset);
	if (err)
		return err;
	id = tracefs_event_id(attach->tracefs, attach->group, event);
	if (id < 0)
		return id;
	carrier = event_open(id, getpid(), false);
	if (carrier < 0)
		return carrier;
	err = tracer_attach_mark(attach->tracer, mark, carrier, &file->links[mark]);
	if (err) {
		close(carrier);
		return err;
	}
	file->ids[mark] = id;
	if (!file->whole)
		return 0;
	file->whole_fds[mark] = event_open(id, -1, false);
	return file->whole_fds[mark] < 0 ? file->whole_fds[mark] : 0;
}

static bool file_is_armed(const struct attach *attach, dev_t device, uint64_t inode)
{
	for (int i = 0; i < attach->file_count; i++)
		if (attach->files[i].device == device && attach->files[i].inode == inode)
			return true;
	return false;
}

/* A file to arm: which one, how, and where its marks lie (NULL: not wanted). */
struct arming {
	dev_t device;
	uint64_t inode;
	bool whole, inherit;
	const char *what; /* for people */
	const struct elf_probe *probes[TRACER_MARKS];
};

static int marks_arm(struct attach *attach, int fd, const struct arming *arming)
{
	struct armed_file *file = &attach->files[attach->file_count];
	int err = 0;

	memset(file, 0, sizeof(*file));
	file->device = arming->device;
	file->inode = arming->inode;
	file->whole = arming->whole;
	file->inherit = arming->inherit;
	memset(file->whole_fds, -1, sizeof(file->whole_fds));
	for (int i = 0; i < TRACER_MARKS && !err; i++)
		if (arming->probes[arming_order[i]])
			err = mark_arm(attach, fd, arming->probes[arming_order[i]],
				       arming_order[i]);
	attach->file_count++; /* half armed or not: attach_free() must find it */
	return err;
}

/* fd: the open file, closed here. */
static int file_arm(struct attach *attach, pid_t pid, int fd, const struct arming *arming)
{
	int number = attach->file_count;
	int err;

	if (fd < 0)
		return fd;
	if (number == FILES_MAX) {
		log_error("more than %d different files to arm: process %d is not traced",
			  FILES_MAX, pid);
		close(fd);
		return -E2BIG;
	}
	err = marks_arm(attach, fd, arming);
	close(fd);
	if (err) {
		log_error("arming %s of process %d: %s; `wsgiscope check -p %d` says what is "
			  "missing",
			  arming->what, pid, strerror(-err), pid);
		return err;
	}
	for (int p = 0; p < attach->process_count; p++) {
		err = process_arm(attach, attach->processes[p], number);
		if (err && err != -ESRCH)
			return err;
	}
	return 0;
}

int attach_marker(struct attach *attach, const struct worker *worker, bool whole)
{
	const struct worker_marker *marker = &worker->marker;
	const struct arming arming = {
		.device = marker->device,
		.inode = marker->inode,
		.whole = whole,
		.inherit = true,
		.what = "the marker",
		.probes = {[TRACER_START] = &marker->start,
			   [TRACER_BLOCK] = attach->options.blocks ? &marker->block : NULL,
			   [TRACER_END] = &marker->end},
	};

	if (file_is_armed(attach, arming.device, arming.inode))
		return 0;
	return file_arm(attach, worker->pid, worker_marker_open(worker), &arming);
}

int attach_python(struct attach *attach, const struct worker *worker)
{
	const struct arming arming = {
		.device = worker->python_device,
		.inode = worker->python_inode,
		.what = "the garbage collector",
		.probes = {[TRACER_GC_START] = &worker->gc_start,
			   [TRACER_GC_DONE] = &worker->gc_done},
	};

	if (!worker->gc_start.offset)
		return -ENOENT;
	if (file_is_armed(attach, arming.device, arming.inode))
		return 0;
	return file_arm(attach, worker->pid, worker_python_open(worker), &arming);
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

int attach_process(struct attach *attach, pid_t pid, bool inherited)
{
	struct armed_process **grown, *process;
	int err;

	for (int p = 0; p < attach->process_count; p++)
		if (attach->processes[p]->pid == pid)
			return 0;
	grown = realloc(attach->processes, (attach->process_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	attach->processes = grown;
	process = malloc(sizeof(*process));
	if (!process)
		return -ENOMEM;
	process->pid = pid;
	memset(process->fds, -1, sizeof(process->fds));
	attach->processes[attach->process_count++] = process;
	for (int m = 0; m < attach->file_count; m++) {
		if (inherited && attach->files[m].inherit)
			continue;
		err = process_arm(attach, process, m);
		if (err)
			return err;
	}
	return 0;
}

void attach_forget(struct attach *attach, pid_t pid)
{
	struct armed_process *process;

	for (int p = 0; p < attach->process_count; p++) {
		process = attach->processes[p];
		if (process->pid != pid)
			continue;
		for (int m = 0; m < attach->file_count; m++)
			for (int mark = 0; mark < TRACER_MARKS; mark++)
				if (process->fds[m][mark] >= 0)
					close(process->fds[m][mark]);
		free(process);
		attach->processes[p] = attach->processes[--attach->process_count];
		return;
	}
}
