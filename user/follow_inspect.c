/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a look at a process changes: what the kernel side is told, what is armed, when to look
 * again. Must not know how a process is found. One that has gone is no error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach.h"
#include "config.h"
#include "followed.h"
#include "interpreter.h"
#include "listening.h"
#include "log.h"
#include "marks.h"
#include "proc.h"
#include "servers/server.h"
#include "stacks.h"
#include "worker.h"

#define MS UINT64_C(1000000)

/*
 * After a fork or an exec a process is looked at again when it has had time to become itself. One
 * that has no marker then may still load one: where mappings are watched, that tells; else it is
 * looked at for as long as it lives.
 */
static const uint64_t inspect_after_ns[] = {50 * MS, 200 * MS, 1000 * MS, 5000 * MS};
#define INSPECT_STEPS	(sizeof(inspect_after_ns) / sizeof(inspect_after_ns[0]))
#define INSPECT_IDLE_NS (2000 * MS)
#define PORTS_LOOKS	4
/* In which a server has begun other workers in the place of those that ended all at once. */
#define HANDS_ON_NS (15000 * MS)
/* One that we have started is on its way: its first requests are to be seen. */
#define INSPECT_LAUNCHED_NS (50 * MS)
#define LAUNCH_NS	    (60000 * MS)

static uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool follow_is_all(const struct follow *follow)
{
	return !follow->config->pids.count;
}

bool followed_is_marked(const struct follow *follow, const struct followed *process)
{
	return process->has_marker && follow->config->mode != MODE_WIRE;
}

void process_unsay(struct follow *follow, struct followed *process)
{
	process->said = false;
	follow->unsaid++;
}

struct followed *process_add(struct follow *follow, pid_t pid, pid_t parent)
{
	struct followed *process = calloc(1, sizeof(*process));

	if (!process || pid_table_add(&follow->table, pid, process)) {
		free(process);
		return NULL;
	}
	process->pid = pid;
	process->parent = parent;
	process->marker_slot = -ENOENT;
	process_unsay(follow, process);
	return process;
}

void inspect_schedule(struct followed *process, uint64_t now_ns)
{
	process->step = 0;
	process->since_ns = now_ns;
	process->inspect_ns = now_ns + inspect_after_ns[0];
}

/* False: it has had its time, and is none of ours. */
static bool inspect_next(const struct follow *follow, struct followed *process, uint64_t now_ns)
{
	if (follow->config->launch.pid && !process->has_marker &&
	    now_ns - process->since_ns < LAUNCH_NS) {
		process->inspect_ns = now_ns + INSPECT_LAUNCHED_NS;
		return true;
	}
	if (++process->step < INSPECT_STEPS) {
		process->inspect_ns = process->since_ns + inspect_after_ns[process->step];
		return true;
	}
	process->inspect_ns = process->has_marker ? 0 : now_ns + INSPECT_IDLE_NS;
	return process->has_marker || !follow->watch;
}

/* A master of marked workers serves nothing itself. */
static bool has_marked_child(const struct follow *follow, const struct followed *process)
{
	const struct followed *child;
	size_t at = 0;

	while ((child = pid_table_next(&follow->table, &at)))
		if (child->has_marker && child->parent == process->pid)
			return true;
	return false;
}

/* Some process of such a server is marked: the others hand requests on to it. */
static bool is_relay(const struct follow *follow, const struct followed *process)
{
	const struct followed *other;
	size_t at = 0;

	if (!process->server || !process->server->relays)
		return false;
	while ((other = pid_table_next(&follow->table, &at)))
		if (other->has_marker && other->server == process->server)
			return true;
	return false;
}

/* Where its marked workers have just ended (they are recycled, the server is reloaded), the next
 * are marked, too: watched in between, its requests would be seen twice. */
static bool hands_on(const struct follow *follow, struct followed *process)
{
	uint64_t now_ns = clock_now_ns();

	if (has_marked_child(follow, process) || is_relay(follow, process))
		process->hands_on_ns = now_ns;
	return process->hands_on_ns && now_ns - process->hands_on_ns < HANDS_ON_NS;
}

/*
 * Whether its connections are to be watched. By itself that is so of a process that has no marker
 * and has had the time to load one; once begun it goes on until there is one. Who hands requests on
 * to marked processes has none of its own.
 */
static bool wants_wire(const struct follow *follow, struct followed *process,
		       const struct worker *worker)
{
	unsigned int mode = follow->config->mode;

	if (worker->python != PYTHON_CPYTHON || mode == MODE_MARKER)
		return false;
	/* Without -p: one that is none of ours, as far as is known. */
	if (follow_is_all(follow) && !worker->has_marker && !process->server)
		return false;
	if (mode == MODE_WIRE || (mode == MODE_BOTH && worker->has_marker))
		return true;
	if (hands_on(follow, process))
		return false;
	if (mode == MODE_BOTH)
		return true;
	if (worker->has_marker || follow_is_all(follow) || follow->undecided)
		return false;
	return followed_is_wired(process) || process->step >= INSPECT_STEPS;
}

