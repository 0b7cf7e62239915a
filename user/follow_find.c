/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is there when tracing begins: the trees of each -p, or every process with the marker; and why
 * a -p is refused. Must not know how a process is told to the kernel side or armed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "followed.h"
#include "log.h"
#include "proc.h"
#include "python/detect.h"
#include "worker.h"

/* What a tree holds. */
struct tree_found {
	bool python, pypy, old, marker;
	uint32_t old_version; /* PY_VERSION_HEX, 0: not known */
	bool young;	      /* a process that may still be importing its application */
};

static void old_refuse(pid_t pid, uint32_t version)
{
	char shown[16] = "2";

	if (version)
		python_version_format(version, shown, sizeof(shown));
	log_error("process %d runs Python %s: wsgiscope traces CPython 3.9 and later", pid, shown);
}

/* What is wrong with -p PID, said once. */
static int root_refuse(pid_t pid, const struct tree_found *found)
{
	if (found->pypy && !found->python)
		log_error("process %d runs PyPy: wsgiscope traces CPython", pid);
	else if (found->old && !found->python)
		old_refuse(pid, found->old_version);
	else if (!found->python)
		log_error("process %d is not a Python process, and has no child that is: "
			  "`wsgiscope ps` lists the WSGI workers",
			  pid);
	else
		log_error("no marker in process %d or its children: leave out --mode marker, or "
			  "restart it by `wsgiscope run`, or with `from wsgiscope import mark; "
			  "application = mark(application)` in the application",
			  pid);
	return -ENOENT;
}

/* The trees of all -p, since what one of them shares with another is not foreign. */
static int trees_read(struct follow *follow, int counts[])
{
	pid_t *tree, *grown;

	follow->tree_count = 0;
	for (int i = 0; i < follow->config->pids.count; i++) {
		counts[i] = proc_tree(follow->config->pids.list[i], &tree);
		if (counts[i] == -ESRCH)
			log_error("no process has the PID %d: `wsgiscope ps` lists the WSGI "
				  "workers",
				  follow->config->pids.list[i]);
		if (counts[i] < 0)
			return counts[i];
		grown = realloc(follow->tree,
				(size_t)(follow->tree_count + counts[i]) * sizeof(*grown));
		if (grown) {
			memcpy(grown + follow->tree_count, tree,
			       (size_t)counts[i] * sizeof(*grown));
			follow->tree = grown;
			follow->tree_count += counts[i];
		}
		free(tree);
		if (!grown)
			return -ENOMEM;
	}
	return 0;
}

/* By then it has imported its application, or has a marker in none. */
#define YOUNG_S 10

static bool is_young(const struct worker *worker)
{
	struct timespec up;

	clock_gettime(CLOCK_BOOTTIME, &up);
	return (double)up.tv_sec - (double)worker->start_ticks / (double)sysconf(_SC_CLK_TCK) <
	       YOUNG_S;
}

static int tree_follow(struct follow *follow, const pid_t *tree, int count,
		       struct tree_found *found)
{
	struct worker worker;
	int err = 0;

	for (int i = 0; i < count && !err; i++) {
		err = process_look(follow, tree[i], &worker);
		if (err == -ESRCH) {
			err = 0;
			continue;
		}
		if (err) {
			log_error("looking at process %d: %s; run as root", tree[i],
				  strerror(-err));
			break;
		}
		found->python |= worker.python == PYTHON_CPYTHON;
		found->pypy |= worker.python == PYTHON_PYPY;
		found->old |= worker.python == PYTHON_OLD;
		if (worker.python == PYTHON_OLD)
			found->old_version = worker.python_version;
		found->marker |= worker.has_marker;
		found->young |= worker.python == PYTHON_CPYTHON && is_young(&worker);
		err = process_follow(follow, &worker);
	}
	return err;
}

