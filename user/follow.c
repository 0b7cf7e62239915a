/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the table of traced processes. Must not know how probes are armed or what a record of a
 * request looks like. Processes change under our eyes: one that has gone is no error.
 */
#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#include "attach.h"
#include "config.h"
#include "follow.h"
#include "interpreter.h"
#include "log.h"
#include "marks.h"
#include "proc.h"
#include "servers/server.h"
#include "stacks.h"
#include "tracer.h"
#include "worker.h"

#define MS UINT64_C(1000000)

/* After a fork or an exec a process is looked at again when it has had time to become itself; one
 * without a marker is looked at for as long as it lives, as it may load one. */
static const uint64_t inspect_after_ns[] = {50 * MS, 200 * MS, 1000 * MS, 5000 * MS};
#define INSPECT_STEPS	(sizeof(inspect_after_ns) / sizeof(inspect_after_ns[0]))
#define INSPECT_IDLE_NS (2000 * MS)

struct followed {
	pid_t pid, parent;
	const struct server *server;
	uint32_t python_version;
	struct tracer_process told; /* to the kernel side */
	bool fd_hidden;		    /* seen */
	bool gc_seen;
	bool has_marker;
	bool has_forked;
	bool said;	   /* announced as it is now */
	uint64_t since_ns; /* began or last execed; 0: before us */
	uint64_t exec_ns;
	uint64_t inspect_ns; /* when to look next, 0: never */
	unsigned int step;
};

struct follow {
	struct tracer *tracer;
	struct attach *attach;
	const struct tracefs *tracefs;
	struct stacks *stacks; /* NULL: none are taken */
	pid_t root;	       /* of -p, 0: all */
	uint64_t narrowed_ns;
	pid_t *tree; /* while it is gone through */
	int tree_count;
	struct followed *processes;
	size_t count, room;
};

static struct followed *followed_find(const struct follow *follow, pid_t pid)
{
	for (size_t i = 0; i < follow->count; i++)
		if (follow->processes[i].pid == pid)
			return &follow->processes[i];
	return NULL;
}

static struct followed *followed_add(struct follow *follow, pid_t pid, pid_t parent)
{
	struct followed *grown = follow->processes;

	if (follow->count == follow->room) {
		follow->room = follow->room ? 2 * follow->room : 64;
		grown = realloc(grown, follow->room * sizeof(*grown));
		if (!grown)
			return NULL;
		follow->processes = grown;
	}
	grown = &follow->processes[follow->count++];
	memset(grown, 0, sizeof(*grown));
	grown->pid = pid;
	grown->parent = parent;
	return grown;
}

static void inspect_schedule(struct followed *process, uint64_t now_ns)
{
	process->step = 0;
	process->since_ns = now_ns;
	process->inspect_ns = now_ns + inspect_after_ns[0];
}

static void inspect_next(struct followed *process, uint64_t now_ns)
{
	if (++process->step < INSPECT_STEPS)
		process->inspect_ns = process->since_ns + inspect_after_ns[process->step];
	else
		process->inspect_ns = process->has_marker ? 0 : now_ns + INSPECT_IDLE_NS;
}

/* A server that is not known may write late; that it hides the descriptor is seen when it does. */
static unsigned int process_flags(const struct followed *process)
{
	unsigned int flags = process->server ? process->server->flags : SERVER_WRITES_LATE;

	flags |= process->fd_hidden ? SERVER_FD_HIDDEN : 0;
	return process->gc_seen ? flags | TRACER_GC_SEEN : flags;
}

/* Tells the kernel side what is new. 0 or -errno, message printed. */
static int process_tell(struct follow *follow, struct followed *process,
			const struct worker *worker)
{
	struct tracer_process told = {.flags = process_flags(process)};
	int err;

	told.gil_bytes = process->told.gil_bytes;
	memcpy(told.gil, process->told.gil, sizeof(told.gil));
	interpreter_gils(worker, &told);
	if (!memcmp(&told, &process->told, sizeof(told)))
		return 0;
	err = tracer_process_set(follow->tracer, process->pid, &told);
	if (err) {
		log_error("following process %d: %s", process->pid, strerror(-err));
		return err;
	}
	process->told = told;
	if (process->server && process->server->flags & SERVER_FD_HIDDEN)
		tracer_attach_reads(follow->tracer, follow->tracefs);
	return 0;
}

static bool is_ours(const struct follow *follow, pid_t pid)
{
	for (int i = 0; i < follow->tree_count; i++)
		if (follow->tree[i] == pid)
			return true;
	return followed_find(follow, pid);
}

/* Whether a process that is not followed maps the marker file of one that is. */
static bool marker_is_shared(const struct follow *follow, const struct worker *one)
{
	pid_t *pids = NULL;
	int count = proc_list(&pids);
	struct worker other;
	bool shared = follow->narrowed_ns || count < 0;

	for (int i = 0; i < count && !shared; i++)
		shared = !is_ours(follow, pids[i]) && !worker_inspect(pids[i], &other) &&
			 other.has_marker && other.marker.device == one->marker.device &&
			 other.marker.inode == one->marker.inode;
	free(pids);
	return shared;
}

