/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: whether a process and its descendants can be traced, and what they lack. The process given
 * may be a master that serves nothing itself, so the whole tree is looked at. Must not know: BPF,
 * how a runtime, a server or a marker is recognised (worker.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "marks.h"
#include "proc.h"
#include "python/detect.h"
#include "servers/server.h"
#include "worker.h"

#define ADD_MARKER "in the application: from wsgiscope import mark; application = mark(application)"

/* What is sought in a tree. */
struct tree_search {
	bool (*matches)(const struct worker *worker);
	struct worker first; /* that matches, parents first */
	int matching;
	int inspected;
	int unreadable;
};

static bool is_python(const struct worker *worker)
{
	return worker->python != PYTHON_NONE;
}

static bool is_cpython(const struct worker *worker)
{
	return worker->python == PYTHON_CPYTHON;
}

static bool has_server(const struct worker *worker)
{
	return worker->server != NULL;
}

static bool has_marker(const struct worker *worker)
{
	return worker->has_marker;
}

/* Goes through pid's tree. 0, -ESRCH, -errno. */
static int tree_search(struct tree_search *search, pid_t pid)
{
	struct worker worker;
	pid_t *pids;
	int count, err;

	count = proc_tree(pid, &pids);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		err = worker_inspect(pids[i], &worker);
		if (err == -ESRCH)
			continue;
		search->inspected++;
		if (err) {
			search->unreadable++;
		} else if (search->matches(&worker)) {
			if (!search->matching++)
				search->first = worker;
		}
	}
	free(pids);
	return search->inspected ? 0 : -ESRCH;
}

/* As tree_search(); where that fails or may not look, the result is set and false handed back. */
static bool tree_searched(struct tree_search *search, const struct check_context *context,
			  struct check_result *result)
{
	pid_t pid = context->pid;
	int err;

	if (!context->process) {
		check_set(result, CHECK_WARN, NULL, "not tried: no process");
		return false;
	}
	err = tree_search(search, pid);
	if (err) {
		check_set(result, CHECK_FAIL, NULL, "process %d: %s", pid, strerror(-err));
		return false;
	}
	if (!search->matching && search->unreadable) {
		check_set(result, CHECK_FAIL, "run as root, or as the user of that process",
			  "%d of %d processes cannot be read", search->unreadable,
			  search->inspected);
		return false;
	}
	return true;
}

static void process_run(struct check_context *context, struct check_result *result)
{
	struct proc_stat stat;
	pid_t *pids;
	int count = -ESRCH;
	int err = proc_stat_read(context->pid, &stat);

	if (!err) {
		count = proc_tree(context->pid, &pids);
		err = count < 0 ? count : 0;
	}
	if (err) {
		check_set(result, CHECK_FAIL, "wsgiscope ps lists the workers", "%d: %s",
			  context->pid, strerror(-err));
		return;
	}
	free(pids);
	context->process = true;
	check_set(result, CHECK_OK, NULL, "%d (%s), threads %d, descendants %d", context->pid,
		  stat.comm, stat.threads, count - 1);
}

static void python_run(struct check_context *context, struct check_result *result)
{
	struct tree_search search = {.matches = is_cpython};
	struct tree_search any = {.matches = is_python};
	char version[40] = "of a version that it does not say";

	if (!tree_searched(&search, context, result))
		return;
	if (search.matching) {
		if (search.first.python_version)
			python_version_format(search.first.python_version, version,
					      sizeof(version));
		check_set(result, CHECK_OK, NULL, "CPython %s in %d of %d processes", version,
			  search.matching, search.inspected);
		return;
	}
	if (!tree_searched(&any, context, result))
		return;
	if (any.matching)
		check_set(result, CHECK_FAIL, "run the application on CPython 3.9 or later",
			  "%s: its requests cannot be followed",
			  any.first.python == PYTHON_PYPY ? "PyPy" : "a Python of before 3.7");
	else
		check_set(result, CHECK_FAIL, "wsgiscope ps lists the workers",
			  "no Python runtime in %d or its descendants", context->pid);
}

static void server_run(struct check_context *context, struct check_result *result)
{
	struct tree_search search = {.matches = has_server};

	if (!tree_searched(&search, context, result))
		return;
	if (search.matching)
		check_set(result, CHECK_OK, NULL, "%s in %d of %d processes",
			  search.first.server->name, search.matching, search.inspected);
	else
		check_set(result, CHECK_WARN, NULL,
			  "not known: late writes and hidden connections are allowed for");
}

static void marker_run(struct check_context *context, struct check_result *result)
{
	struct tree_search search = {.matches = has_marker};
	const struct worker_marker *marker = &search.first.marker;

	if (!tree_searched(&search, context, result))
		return;
	if (!search.matching)
		check_set(result, CHECK_WARN, ADD_MARKER,
			  "none in %d or its descendants: traced by the wire, with less to see",
			  context->pid);
	else if (marker->version != WSGISCOPE_MARKS_VERSION)
		check_set(result, CHECK_FAIL,
			  "install the same release of both, restart the workers",
			  "version %u in process %d, this program knows %d", marker->version,
			  search.first.pid, WSGISCOPE_MARKS_VERSION);
	else if (!marker->start.offset || !marker->block.offset || !marker->end.offset)
		check_set(result, CHECK_FAIL, "install the wsgiscope package anew",
			  "some of its marks are missing in process %d", search.first.pid);
	else
		check_set(result, CHECK_OK, NULL, "version %u in %d of %d processes",
			  marker->version, search.matching, search.inspected);
}

const struct check check_process[] = {
	{"process", process_run},
	{"python", python_run},
	{"server", server_run},
	{"marker", marker_run},
	{0},
};
