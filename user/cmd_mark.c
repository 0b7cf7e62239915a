/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark, unmark: the marker into live workers and out again. Owns which processes are asked, what is
 * shown and the exit status.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "config.h"
#include "escape.h"
#include "log.h"
#include "marker_home.h"
#include "options.h"
#include "proc.h"
#include "remote_mark.h"
#include "show_options.h"
#include "worker.h"

#define TIMEOUT_DEFAULT_S 30
#define MS		  UINT64_C(1000000)

/* clang-format off */
static const struct option_row rows[] = {
	{.name = "pid", .letter = 'p', .type = OPTION_PID,
	 .offset = offsetof(struct config, pid), .argument = "PID", .required = true,
	 .help = "a worker, or a master: all its workers, and those to come"},
	{.name = "yes", .type = OPTION_FLAG, .offset = offsetof(struct config, yes),
	 .help = "do it: the running program is changed"},
	{.name = "timeout", .type = OPTION_SECONDS,
	 .offset = offsetof(struct config, timeout_s), .argument = "SECONDS",
	 .min = 0.1, .max = 3600, .help = "how long a worker may take to come to it (30)"},
	ROW_MARKER, {0},
};
/* clang-format on */

static const struct option_command mark_command = {
	.verb = "mark",
	.summary = "Puts the marker around the application of live workers: Python 3.14 and later.",
	.rows = rows,
};

static const struct option_command unmark_command = {
	.verb = "unmark",
	.summary = "Takes away what mark has put into live workers.",
	.rows = rows,
};

static const struct config defaults = {.timeout_s = TIMEOUT_DEFAULT_S};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	interrupted = number;
}

/* Who was asked. */
struct asked {
	struct remote_mark *marks;
	int count;
	int done, failed;
};

static void outcome_print(struct asked *asked, const struct remote_mark *mark)
{
	static const char *const words[] = {
		[REMOTE_MARK_DONE] = "ok",
		[REMOTE_MARK_NONE] = "none",
		[REMOTE_MARK_FAILED] = "FAILED",
		[REMOTE_MARK_GONE] = "gone",
	};

	asked->done += mark->state == REMOTE_MARK_DONE;
	asked->failed += mark->state == REMOTE_MARK_FAILED;
	printf("%7d  %-6s  ", mark->pid, words[mark->state]);
	escape_sentence(stdout, mark->text);
	if (mark->state == REMOTE_MARK_DONE)
		printf(" (after %.0f ms)", (double)(mark->done_ns - mark->asked_ns) / 1e6);
	putchar('\n');
	fflush(stdout);
}

/* The CPython processes of the tree, asked one after the other. 0 or -errno, message printed. */
static int tree_ask(const struct config *config, const char *action, const char *home,
		    struct asked *asked)
{
	pid_t *pids;
	int count = proc_tree(config->pid, &pids), err = count < 0 ? count : 0;
	struct worker worker;

	if (!err)
		asked->marks = calloc((size_t)count, sizeof(*asked->marks));
	if (!err && !asked->marks)
		err = -ENOMEM;
	for (int i = 0; !err && i < count && !interrupted; i++) {
		int found = worker_inspect(pids[i], &worker);

		if (found == -ESRCH || (!found && worker.python != PYTHON_CPYTHON))
			continue;
		err = found;
		if (!err)
			remote_mark_ask(&worker, action, home, &asked->marks[asked->count++]);
	}
	if (count >= 0)
		free(pids);
	if (err)
		log_error("process %d: %s%s", config->pid, strerror(-err),
			  err == -EACCES || err == -EPERM ? "; run as root" : "");
	else if (!asked->count)
		log_error("process %d is not CPython, nor is any of its descendants", config->pid);
	return err ? err : asked->count ? 0 : -ENOENT;
}

/* Until all have answered, or the time is over; what has not been taken up then is taken back. */
static void answers_await(struct asked *asked, double timeout_s)
{
	const struct timespec pause = {.tv_nsec = (long)(5 * MS)};
	uint64_t left_ms = (uint64_t)(timeout_s * 1000);
	bool waiting = true;

	while (waiting) {
		bool over = interrupted || !left_ms;

		waiting = false;
		for (int i = 0; i < asked->count; i++) {
			struct remote_mark *mark = &asked->marks[i];

			if (over)
				remote_mark_withdraw(mark);
			if (!remote_mark_poll(mark)) {
				waiting = true;
			} else if (!mark->shown) {
				mark->shown = true;
				outcome_print(asked, mark);
			}
		}
		left_ms -= left_ms < 5 ? left_ms : 5;
		if (waiting)
			nanosleep(&pause, NULL);
	}
}

static int mark_run(const struct config *config, const char *action)
{
	const struct sigaction act = {.sa_handler = interrupt};
	struct asked asked = {0};
	char home[PATH_MAX];
	int err = marker_home_find(config->marker, home, sizeof(home));

	/* A request that waits must not be left behind by Ctrl-C. */
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (!err)
		err = tree_ask(config, action, home, &asked);
	if (asked.count)
		answers_await(&asked, config->timeout_s);
	free(asked.marks);
	if (err || interrupted || asked.failed)
		return EXIT_STATUS_FAILED;
	if (asked.done)
		return EXIT_STATUS_DONE;
	log_error("no application was found in process %d or its children", config->pid);
	return EXIT_STATUS_FAILED;
}

static int mark_main(const struct option_command *command, int argc, char **argv)
{
	struct config config = defaults;
	int status;

	if (!options_parse(command, argc, argv, &config, &status))
		return status;
	if (config.yes)
		return mark_run(&config, command->verb);
	log_error("%s runs code of ours inside process %d and its children; if that is what you "
		  "want: --yes",
		  command->verb, config.pid);
	return EXIT_STATUS_USAGE;
}

int cmd_mark(int argc, char **argv)
{
	return mark_main(&mark_command, argc, argv);
}

int cmd_unmark(int argc, char **argv)
{
	return mark_main(&unmark_command, argc, argv);
}
