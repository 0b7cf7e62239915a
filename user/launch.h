/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command as our child with a tracer beside it, another child: the command begins once the tracer
 * is attached, gets the signals that we get, and outlives a tracer that fails.
 */
#ifndef WSGISCOPE_LAUNCH_H
#define WSGISCOPE_LAUNCH_H

struct config_launch;

/* As a shell and env(1) have it. */
#define LAUNCH_CANNOT_RUN 126
#define LAUNCH_NOT_FOUND  127

/* A verb that traces what it is given. Its exit status. */
typedef int (*launch_tracer_fn)(int argc, char **argv, const struct config_launch *launch);

struct launch_tracer {
	launch_tracer_fn run;
	int argc;
	char **argv; /* argv[0] is the verb */
};

/* Says why a command cannot be run. The exit status that says it, too. */
int launch_refuse(const char *command, int error);

/*
 * Runs the command beside its tracer. home: where the marker's package is that the command is most
 * likely to load (marker_home.h). The exit status: the command's, 128 + the number of the
 * signal that it died of; EXIT_STATUS_USAGE where the tracer did not understand its options, and
 * nothing was started; LAUNCH_CANNOT_RUN, LAUNCH_NOT_FOUND; EXIT_STATUS_FAILED. Message printed
 * where it is not the command's.
 */
int launch_run(char *const command[], const char *home, const struct launch_tracer *tracer);

#endif
