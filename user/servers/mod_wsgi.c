/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Apache's mod_wsgi, embedded and daemon mode. Its response ends (chunk terminator, headers after
 * HEAD) behind close(), and the environ shows no descriptor. Recognised by the module, since the
 * process keeps the name of Apache, and the daemon's display-name is free text.
 */
#include "servers/server.h"

static bool mod_wsgi_match(const struct server_evidence *evidence)
{
	return evidence->maps(evidence, "mod_wsgi");
}

const struct server server_mod_wsgi = {
	.name = "mod_wsgi",
	.flags = SERVER_WRITES_LATE | SERVER_FD_HIDDEN,
	.match = mod_wsgi_match,
};
