/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wsgiref.simple_server: one thread, all written before close(); wsgi.input has the descriptor.
 * Recognised when started as python -m wsgiref.simple_server.
 */
#include "servers/cmdline.h"

static bool wsgiref_match(const struct server_evidence *evidence)
{
	return cmdline_program_is(evidence, "wsgiref");
}

const struct server server_wsgiref = {
	.name = "wsgiref",
	.flags = 0,
	.path_rules = WIRE_PATH_ONE_SLASH | WIRE_PATH_KEEP_SCHEME | WIRE_PATH_KEEP_FRAGMENT,
	.match = wsgiref_match,
};
