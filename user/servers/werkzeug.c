/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Werkzeug's development server, also under "flask run": a thread a connection, all written before
 * close(); the environ has the socket ("werkzeug.socket").
 */
#include "servers/cmdline.h"

static bool werkzeug_match(const struct server_evidence *evidence)
{
	return cmdline_program_is(evidence, "werkzeug") ||
	       (cmdline_program_is(evidence, "flask") && cmdline_has_arg(evidence, "run"));
}

const struct server server_werkzeug = {
	.name = "werkzeug",
	.flags = 0,
	.path_rules = WIRE_PATH_ONE_SLASH,
	.match = werkzeug_match,
};
