/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns who is traced, over time: what the kernel says of forks, execs, exits and new mappings, and
 * when a process is due for a look. Must not know how probes are armed or what a record of a
 * request looks like. Processes change under our eyes: one that has gone is no error.
 */
#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "attach.h"
#include "config.h"
#include "container.h"
#include "follow.h"
#include "followed.h"
#include "log.h"
#include "proc.h"
#include "servers/server.h"
#include "watch.h"
#include "worker.h"

#define SCAN_EVERY_NS UINT64_C(1000000000) /* at most, where events are lost */
#define TIDY_EVERY_NS UINT64_C(5000000000)

/* Without -p only: who traces one server must not have the others pay, not even a little. */
static void watch_start(struct follow *follow)
{
	int err = watch_open(&follow->watch);

	if (err)
		log_warn("watching what is mapped: %s; a marker file that no process has loaded "
			 "until now is not seen",
			 strerror(-err));
}

int follow_open(const struct config *config, struct tracer *tracer, struct attach *attach,
		const struct tracefs *tracefs, struct stacks *stacks, struct follow **out)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	int err;

	if (!follow)
		return -ENOMEM;
	*follow = (struct follow){
		.tracer = tracer,
		.attach = attach,
		.tracefs = tracefs,
		.stacks = stacks,
		.config = config,
	};
	if (follow_is_all(follow))
		watch_start(follow);
	err = follow_find(follow);
	if (err) {
		follow_close(follow);
		return err;
	}
	*out = follow;
	return 0;
}

void follow_close(struct follow *follow)
{
	struct followed *process;
	size_t at = 0;

	if (!follow)
		return;
	watch_close(follow->watch);
	while ((process = pid_table_next(&follow->table, &at)))
		free(process);
	pid_table_free(&follow->table);
	free(follow);
}

int follow_fd(const struct follow *follow)
{
	return follow->watch ? watch_fd(follow->watch) : -1;
}

/* A mapping by someone: what looks like a marker is looked at more closely. */
static void mapping_note(void *context, pid_t pid, const char *name)
{
	if (worker_name_is_marker(name))
		process_meet(context, pid);
}

void follow_watch(struct follow *follow)
{
	if (follow->watch && !watch_read(follow->watch, mapping_note, follow))
		follow->rescan = true;
}

static void child_follow(struct follow *follow, const struct rec_process *record)
{
	struct followed *parent = pid_table_find(&follow->table, record->h.tgid);
	struct followed *child = pid_table_find(&follow->table, record->other);

	if (!child)
		child = process_add(follow, record->other, record->h.tgid);
	if (!child)
		return;
	inspect_schedule(child, record->h.time_ns);
	if (parent) {
		parent->has_forked = true;
		child->server = parent->server;
		child->python_version = parent->python_version;
		memcpy(child->app, parent->app, sizeof(child->app));
		child->app_is_address = parent->app_is_address;
		child->told = parent->told;
		child->is_told = parent->is_told;
		child->fd_hidden = parent->fd_hidden;
		child->gc_seen = parent->gc_seen;
		child->has_marker = parent->has_marker;
		child->ports_looks = parent->ports_looks;
		child->marker_slot = parent->marker_slot;
	}
	/* Only a process's main thread hands its perf events on, and only once it has them. */
	attach_child(follow->attach, record->h.tgid, child->pid,
		     record->h.tid == record->h.tgid && record->h.time_ns > follow->narrowed_ns);
}

static void exec_note(struct followed *process, const struct rec_process *record)
{
	process->exec_ns = record->h.time_ns;
	process->has_marker = false;
	process->marker_slot = -ENOENT;
	process->gc_seen = false; /* of the Python before */
	process->app[0] = '\0';
	inspect_schedule(process, record->h.time_ns);
}

void follow_event(struct follow *follow, const struct rec_process *record)
{
	struct followed *process = pid_table_find(&follow->table, record->h.tgid);

	switch (record->what) {
	case REC_PROCESS_FORK:
		child_follow(follow, record);
		break;
	case REC_PROCESS_EXEC:
		if (process)
			exec_note(process, record);
		break;
	case REC_PROCESS_EXIT:
		if (process)
			process_gone(follow, process);
		break;
	case REC_PROCESS_NEW:
		if (!process)
			process_add(follow, record->h.tgid, 0);
		process_meet(follow, record->h.tgid);
		break;
	case REC_PROCESS_FD_HIDDEN:
		if (process)
			process->fd_hidden = true;
		tracer_attach_reads(follow->tracer, follow->tracefs);
		break;
	}
}

/* What the ring had no room for: processes that ended, and without -p those that came. */
void follow_resync(struct follow *follow, source_record_fn fn, void *context)
{
	struct followed *process;
	struct proc_stat stat;
	size_t at = 0;

	while ((process = pid_table_next(&follow->table, &at))) {
		struct rec_process gone = {
			.h = {sizeof(gone), REC_PROCESS, REC_VERSION, process->pid, process->pid},
			.what = REC_PROCESS_EXIT,
		};

		if (proc_stat_read(process->pid, &stat) != -ESRCH)
			continue;
		process_forget(follow, process);
		fn(context, &gone, sizeof(gone));
	}
	follow->rescan |= follow_is_all(follow);
}

static bool slot_is_used(void *context, int slot)
{
	const struct follow *follow = context;
	const struct followed *process;
	size_t at = 0;

	while ((process = pid_table_next(&follow->table, &at)))
		if (process->marker_slot == slot)
			return true;
	return false;
}

