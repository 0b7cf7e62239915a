/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waitress: the task's thread writes until the socket is full, then the main thread, long after
 * close(). Recognised when started as waitress-serve or python -m waitress; a script that calls
 * waitress.serve() looks like any other script.
 */
#include "servers/cmdline.h"

static bool waitress_match(const struct server_evidence *evidence)
{
	return cmdline_program_is(evidence, "waitress");
}

const struct server server_waitress = {
	.name = "waitress",
	.flags = SERVER_WRITES_LATE,
	.path_rules = WIRE_PATH_ONE_SLASH,
	.match = waitress_match,
};