/* A server that is not known may write late; that it hides the descriptor is seen when it does. */
static unsigned int process_flags(const struct follow *follow, struct followed *process,
				  const struct worker *worker)
{
	unsigned int flags = process->server ? process->server->flags : SERVER_WRITES_LATE;

	if (wants_wire(follow, process, worker))
		flags |= TRACER_WIRE;
	if (worker->has_marker && follow->config->mode == MODE_BOTH)
		flags |= TRACER_MARKED;

	flags |= process->fd_hidden ? SERVER_FD_HIDDEN : 0;
	return process->gc_seen ? flags | TRACER_GC_SEEN : flags;
}

struct port_look {
	struct tracer *tracer;
	bool found;
};

static int port_add(void *context, uint64_t net_inode, uint16_t port)
{
	struct port_look *look = context;

	look->found = true;
	return tracer_listener_add(look->tracer, net_inode, port);
}

/*
 * What it takes to watch a process's connections. Where it listens is wanted for those that are
 * open already; it may not listen yet, and of what comes later accept() tells.
 */
static int wire_prepare(struct follow *follow, struct followed *process)
{
	struct port_look look = {.tracer = follow->tracer};
	int err = tracer_attach_wire(follow->tracer, follow->tracefs);

	if (err || process->ports_looks >= PORTS_LOOKS)
		return err;
	process->ports_looks++;
	err = listening_ports(process->pid, port_add, &look);
	if (look.found)
		process->ports_looks = PORTS_LOOKS;
	if (err && err != -ENOENT && err != -ESRCH)
		log_warn("finding where process %d listens: %s; connections that are open already "
			 "may be missed",
			 process->pid, strerror(-err));
	return 0;
}

/* Tells the kernel side what is new. 0 or -errno, message printed. */
static int process_tell(struct follow *follow, struct followed *process,
			const struct worker *worker)
{
	struct tracer_process told = {.flags = process_flags(follow, process, worker)};
	int err = told.flags & TRACER_WIRE ? wire_prepare(follow, process) : 0;
	struct proc_stat stat;

	if (err)
		return err;

	told.gil_bytes = process->told.gil_bytes;
	memcpy(told.gil, process->told.gil, sizeof(told.gil));
	interpreter_gils(worker, &told);
	if (process->is_told && !memcmp(&told, &process->told, sizeof(told)))
		return 0;
	err = tracer_process_set(follow->tracer, process->pid, &told, process->is_told);
	if (err == -ENOENT)
		return -ESRCH;
	if (err) {
		log_error("following process %d: %s", process->pid, strerror(-err));
		return err;
	}
	/* Its end may have been before this, unseen: nothing else would ever take it out again. */
	if (!process->is_told && proc_stat_read(process->pid, &stat)) {
		tracer_process_forget(follow->tracer, process->pid);
		return -ESRCH;
	}
	if (followed_is_wired(process) != !!(told.flags & TRACER_WIRE))
		process_unsay(follow, process);
	process->told = told;
	process->is_told = true;
	if (process->server && process->server->flags & SERVER_FD_HIDDEN)
		tracer_attach_reads(follow->tracer, follow->tracefs);
	return 0;
}

/* Said once of a file, not of each of its workers. */
static void version_warn(struct follow *follow, const struct worker *worker)
{
	const struct worker_file *file = &worker->marker.file;
	bool wire = follow->config->mode != MODE_MARKER && !follow_is_all(follow);

	if (file->inode != follow->refused.inode || file->device != follow->refused.device)
		log_warn("process %d has a marker of version %u, this program understands %u: "
			 "install the matching package there%s",
			 worker->pid, worker->marker.version, WSGISCOPE_MARKS_VERSION,
			 wire ? "; until then the wire tells of its requests" : "");
	follow->refused = *file;
}

int process_look(struct follow *follow, pid_t pid, struct worker *out)
{
	int err = worker_inspect(pid, out);

	if (err || !out->has_marker || out->marker.version == WSGISCOPE_MARKS_VERSION ||
	    follow->config->mode == MODE_WIRE)
		return err;
	version_warn(follow, out);
	out->has_marker = follow->config->mode == MODE_MARKER;
	return 0;
}

static bool is_ours(const struct follow *follow, pid_t pid)
{
	for (int i = 0; i < follow->tree_count; i++)
		if (follow->tree[i] == pid)
			return true;
	return pid_table_find(&follow->table, pid);
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
			 other.has_marker && other.marker.file.inode == one->marker.file.inode &&
			 other.marker.file.device == one->marker.file.device;
	free(pids);
	return shared;
}

