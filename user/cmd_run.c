/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run: a server with the marker put around its application, and, if asked for, a tracer beside it.
 * Owns the command line, which is three: run's options, the tracer's, and the server's command.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "interpreter_flags.h"
#include "launch.h"
#include "log.h"
#include "marker_home.h"
#include "options.h"
#include "show_options.h"

#define WORDS_MAX 256 /* of the options together */

static const struct option_row run_rows[] = {
	{.name = "trace",
	 .type = OPTION_FLAG,
	 .offset = offsetof(struct config, run_trace),
	 .help = "also trace it; further options are those of trace"},
	{.name = "serve",
	 .type = OPTION_FLAG,
	 .offset = offsetof(struct config, run_serve),
	 .help = "also serve its metrics; further options are those of serve"},
	{.name = "flame",
	 .type = OPTION_FLAG,
	 .offset = offsetof(struct config, run_flame),
	 .help = "also profile it; further options are those of flame"},
	ROW_MARKER,
	{0},
};

static const struct option_command run_command = {
	.verb = "run",
	.summary = "Runs a WSGI server with the marker around its application: run -- COMMAND ...",
	.rows = run_rows,
};

/* A command line, taken apart. */
struct run {
	struct config config;
	struct launch_tracer tracer; /* run NULL: none */
	char *own[WORDS_MAX + 1], *others[WORDS_MAX + 1];
	int own_count, other_count;
	char **command;
};

/* The modes, in which run's further options are another verb's. */
static const struct mode {
	const char *option;
	char *verb;
	launch_tracer_fn run;
} modes[] = {
	{"--trace", "trace", trace_launched},
	{"--serve", "serve", serve_launched},
	{"--flame", "flame", flame_launched},
};

static const struct mode *mode_find(const char *word)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(word, modes[i].option))
			return &modes[i];
	return NULL;
}

/* How many words an option of run's own takes, 0: it is none. */
static int own_words(const char *word)
{
	static const char *const alone[] = {"-h", "--help"};

	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++)
		if (!strcmp(word, alone[i]))
			return 1;
	if (!strcmp(word, "--marker"))
		return 2;
	return mode_find(word) || !strncmp(word, "--marker=", 9);
}

/* The place of the command: behind "--", or the first word where that is no option. */
static int command_find(int argc, char **argv)
{
	int at = 1;

	if (argc > 1 && argv[1][0] != '-')
		return 1;
	while (at < argc && strcmp(argv[at], "--"))
		at++;
	return at < argc ? at + 1 : argc;
}

/* Which words are run's and which the tracer's. Without a tracer all are run's, to be judged. */
static bool words_part(struct run *run, int end, char **argv)
{
	const struct mode *mode = NULL;

	for (int i = 1; i < end; i++) {
		const struct mode *other = mode_find(argv[i]);

		if (mode && other && mode != other) {
			log_error("%s and %s: one of them at a time", mode->option, other->option);
			return false;
		}
		mode = other ? other : mode;
	}
	run->own[run->own_count++] = argv[0];
	run->others[run->other_count++] = mode ? mode->verb : argv[0];
	for (int i = 1; i < end; i++) {
		int words = own_words(argv[i]);

		if (!mode || words)
			run->own[run->own_count++] = argv[i];
		else
			run->others[run->other_count++] = argv[i];
		if (words == 2 && i + 1 < end)
			run->own[run->own_count++] = argv[++i];
	}
	if (mode)
		run->tracer = (struct launch_tracer){mode->run, run->other_count, run->others};
	return true;
}

static bool run_parse(struct run *run, int argc, char **argv, int *status)
{
	int at = command_find(argc, argv), end = at;

	*status = EXIT_STATUS_USAGE;
	if (end > 1 && !strcmp(argv[end - 1], "--"))
		end--;
	if (end >= WORDS_MAX) {
		log_error("run: more than %d options", WORDS_MAX);
		return false;
	}
	if (!words_part(run, end, argv) ||
	    !options_parse(&run_command, run->own_count, run->own, &run->config, status))
		return false;
	if (at >= argc) {
		log_error("run needs a command: wsgiscope run [options] -- gunicorn shop:app");
		*status = EXIT_STATUS_USAGE;
		return false;
	}
	run->command = argv + at;
	return true;
}

/* The hook first on PYTHONPATH; an empty one is none, and must not become a directory. */
static int environment_set(const char *home)
{
	const char *before = getenv("PYTHONPATH");
	char *path;
	int err = 0;

	if (asprintf(&path, "%s/wsgiscope/auto%s%s", home, before && *before ? ":" : "",
		     before ? before : "") < 0)
		return -ENOMEM;
	if (setenv("PYTHONPATH", path, 1))
		err = -errno;
	free(path);
	return err;
}

/* What keeps the hook out of the command's Python is said, and the command is run all the same. */
static void interpreter_check(const char *path, char *const command[])
{
	char flag = interpreter_flag_find(path, command);

	if (flag == 'S')
		log_warn("%s starts Python with -S, without its site module: the application is "
			 "not marked unless its code does it",
			 command[0]);
	else if (flag)
		log_warn("%s starts Python with -%c, which ignores PYTHONPATH: the application is "
			 "not marked unless its code does it",
			 command[0], flag);
}

int cmd_run(int argc, char **argv)
{
	struct run run = {0};
	char home[PATH_MAX], path[PATH_MAX];
	int status, err;

	if (!run_parse(&run, argc, argv, &status))
		return status;
	if (marker_home_find(run.config.marker, home, sizeof(home)))
		return EXIT_STATUS_FAILED;
	err = program_find(run.command[0], path, sizeof(path));
	if (err)
		return launch_refuse(run.command[0], -err);
	interpreter_check(path, run.command);
	err = environment_set(home);
	if (err) {
		log_error("setting PYTHONPATH: %s", strerror(-err));
		return EXIT_STATUS_FAILED;
	}
	if (run.tracer.run)
		return launch_run(run.command, home, &run.tracer);
	execvp(run.command[0], run.command);
	return launch_refuse(run.command[0], errno);
}
