/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Django's runserver: wsgiref under it, a thread a connection, all written before close(). Project
 * scripts are called what they like, manage.py by habit; the verb tells.
 */
#include "servers/cmdline.h"

static bool runserver_match(const struct server_evidence *evidence)
{
	return (cmdline_program_is(evidence, "manage") || cmdline_program_is(evidence, "django")) &&
	       cmdline_has_arg(evidence, "runserver");
}

const struct server server_runserver = {
	.name = "runserver",
	.flags = 0,
	.path_rules = WIRE_PATH_ONE_SLASH | WIRE_PATH_KEEP_SCHEME | WIRE_PATH_KEEP_FRAGMENT,
	.match = runserver_match,
};
