/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uWSGI: writes in the thread that iterates. Headers of an empty body go out after close(): no
 * write has been seen by then, which keeps the record draining without a flag. Recognised by its
 * own executable (uwsgi, uwsgi-core) or the importable build (pyuwsgi), since the names that a
 * process shows are configurable.
 */
#include "servers/server.h"

static bool uwsgi_match(const struct server_evidence *evidence)
{
	return evidence->maps(evidence, "uwsgi") || evidence->maps(evidence, "pyuwsgi");
}

const struct server server_uwsgi = {
	.name = "uwsgi",
	.flags = 0,
	.relays = true,
	.path_rules = WIRE_PATH_DOTS | WIRE_PATH_KEEP_SCHEME,
	.match = uwsgi_match,
};
