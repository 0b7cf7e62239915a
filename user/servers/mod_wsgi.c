/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Apache's mod_wsgi, embedded and daemon mode. Its response ends (chunk terminator, headers after
 * HEAD) behind close(), and the environ shows no descriptor. Recognised by the module, since the
 * process keeps the name of Apache, and the daemon's display-name is free text.
 */
#include <string.h>

#include "servers/cmdline.h"

static bool mod_wsgi_match(const struct server_evidence *evidence)
{
	return evidence->maps(evidence, "mod_wsgi");
}

/* "(wsgi:GROUP)", which display-name=%{GROUP} asks for. */
static bool mod_wsgi_app(const struct server_evidence *evidence, char *out, size_t size)
{
	const char *begin = evidence->cmdline + strlen("(wsgi:"), *end;

	if (strncmp(evidence->cmdline, "(wsgi:", strlen("(wsgi:")) != 0)
		return false;
	end = strchr(begin, ')');
	return end && cmdline_text_copy(begin, end, out, size);
}

const struct server server_mod_wsgi = {
	.name = "mod_wsgi",
	.flags = SERVER_WRITES_LATE | SERVER_FD_HIDDEN,
	.relays = true,
	.path_rules = WIRE_PATH_DOTS | WIRE_PATH_CODED_DOTS | WIRE_PATH_MERGE_SLASHES,
	.match = mod_wsgi_match,
	.app = mod_wsgi_app,
};
