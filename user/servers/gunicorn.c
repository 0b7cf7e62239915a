/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gunicorn: sync, gthread, gevent and eventlet workers write in the thread that iterates, the last
 * byte before close(); the environ has the socket ("gunicorn.socket"). The tornado worker writes
 * all after close(): no write has been seen by then, which keeps the record draining without a
 * flag.
 */
#include <string.h>

#include "servers/cmdline.h"

static bool gunicorn_match(const struct server_evidence *evidence)
{
	/* With setproctitle: "gunicorn: worker [app]" is the whole command line. */
	if (strncmp(evidence->comm, "gunicorn", 8) == 0 ||
	    strncmp(evidence->cmdline, "gunicorn: ", 10) == 0)
		return true;
	return cmdline_program_is(evidence, "gunicorn");
}

/* "gunicorn: worker [app]", "gunicorn: master [app]"; only where setproctitle is installed. */
static bool gunicorn_app(const struct server_evidence *evidence, char *out, size_t size)
{
	const char *begin = strchr(evidence->cmdline, '['), *end;

	if (strncmp(evidence->cmdline, "gunicorn: ", 10) != 0 || !begin)
		return false;
	end = strrchr(++begin, ']');
	return end && cmdline_text_copy(begin, end, out, size);
}

const struct server server_gunicorn = {
	.name = "gunicorn",
	.flags = 0,
	.path_rules = WIRE_PATH_LATIN1,
	.match = gunicorn_match,
	.app = gunicorn_app,
};
