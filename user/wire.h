/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns of connections to requests: where there is no marker, a request is what HTTP (or the uwsgi
 * protocol, or that of mod_wsgi's daemons) on the socket shows. The kernel side cuts a connection
 * into turns without reading heads; here heads are read, turns joined and split. What cannot be
 * told is counted, never guessed. All bytes are a client's: hostile. Knows no sink and no BPF.
 */
#ifndef WSGISCOPE_WIRE_H
#define WSGISCOPE_WIRE_H

#include <stdint.h>

struct event;
struct server;
struct wire;

/* Who uses it. */
struct wire_user {
	/* A request: an event of kind REQUEST whose turn.made is set; borrowed, valid until it
	 * returns. 0 or -errno, which is handed on. */
	int (*request)(void *context, const struct event *event);
	/* What is particular to the server that a process runs; NULL: it is not known. */
	const struct server *(*server)(void *context, uint32_t pid);
	void *context;
};

/* What became of bytes that no request came of. Names in wire_losses(). */
enum wire_loss {
	WIRE_LOSS_TLS,	    /* connections: encrypted */
	WIRE_LOSS_HTTP2,    /* connections */
	WIRE_LOSS_UPGRADED, /* connections that became something else, as WebSocket */
	WIRE_LOSS_FOREIGN,  /* turns whose first bytes begin no request */
	WIRE_LOSS_PARTIAL,  /* requests that broke off before their head was whole */
	WIRE_LOSS_STRAY,    /* turns that answered what was not seen */
	WIRE_LOSS_UNSPLIT,  /* answers that could not be told from the one before */
	WIRE_LOSS_FULL,	    /* requests given up: too many at once */
	WIRE_LOSS_OPEN,	    /* requests that had been answered in part at the end */
	WIRE_LOSSES,
};

/* 0 or -ENOMEM. user is copied. */
int wire_new(const struct wire_user *user, struct wire **out);
void wire_free(struct wire *wire); /* NULL is fine */

/*
 * Takes in an event: of kind WIRE; a turn, which is of kind REQUEST; any other request, which may
 * be one that has been watched until the marker told of it; a process's exec or exit. Hands out the
 * requests that are whole by it. 0, -ENOMEM, what wire_user.request returned.
 */
int wire_event(struct wire *wire, const struct event *event);

/* There will be no more events: hands out what has an answer that may be whole, counts the rest. */
int wire_end(struct wire *wire);

/* How many requests of this server's other processes came to the same as a worker's, and were not
 * handed out: they had handed it on. */
uint64_t wire_relayed(const struct wire *wire);

uint64_t wire_lost(const struct wire *wire, enum wire_loss loss);
const char *wire_loss_name(enum wire_loss loss);

#endif
