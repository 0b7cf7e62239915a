/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the list of servers. To add one: a file beside this one that defines its struct server, and
 * its name here. What is mapped says more than what a process calls itself, so those rows go first.
 */
#include <string.h>

#include "servers/server.h"

#include <string.h>

#define SERVERS(row)                                                                               \
	row(mod_wsgi) row(uwsgi) row(gunicorn) row(waitress) row(cheroot) row(werkzeug)            \
		row(runserver) row(wsgiref)

#define SERVER_DECLARE(name) extern const struct server server_##name;
#define SERVER_POINTER(name) &server_##name,

SERVERS(SERVER_DECLARE)

static const struct server *const servers[] = {SERVERS(SERVER_POINTER)};

const struct server *server_find(const struct server_evidence *evidence)
{
	for (size_t i = 0; i < sizeof(servers) / sizeof(*servers); i++)
		if (servers[i]->match(evidence))
			return servers[i];
	return NULL;
}

const struct server *server_named(const char *name)
{
	for (size_t i = 0; name && i < sizeof(servers) / sizeof(*servers); i++)
		if (!strcmp(servers[i]->name, name))
			return servers[i];
	return NULL;
}