static int marker_arm(struct follow *follow, struct followed *process, const struct worker *worker)
{
	int slot;

	if (!worker->has_marker || follow->config->mode == MODE_WIRE)
		return 0;
	if (worker->marker.version != WSGISCOPE_MARKS_VERSION)
		return -EPROTO; /* said already */
	slot = attach_marker(follow->attach, worker,
			     follow_is_all(follow) || !marker_is_shared(follow, worker));
	if (slot < 0 && slot != -EAGAIN)
		return slot;
	process->marker_slot = slot;
	return 0;
}

/* What the server calls the application, else where it listens: once it does. A master without the
 * marker, too: its workers are forked with what is known of it. */
static void app_update(struct follow *follow, struct followed *process, const struct worker *worker)
{
	char app[REC_APP_MAX] = "";
	bool is_address = !worker->title[0];

	_Static_assert(WORKER_TITLE_BYTES <= REC_APP_MAX, "a title fits");
	if (!is_address)
		memcpy(app, worker->title, sizeof(worker->title));
	else if (process->app[0] || !(worker->has_marker || worker->server) ||
		 listening_address(process->pid, app, sizeof(app)))
		return;
	if (!strcmp(app, process->app))
		return;
	memcpy(process->app, app, sizeof(app));
	process->app_is_address = is_address;
	process_unsay(follow, process);
}

/* Takes over what an inspection found; arms what is new. 0 or -errno, message printed. */
static int followed_update(struct follow *follow, struct followed *process,
			   const struct worker *worker)
{
	int err;

	if ((worker->server && worker->server != process->server) ||
	    (worker->python_version && worker->python_version != process->python_version))
		process_unsay(follow, process);
	if (worker->server)
		process->server = worker->server;
	if (worker->python_version)
		process->python_version = worker->python_version;
	err = attach_process(follow->attach, process->pid);
	/* At once, before its first request; with -p a mark of who is not told would be foreign. */
	if (!err && follow_is_all(follow))
		err = marker_arm(follow, process, worker);
	if (!err && follow->config->collections && worker->python == PYTHON_CPYTHON &&
	    !process->gc_seen)
		process->gc_seen = !attach_python(follow->attach, worker);
	if (!err)
		err = process_tell(follow, process, worker);
	if (!err)
		err = stacks_process(follow->stacks, worker);
	if (err)
		return err;
	if (process->has_marker != worker->has_marker)
		process_unsay(follow, process);
	process->has_marker = worker->has_marker;
	app_update(follow, process, worker);
	return follow_is_all(follow) ? 0 : marker_arm(follow, process, worker);
}

int process_follow(struct follow *follow, const struct worker *worker)
{
	struct followed *process = pid_table_find(&follow->table, worker->pid);
	bool fresh = !process;
	int err;

	if (fresh)
		process = process_add(follow, worker->pid, worker->parent);
	if (!process)
		return -ENOMEM;
	if (fresh)
		process->step = INSPECT_STEPS;
	/* The kernel side begins to follow its forks before its tree is read. */
	err = followed_update(follow, process, worker);
	if (fresh && !process->has_marker)
		process->inspect_ns = 1;
	else if (fresh && (!process->app[0] || process->marker_slot < 0))
		inspect_schedule(process, clock_now_ns()); /* it is still beginning */
	if (err && fresh)
		process_forget(follow, process);
	return err == -ESRCH ? 0 : err;
}

void process_meet(struct follow *follow, pid_t pid)
{
	struct worker worker;
	struct followed *process;
	int err = process_look(follow, pid, &worker);

	if (!err && worker.has_marker)
		err = process_follow(follow, &worker);
	if (err == -ESRCH)
		return;
	/* While it is being loaded not all of it is there to be read: nothing else would tell. */
	process = pid_table_find(&follow->table, pid);
	if (!process)
		process = process_add(follow, pid, worker.parent);
	if (process)
		inspect_schedule(process, clock_now_ns());
}

void inspect_due(struct follow *follow, struct followed *process, uint64_t now_ns)
{
	struct worker worker;

	if (!process_look(follow, process->pid, &worker)) {
		process->parent = worker.parent;
		followed_update(follow, process, &worker);
	}
	if (!inspect_next(follow, process, now_ns))
		process_forget(follow, process);
}

void process_forget(struct follow *follow, struct followed *process)
{
	tracer_process_forget(follow->tracer, process->pid);
	process_gone(follow, process);
}

/* The kernel side has forgotten it by itself: the PID may be another's by now. */
void process_gone(struct follow *follow, struct followed *process)
{
	attach_forget(follow->attach, process->pid, process->has_forked);
	free(pid_table_remove(&follow->table, process->pid));
}
