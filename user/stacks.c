/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the table of processes whose stacks are taken. A process stays in it when it has ended, as
 * its children may have been forked from what it was. Must not know names or samples.
 */
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "log.h"
#include "proc.h"
#include "python/layout.h"
#include "python/locate.h"
#include "python/stack.h"
#include "stacks.h"
#include "tracer.h"
#include "worker.h"

#define PROCESSES_MAX 65536

struct tried {
	pid_t pid, parent;
	bool usable, refused; /* neither: not tried yet, or to be tried again */
	struct python_layout layout;
};

struct stacks {
	struct tracer *tracer;
	struct tried *processes;
	size_t count, room;
	uint32_t serial; /* of the last Python that was found */
};

int stacks_new(struct tracer *tracer, struct stacks **out)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));

	if (!stacks)
		return -ENOMEM;
	stacks->tracer = tracer;
	*out = stacks;
	return 0;
}

void stacks_free(struct stacks *stacks)
{
	if (!stacks)
		return;
	free(stacks->processes);
	free(stacks);
}

static struct tried *tried_find(const struct stacks *stacks, pid_t pid)
{
	for (size_t i = stacks->count; i > 0; i--)
		if (stacks->processes[i - 1].pid == pid)
			return &stacks->processes[i - 1];
	return NULL;
}

static struct tried *tried_get(struct stacks *stacks, pid_t pid)
{
	struct tried *found = tried_find(stacks, pid);

	if (found)
		return found;
	/* So many have come and gone: the oldest half is forgotten. */
	if (stacks->count == PROCESSES_MAX) {
		stacks->count /= 2;
		memmove(stacks->processes, stacks->processes + stacks->count,
			stacks->count * sizeof(*stacks->processes));
	}
	if (stacks->count == stacks->room) {
		size_t room = stacks->room ? 2 * stacks->room : 16;
		struct tried *grown = realloc(stacks->processes, room * sizeof(*grown));

		if (!grown)
			return NULL;
		stacks->processes = grown;
		stacks->room = room;
	}
	found = &stacks->processes[stacks->count++];
	memset(found, 0, sizeof(*found));
	found->pid = pid;
	return found;
}

/* Threads that are made from now on have room for their waits from the kernel side; one that
 * could not get it here gets it when the clock finds it running. */
static void threads_prepare(struct stacks *stacks, pid_t pid)
{
	pid_t *tids = NULL;
	int count = proc_threads(pid, &tids);

	for (int i = 0; i < count; i++) {
		int err = tracer_thread_prepare(stacks->tracer, tids[i]);

		if (err && err != -ESRCH)
			log_debug("thread %d of process %d: %s", tids[i], pid, strerror(-err));
	}
	free(tids);
}

static int process_try(struct stacks *stacks, struct tried *process, const struct worker *worker)
{
	struct python_location where;
	struct stack_answer answer;
	struct pystack_python python;
	int err = python_locate(worker, &where);

	if (!err)
		err = python_stack_try(worker->pid, &where, &process->layout, &answer);
	if (err)
		return err == -ESRCH ? 0 : err;
	if (answer.verdict == STACK_REFUSED) {
		process->refused = true;
		log_warn("no Python stacks of process %d: %s", worker->pid, answer.why);
	}
	if (answer.verdict != STACK_USABLE)
		return 0;
	python = (struct pystack_python){.runtime = where.runtime,
					 .serial = ++stacks->serial,
					 .layout = process->layout.walk};
	err = tracer_python_set(stacks->tracer, worker->pid, &python);
	process->usable = !err;
	threads_prepare(stacks, worker->pid);
	return err;
}

int stacks_process(struct stacks *stacks, const struct worker *worker)
{
	struct tried *process;
	int err;

	if (!stacks || worker->python != PYTHON_CPYTHON)
		return 0;
	process = tried_get(stacks, worker->pid);
	if (!process)
		return -ENOMEM;
	if (process->usable || process->refused)
		return 0;
	err = process_try(stacks, process, worker);
	if (err)
		log_error("finding the Python stacks of process %d: %s", worker->pid,
			  strerror(-err));
	return err;
}

static int child_inherit(struct stacks *stacks, pid_t parent_pid, pid_t pid)
{
	const struct tried *parent;
	struct tried *child = tried_get(stacks, pid);

	if (!child)
		return -ENOMEM;
	parent = tried_find(stacks, parent_pid); /* adding may have moved the table */
	if (parent)
		*child = *parent;
	child->pid = pid;
	child->parent = parent_pid;
	return 0;
}

int stacks_event(struct stacks *stacks, const struct rec_process *record)
{
	struct tried *process;

	if (!stacks)
		return 0;
	switch (record->what) {
	case REC_PROCESS_FORK:
		return child_inherit(stacks, (pid_t)record->h.tgid, (pid_t)record->other);
	case REC_PROCESS_EXEC:
		process = tried_find(stacks, (pid_t)record->h.tgid);
		if (process)
			process->usable = process->refused = false;
		return 0;
	default:
		return 0;
	}
}

const struct python_layout *stacks_layout(const struct stacks *stacks, pid_t pid)
{
	const struct tried *process = tried_find(stacks, pid);

	return process && process->usable ? &process->layout : NULL;
}

pid_t stacks_parent(const struct stacks *stacks, pid_t pid)
{
	const struct tried *process = tried_find(stacks, pid);

	return process ? process->parent : 0;
}
