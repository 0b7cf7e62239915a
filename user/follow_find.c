/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is there when tracing begins: the trees of each -p, or every process with the marker; and why
 * a -p is refused. Must not know how a process is told to the kernel side or armed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "followed.h"
#include "log.h"
#include "proc.h"
#include "worker.h"

/* What a tree holds. */
struct tree_found {
	bool python, pypy, marker;
};

/* What is wrong with -p PID, said once. */
static int root_refuse(pid_t pid, const struct tree_found *found)
{
	if (found->pypy && !found->python)
		log_error("process %d runs PyPy: wsgiscope traces CPython", pid);
	else if (!found->python)
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

static int tree_follow(struct follow *follow, const pid_t *tree, int count,
		       struct tree_found *found)
{
	struct worker worker;
	int err = 0;

	for (int i = 0; i < count && !err; i++) {
		err = worker_inspect(tree[i], &worker);
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
		found->marker |= worker.has_marker;
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
		err = tree_follow(follow, tree, counts[i], &found[i]);
		tree += counts[i];
	}
	free(follow->tree);
	follow->tree = NULL;
	follow->tree_count = 0;
	return err;
}

/* A tree of Python without a marker may still be importing its application. */
static bool trees_wait(const struct follow *follow, const struct tree_found found[])
{
	for (int i = 0; i < follow->config->pids.count; i++)
		if (found[i].python && !found[i].marker)
			return true;
	return false;
}

/* Stacks are had without a marker; then nobody knows of requests. */
static void markers_spare(const struct follow *follow, struct tree_found found[])
{
	for (int i = 0; follow->stacks && i < follow->config->pids.count; i++) {
		if (!found[i].python || found[i].marker)
			continue;
		log_warn("no marker in process %d or its children: samples know no request",
			 follow->config->pids.list[i]);
		found[i].marker = true;
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
	int err = trees_follow(follow, found);

	launched_spare(follow, found);
	if (!err)
		markers_spare(follow, found);
	for (int pass = 0; pass < MARKER_WAIT_PASSES && !err && trees_wait(follow, found); pass++) {
		nanosleep(&pause, NULL);
		err = trees_follow(follow, found);
	}
	if (!err)
		err = trees_follow(follow, found);
	for (int i = 0; i < follow->config->pids.count && !err; i++)
		if (!found[i].marker)
			err = root_refuse(follow->config->pids.list[i], &found[i]);
	return err;
}

/* One process that cannot be traced does not keep us from the others; none that can does. */
int follow_scan(struct follow *follow)
{
	pid_t *pids = NULL;
	int count = proc_list(&pids);
	struct worker worker;
	int found = 0, err = 0, last_err = 0;

	for (int i = 0; i < count; i++) {
		if (worker_inspect(pids[i], &worker) || !worker.has_marker)
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
