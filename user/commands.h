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

int cmd_check(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_flame(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);

#endif