/* Takes over what an inspection found; arms what is new. 0 or -errno, message printed. */
static int followed_update(struct follow *follow, struct followed *process,
			   const struct worker *worker)
{
	int err;

	if (worker->server != process->server || worker->python_version != process->python_version)
		process->said = false;
	if (worker->server)
		process->server = worker->server;
	if (worker->python == PYTHON_CPYTHON && !process->gc_seen)
		process->gc_seen = !attach_python(follow->attach, worker);
	err = process_tell(follow, process, worker);
	if (!err)
		err = stacks_process(follow->stacks, worker);
	if (err)
		return err;
	if (worker->python_version)
		process->python_version = worker->python_version;
	process->has_marker = worker->has_marker;
	if (!worker->has_marker)
		return 0;
	if (worker->marker.version != WSGISCOPE_MARKS_VERSION) {
		log_warn("process %d has a marker of version %u, this program understands %u: "
			 "install the matching package there",
			 process->pid, worker->marker.version, WSGISCOPE_MARKS_VERSION);
		return -EPROTO;
	}
	return attach_marker(follow->attach, worker,
			     !follow->root || !marker_is_shared(follow, worker));
}

/* A process from now on; the kernel side begins to follow its forks before its tree is read. */
static int process_follow(struct follow *follow, const struct worker *worker)
{
	struct followed *process = followed_find(follow, worker->pid);
	int err;

	if (process)
		return followed_update(follow, process, worker);
	process = followed_add(follow, worker->pid, worker->parent);
	if (!process)
		return -ENOMEM;
	err = followed_update(follow, process, worker);
	if (err)
		return err;
	if (!process->has_marker)
		process->inspect_ns = 1;
	process->step = INSPECT_STEPS;
	err = attach_process(follow->attach, worker->pid, false);
	return err == -ESRCH ? 0 : err;
}

/* What is wrong with -p PID, said once. */
static int root_refuse(pid_t pid, bool python, bool pypy)
{
	if (pypy && !python)
		log_error("process %d runs PyPy: wsgiscope traces CPython", pid);
	else if (!python)
		log_error("process %d is not a Python process, and has no child that is: "
			  "`wsgiscope ps` lists the WSGI workers",
			  pid);
	else
		log_error("no marker in process %d or its children: put `from wsgiscope import "
			  "mark; application = mark(application)` into the application and restart "
			  "it",
			  pid);
	return -ENOENT;
}

static int tree_follow(struct follow *follow, bool *python, bool *pypy, bool *marker)
{
	int count = proc_tree(follow->root, &follow->tree);
	struct worker worker;
	int err = 0;

	follow->tree_count = count > 0 ? count : 0;
	for (int i = 0; i < count && !err; i++) {
		err = worker_inspect(follow->tree[i], &worker);
		if (err == -ESRCH) {
			err = 0;
			continue;
		}
		if (err) {
			log_error("looking at process %d: %s; run as root", follow->tree[i],
				  strerror(-err));
			break;
		}
		*python |= worker.python == PYTHON_CPYTHON;
		*pypy |= worker.python == PYTHON_PYPY;
		*marker |= worker.has_marker;
		err = process_follow(follow, &worker);
	}
	free(follow->tree);
	follow->tree = NULL;
	follow->tree_count = 0;
	return count < 0 ? count : err;
}

/* A server that has just been started is still importing its application. */
#define MARKER_WAIT_PASSES 40
#define MARKER_WAIT_NS	   (50 * MS)

/* Twice at least: what was forked while the first pass armed its parent is found by the second. */
static int root_follow(struct follow *follow)
{
	const struct timespec pause = {.tv_nsec = MARKER_WAIT_NS};
	bool python = false, pypy = false, marker = false;
	int err = tree_follow(follow, &python, &pypy, &marker);

	/* Stacks are had without it; then nobody knows of requests. */
	if (follow->stacks && python && !marker)
		log_warn("no marker in process %d or its children: samples know no request",
			 follow->root);
	marker |= follow->stacks && python;
	for (int pass = 0; pass < MARKER_WAIT_PASSES && !err && python && !marker; pass++) {
		nanosleep(&pause, NULL);
		err = tree_follow(follow, &python, &pypy, &marker);
	}
	if (!err)
		err = tree_follow(follow, &python, &pypy, &marker);
	if (err == -ESRCH)
		log_error("no process has the PID %d: `wsgiscope ps` lists the WSGI workers",
			  follow->root);
	if (err)
		return err;
	return marker ? 0 : root_refuse(follow->root, python, pypy);
}

static int all_follow(struct follow *follow)
{
	pid_t *pids = NULL;
	int count = proc_list(&pids);
	struct worker worker;
	int found = 0, err = 0;

	for (int i = 0; i < count && !err; i++) {
		if (worker_inspect(pids[i], &worker) || !worker.has_marker)
			continue;
		err = process_follow(follow, &worker);
		if (err == -EPROTO)
			err = 0;
		else
			found++;
	}
	free(pids);
	if (count < 0 || err)
		return count < 0 ? count : err;
	if (found)
		return 0;
	log_error("no process with the marker is running: put `from wsgiscope import mark; "
		  "application = mark(application)` into the application and start it");
	return -ENOENT;
}

