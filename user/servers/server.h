/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is particular to one WSGI server, as data: one file and one table row each (table.c).
 */
#ifndef WSGISCOPE_SERVER_H
#define WSGISCOPE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "wire_head.h"

struct server_evidence {
	const char *comm;
	const char *cmdline; /* argv joined by NULs; a NUL follows the last byte */
	size_t cmdline_bytes;
	/* true when a file whose base name begins so is mapped */
	bool (*maps)(const struct server_evidence *evidence, const char *prefix);
	const void *maps_context;
};

/* How a server writes, for the attribution in bpf/write.bpf.c. */
enum server_flags {
	/* Writes to the client may come after close() or from another thread: keep the record
	 * draining. Assumed of a server that is not known. */
	SERVER_WRITES_LATE = 1 << 0,
	/* The environ does not show the client's descriptor: the connection is the socket that the
	 * thread read last before the application was called. Assumed of one that is not known. */
	SERVER_FD_HIDDEN = 1 << 1,
};

struct server {
	const char *name;	 /* as in the JSON record; shorter than REC_SERVER_MAX */
	unsigned int flags;	 /* enum server_flags */
	unsigned int path_rules; /* enum wire_path_rules: how it makes a path of a target */
	/* Some of its processes hand requests on to others, which run the application. */
	bool relays;
	bool (*match)(const struct server_evidence *evidence);
	/* What its process title calls the application; false: nothing. NULL: never does. */
	bool (*app)(const struct server_evidence *evidence, char *out, size_t size);
};

/* The first row that matches, or NULL. */
const struct server *server_find(const struct server_evidence *evidence);

/* The row of this name, or NULL; of no name (NULL) there is none. */
const struct server *server_named(const char *name);

#endif
