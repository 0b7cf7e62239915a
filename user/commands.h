/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs. Each takes argv with its own name first and gives back the exit status.
 */
#ifndef WSGISCOPE_COMMANDS_H
#define WSGISCOPE_COMMANDS_H

enum exit_status {
	EXIT_STATUS_DONE = 0,
	EXIT_STATUS_FAILED = 1,
	EXIT_STATUS_USAGE = 2,
};

struct config_launch;

int cmd_check(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_flame(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_mark(int argc, char **argv);
int cmd_unmark(int argc, char **argv);

/* Three of them for a server that run has started, which they trace as -p would; NULL: none. */
int trace_launched(int argc, char **argv, const struct config_launch *launch);
int serve_launched(int argc, char **argv, const struct config_launch *launch);
int flame_launched(int argc, char **argv, const struct config_launch *launch);

#endif