int follow_open(const struct config *config, struct tracer *tracer, struct attach *attach,
		const struct tracefs *tracefs, struct stacks *stacks, struct follow **out)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	int err;

	if (!follow)
		return -ENOMEM;
	*follow = (struct follow){.tracer = tracer,
				  .attach = attach,
				  .tracefs = tracefs,
				  .stacks = stacks,
				  .root = config->pid};
	err = config->pid ? root_follow(follow) : all_follow(follow);
	if (err) {
		follow_close(follow);
		return err;
	}
	*out = follow;
	return 0;
}

void follow_close(struct follow *follow)
{
	if (!follow)
		return;
	free(follow->processes);
	free(follow);
}

static void child_follow(struct follow *follow, const struct rec_process *record)
{
	struct followed *parent = followed_find(follow, record->h.tgid);
	struct followed *child = followed_find(follow, record->other);
	struct followed like = {0};

	if (parent) {
		parent->has_forked = true;
		like = *parent; /* adding may move the table */
	}
	if (!child)
		child = followed_add(follow, record->other, record->h.tgid);
	if (!child)
		return;
	child->server = like.server;
	child->python_version = like.python_version;
	child->told = like.told;
	child->fd_hidden = like.fd_hidden;
	child->gc_seen = like.gc_seen;
	inspect_schedule(child, record->h.time_ns);
	/* Only a process's main thread hands its perf events on, and only once it has them. */
	attach_process(follow->attach, child->pid,
		       record->h.tid == record->h.tgid && record->h.time_ns > follow->narrowed_ns);
}

static void process_forget(struct follow *follow, pid_t pid)
{
	struct followed *process = followed_find(follow, pid);

	if (!process)
		return;
	/* Closing a process's perf events would take those that its children inherited along. */
	if (!process->has_forked)
		attach_forget(follow->attach, pid);
	*process = follow->processes[--follow->count];
}

void follow_event(struct follow *follow, const struct rec_process *record)
{
	struct followed *process = followed_find(follow, record->h.tgid);

	switch (record->what) {
	case REC_PROCESS_FORK:
		child_follow(follow, record);
		break;
	case REC_PROCESS_EXEC:
		if (process) {
			process->exec_ns = record->h.time_ns;
			inspect_schedule(process, record->h.time_ns);
		}
		break;
	case REC_PROCESS_EXIT:
		process_forget(follow, record->h.tgid);
		break;
	case REC_PROCESS_NEW:
		if (!process)
			process = followed_add(follow, record->h.tgid, 0);
		if (process)
			process->inspect_ns = 1;
		attach_process(follow->attach, record->h.tgid, false);
		break;
	case REC_PROCESS_FD_HIDDEN:
		if (process)
			process->fd_hidden = true;
		tracer_attach_reads(follow->tracer, follow->tracefs);
		break;
	}
}

void follow_tick(struct follow *follow, uint64_t now_ns)
{
	struct worker worker;

	for (size_t i = 0; i < follow->count; i++) {
		struct followed *process = &follow->processes[i];

		if (!process->inspect_ns || process->inspect_ns > now_ns)
			continue;
		if (!worker_inspect(process->pid, &worker)) {
			process->parent = worker.parent;
			followed_update(follow, process, &worker);
		}
		inspect_next(process, now_ns);
	}
}

void follow_narrow(struct follow *follow, uint64_t now_ns)
{
	if (!follow->root || follow->narrowed_ns)
		return;
	for (size_t i = 0; i < follow->count; i++)
		attach_process(follow->attach, follow->processes[i].pid, false);
	follow->narrowed_ns = now_ns;
	if (!attach_narrow(follow->attach))
		log_debug("another process maps the marker: armed by process from now on");
}

bool follow_announce(struct follow *follow, struct rec_worker *out)
{
	for (size_t i = 0; i < follow->count; i++) {
		struct followed *process = &follow->processes[i];

		if (process->said)
			continue;
		process->said = true;
		memset(out, 0, sizeof(*out));
		out->h.size = sizeof(*out);
		out->h.kind = REC_WORKER;
		out->h.version = REC_VERSION;
		out->h.tgid = process->pid;
		out->h.tid = process->pid;
		out->parent = process->parent;
		out->python = process->python_version;
		if (process->server)
			snprintf(out->server, sizeof(out->server), "%s", process->server->name);
		return true;
	}
	return false;
}

bool follow_is_alive(const struct follow *follow, pid_t pid, uint64_t start_ns)
{
	const struct followed *process = followed_find(follow, pid);

	return process && process->exec_ns < start_ns;
}

void follow_say(const struct follow *follow)
{
	const struct followed *root = followed_find(follow, follow->root);
	size_t marked = 0;

	for (size_t i = 0; i < follow->count; i++)
		marked += follow->processes[i].has_marker;
	if (follow->root)
		log_info("attached to %d (%s): %zu processes, %zu with the marker", follow->root,
			 root && root->server ? root->server->name : "server not known",
			 follow->count, marked);
	else
		log_info("attached to all: %zu processes with the marker", marked);
}