void follow_tick(struct follow *follow, uint64_t now_ns)
{
	struct followed *process;
	size_t at = 0;

	if (follow->rescan && now_ns - follow->scan_ns > SCAN_EVERY_NS) {
		log_debug("events were lost: looking at all processes");
		follow->rescan = false;
		follow->scan_ns = now_ns;
		follow_scan(follow);
	}
	if (follow_is_all(follow) && now_ns - follow->tidy_ns > TIDY_EVERY_NS) {
		follow->tidy_ns = now_ns;
		attach_tidy(follow->attach, slot_is_used, follow);
	}
	while ((process = pid_table_next(&follow->table, &at)))
		if (process->inspect_ns && process->inspect_ns <= now_ns)
			inspect_due(follow, process, now_ns);
}

void follow_narrow(struct follow *follow, uint64_t now_ns)
{
	const struct followed *process;
	size_t at = 0;

	if (follow_is_all(follow) || follow->narrowed_ns)
		return;
	while ((process = pid_table_next(&follow->table, &at)))
		attach_process(follow->attach, process->pid);
	follow->narrowed_ns = now_ns;
	if (!attach_narrow(follow->attach))
		log_debug("another process maps the marker: armed by process from now on");
}

static void worker_fill(const struct follow *follow, const struct followed *process,
			struct rec_worker *out)
{
	memset(out, 0, sizeof(*out));
	out->h.size = sizeof(*out);
	out->h.kind = REC_WORKER;
	out->h.version = REC_VERSION;
	out->h.tgid = process->pid;
	out->h.tid = process->pid;
	out->parent = process->parent;
	out->python = process->python_version;
	out->flags = (followed_is_marked(follow, process) ? REC_WORKER_MARKER : 0) |
		     (followed_is_wired(process) ? REC_WORKER_WIRE : 0) |
		     (process->app_is_address ? REC_WORKER_APP_ADDRESS : 0);
	memcpy(out->app, process->app, sizeof(out->app));
	if (process->server)
		snprintf(out->server, sizeof(out->server), "%s", process->server->name);
}

bool follow_announce(struct follow *follow, struct rec_worker *out)
{
	struct followed *process;
	size_t at = 0;

	if (!follow->unsaid)
		return false;
	while ((process = pid_table_next(&follow->table, &at))) {
		if (process->said)
			continue;
		process->said = true;
		follow->unsaid--;
		worker_fill(follow, process, out);
		return true;
	}
	follow->unsaid = 0;
	return false;
}

bool follow_is_alive(const struct follow *follow, pid_t pid, uint64_t start_ns)
{
	const struct followed *process = pid_table_find(&follow->table, pid);

	return process && process->exec_ns < start_ns;
}

/* By what the processes are traced that are. */
struct modes {
	size_t marker, wire, both;
};

static struct modes modes_count(const struct follow *follow)
{
	const struct followed *process;
	struct modes modes = {0};
	size_t at = 0;

	while ((process = pid_table_next(&follow->table, &at))) {
		bool marked = followed_is_marked(follow, process);
		bool wired = followed_is_wired(process);

		modes.both += marked && wired;
		modes.marker += marked && !wired;
		modes.wire += wired && !marked;
	}
	return modes;
}

size_t follow_count(const struct follow *follow)
{
	struct modes modes = modes_count(follow);

	return modes.marker + modes.wire + modes.both;
}

#define MODES_BYTES 96

/* "2 by the marker, 1 by the wire" */
static void modes_print(const struct modes *modes, char out[MODES_BYTES])
{
	const struct {
		size_t count;
		const char *by;
	} rows[] = {
		{modes->marker, "the marker"}, {modes->wire, "the wire"}, {modes->both, "both"}};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].count)
			used += (size_t)snprintf(out + used, MODES_BYTES - used, "%s%zu by %s",
						 used ? ", " : "", rows[i].count, rows[i].by);
	if (!used)
		snprintf(out, MODES_BYTES, "none with the marker yet");
}

#define SERVER_BYTES 160

/* "gunicorn", or of a process in a container "gunicorn, 7 in web-1". */
static void server_print(const struct followed *process, pid_t pid, char out[SERVER_BYTES])
{
	const struct server *server = process ? process->server : NULL;
	struct container container;
	size_t used;

	used = (size_t)snprintf(out, SERVER_BYTES, "%s",
				server ? server->name : "server not known");
	if (!container_find(pid, &container))
		snprintf(out + used, SERVER_BYTES - used, ", %d in %s", container.pid,
			 *container.name ? container.name : "its container");
}

void follow_say(const struct follow *follow)
{
	const struct config_pids *pids = &follow->config->pids;
	struct modes modes = modes_count(follow);
	size_t counted = follow_count(follow);
	char text[MODES_BYTES], server[SERVER_BYTES];

	modes_print(&modes, text);
	if (!pids->count && !counted) {
		log_info("attached to all: 0 processes with the marker, waiting for one");
		return;
	}
	if (!pids->count) {
		log_info("attached to all: %zu processes, %s", counted, text);
		return;
	}
	server_print(pid_table_find(&follow->table, pids->list[0]), pids->list[0], server);
	if (pids->count > 1)
		log_info("attached to %d processes given and their children: %zu, %s", pids->count,
			 follow->table.count, text);
	else
		log_info("attached to %d (%s): %zu processes, %s", pids->list[0], server,
			 follow->table.count, text);
}
