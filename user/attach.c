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

#define MARKERS_MAX 64

struct armed_marker {
	dev_t device;
	uint64_t inode;
	int64_t ids[TRACER_MARKS]; /* 0: not armed */
	struct bpf_link *links[TRACER_MARKS];
};

struct armed_process {
	pid_t pid;
	int fds[MARKERS_MAX][TRACER_MARKS]; /* -1: none */
};

struct attach {
	struct tracer *tracer;
	const struct tracefs *tracefs;
	const char *group;
	struct attach_options options;
	struct armed_marker markers[MARKERS_MAX];
	int marker_count;
	struct armed_process **processes;
	int process_count;
};

static const char *const mark_names[TRACER_MARKS] = {
	[TRACER_START] = "start",
	[TRACER_BLOCK] = "block",
	[TRACER_END] = "end",
};

/* The end before the start: a request that is seen to start is seen to end. */
static const enum tracer_mark arming_order[TRACER_MARKS] = {TRACER_END, TRACER_BLOCK, TRACER_START};

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

static void mark_disarm(struct attach *attach, enum tracer_mark mark)
{
	for (int p = 0; p < attach->process_count; p++) {
		for (int m = 0; m < attach->marker_count; m++) {
			int *fd = &attach->processes[p]->fds[m][mark];

			if (*fd >= 0)
				close(*fd);
			*fd = -1;
		}
	}
	for (int m = 0; m < attach->marker_count; m++) {
		bpf_link__destroy(attach->markers[m].links[mark]);
		attach->markers[m].links[mark] = NULL;
	}
}

void attach_disarm(struct attach *attach)
{
	for (int i = TRACER_MARKS - 1; i >= 0; i--)
		mark_disarm(attach, arming_order[i]);
	for (int p = 0; p < attach->process_count; p++)
		free(attach->processes[p]);
	attach->process_count = 0;
	attach->marker_count = 0;
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
static int event_open(int64_t id, pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.disabled = 1,
		.inherit = pid > 0,
	};
	int fd = syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int process_arm(struct attach *attach, struct armed_process *process, int marker)
{
	for (int i = 0; i < TRACER_MARKS; i++) {
		enum tracer_mark mark = arming_order[i];
		int64_t id = attach->markers[marker].ids[mark];
		int fd;

		if (!id)
			continue;
		fd = event_open(id, process->pid);
		if (fd == -ESRCH)
			return fd;
		if (fd < 0) {
			log_error("arming process %d: %s; raise the limit of open files if there "
				  "are thousands of workers",
				  process->pid, strerror(-fd));
			return fd;
		}
		process->fds[marker][mark] = fd;
	}
	return 0;
}

/*
 * Defines one mark's uprobe event and hangs the program on it. The perf event that carries the
 * program is one of every process with whole_file, else one of our own process, which never maps
 * a marker.
 */
static int mark_arm(struct attach *attach, int file, const struct elf_probe *probe,
		    enum tracer_mark mark)
{
	struct armed_marker *marker = &attach->markers[attach->marker_count];
	char event[32];
	int64_t id;
	int fd, err;

	snprintf(event, sizeof(event), "%s_%d", mark_names[mark], attach->marker_count);
	err = tracefs_uprobe_define(attach->tracefs, attach->group, event, file, probe->offset,
				    probe->semaphore_offset);
	if (err)
		return err;
	id = tracefs_event_id(attach->tracefs, attach->group, event);
	if (id < 0)
		return id;
	fd = event_open(id, attach->options.whole_file ? -1 : getpid());
	if (fd < 0)
		return fd;
	err = tracer_attach_mark(attach->tracer, mark, fd, &marker->links[mark]);
	if (err) {
		close(fd);
		return err;
	}
	marker->ids[mark] = id;
	return 0;
}

static bool marker_is_armed(const struct attach *attach, const struct worker_marker *marker)
{
	for (int i = 0; i < attach->marker_count; i++)
		if (attach->markers[i].device == marker->device &&
		    attach->markers[i].inode == marker->inode)
			return true;
	return false;
}

static int marker_arm(struct attach *attach, int file, const struct worker_marker *from)
{
	const struct elf_probe *probes[TRACER_MARKS] = {
		[TRACER_START] = &from->start,
		[TRACER_BLOCK] = attach->options.blocks ? &from->block : NULL,
		[TRACER_END] = &from->end,
	};
	struct armed_marker *marker = &attach->markers[attach->marker_count];
	int err = 0;

	memset(marker, 0, sizeof(*marker));
	marker->device = from->device;
	marker->inode = from->inode;
	for (int i = 0; i < TRACER_MARKS && !err; i++)
		if (probes[arming_order[i]])
			err = mark_arm(attach, file, probes[arming_order[i]], arming_order[i]);
	attach->marker_count++; /* half armed or not: attach_free() must find it */
	return err;
}

int attach_marker(struct attach *attach, const struct worker *worker)
{
	int marker = attach->marker_count;
	int file, err;

	if (marker_is_armed(attach, &worker->marker))
		return 0;
	if (marker == MARKERS_MAX) {
		log_error("more than %d different marker files: process %d is not traced",
			  MARKERS_MAX, worker->pid);
		return -E2BIG;
	}
	file = worker_marker_open(worker);
	if (file < 0)
		return file;
	err = marker_arm(attach, file, &worker->marker);
	close(file);
	if (err) {
		log_error("arming the marker of process %d: %s; `wsgiscope check -p %d` says what "
			  "is missing",
			  worker->pid, strerror(-err), worker->pid);
		return err;
	}
	for (int p = 0; p < attach->process_count; p++) {
		err = process_arm(attach, attach->processes[p], marker);
		if (err && err != -ESRCH)
			return err;
	}
	return 0;
}

int attach_process(struct attach *attach, pid_t pid)
{
	struct armed_process **grown, *process;
	int err;

	if (attach->options.whole_file)
		return 0;
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
	for (int m = 0; m < attach->marker_count; m++) {
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
		for (int m = 0; m < attach->marker_count; m++)
			for (int mark = 0; mark < TRACER_MARKS; mark++)
				if (process->fds[m][mark] >= 0)
					close(process->fds[m][mark]);
		free(process);
		attach->processes[p] = attach->processes[--attach->process_count];
		return;
	}
}