/* One pass over every tree. */
static int trees_follow(struct follow *follow, struct tree_found found[])
{
	int counts[CONFIG_PIDS_MAX];
	int err = trees_read(follow, counts);
	const pid_t *tree = follow->tree;

	for (int i = 0; i < follow->config->pids.count && !err; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-*): all counts are read, or err is set */
		err = tree_follow(follow, tree, counts[i], &found[i]);
		tree += counts[i];
	}
	free(follow->tree);
	follow->tree = NULL;
	follow->tree_count = 0;
	return err;
}

/* A tree of Python without a marker may still be importing its application. Where the wire will do,
 * only one that has just been started is waited for. */
static bool trees_wait(const struct follow *follow, const struct tree_found found[])
{
	unsigned int mode = follow->config->mode;

	if (mode == MODE_WIRE || mode == MODE_BOTH || follow->stacks)
		return false;
	for (int i = 0; i < follow->config->pids.count; i++)
		if (found[i].python && !found[i].marker && (mode == MODE_MARKER || found[i].young))
			return true;
	return false;
}

/* Who has no marker is traced by the wire, or gives stacks alone: then nobody knows of requests. */
static void markers_spare(const struct follow *follow, struct tree_found found[])
{
	bool wire = follow->config->mode != MODE_MARKER;

	for (int i = 0; (wire || follow->stacks) && i < follow->config->pids.count; i++) {
		if (!found[i].python || found[i].marker)
			continue;
		found[i].marker = true;
		if (wire)
			continue;
		log_warn("no marker in process %d or its children: samples know no request",
			 follow->config->pids.list[i]);
	}
}

/* What is still to become the server has no marker, and need not be Python. */
static void launched_spare(const struct follow *follow, struct tree_found found[])
{
	for (int i = 0; i < follow->config->pids.count; i++)
		if (follow->config->pids.list[i] == follow->config->launch.pid)
			found[i].marker = true;
}

/* A server that has just been started is still importing its application. */
#define MARKER_WAIT_PASSES 40
#define MARKER_WAIT_NS	   (50 * 1000000)

/* Twice at least: what was forked while the first pass armed its parent is found by the second. */
static int roots_follow(struct follow *follow)
{
	const struct timespec pause = {.tv_nsec = MARKER_WAIT_NS};
	struct tree_found found[CONFIG_PIDS_MAX] = {0};
	int err;

	follow->undecided = true;
	err = trees_follow(follow, found);
	launched_spare(follow, found);
	for (int pass = 0; pass < MARKER_WAIT_PASSES && !err && trees_wait(follow, found); pass++) {
		nanosleep(&pause, NULL);
		err = trees_follow(follow, found);
	}
	follow->undecided = false;
	if (!err)
		err = trees_follow(follow, found);
	if (!err)
		markers_spare(follow, found);
	for (int i = 0; i < follow->config->pids.count && !err; i++)
		if (!found[i].marker)
			err = root_refuse(follow->config->pids.list[i], &found[i]);
	return err;
}

/* Without -p: who has the marker; where the wire was asked for, servers that are known, too. */
static bool is_counted(const struct follow *follow, const struct worker *worker)
{
	unsigned int mode = follow->config->mode;

	return (worker->has_marker && mode != MODE_WIRE) ||
	       (worker->server && worker->python == PYTHON_CPYTHON &&
		(mode == MODE_WIRE || mode == MODE_BOTH));
}

/* One process that cannot be traced does not keep us from the others; none that can does. */
int follow_scan(struct follow *follow)
{
	pid_t *pids = NULL;
	int count = proc_list(&pids);
	struct worker worker;
	int found = 0, err = 0, last_err = 0;

	for (int i = 0; i < count; i++) {
		if (process_look(follow, pids[i], &worker) || !is_counted(follow, &worker))
			continue;
		err = process_follow(follow, &worker);
		if (!err)
			found++;
		else if (err != -EPROTO && err != -ESRCH)
			last_err = err;
	}
	free(pids);
	if (count < 0)
		log_error("reading /proc: %s", strerror(-count));
	return count < 0 ? count : found ? 0 : last_err;
}

int follow_find(struct follow *follow)
{
	return follow_is_all(follow) ? follow_scan(follow) : roots_follow(follow);
}
