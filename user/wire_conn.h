/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of a connection between two turns, and what the files of the judge share: wire.c
 * (connections, whose turn it is), wire_read.c (what a client sent, to requests), wire_answer.c
 * (what was written, to the request that it answers). Not for others: they use wire.h.
 */
#ifndef WSGISCOPE_WIRE_CONN_H
#define WSGISCOPE_WIRE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "decode.h"
#include "wire.h"
#include "wire_head.h"

/* Bytes that were kept, from one place of a stream on. */
struct wire_kept {
	char *at;
	size_t bytes, room;
	size_t carried; /* of them: from turns before */
	bool gap;	/* some were lost: nothing that comes behind them is kept */
};

/* A request, from its head until its answer is whole. */
struct wire_request {
	struct wire_request *next;
	struct wire_request_head head;
	uint32_t pid, tid;
	uint64_t read_ns;  /* when the first bytes of its turn had been read */
	uint64_t queue_ns; /* of that turn, 0: not the first in it */
	uint64_t bytes;	   /* of head and body, as far as they have come */
	bool answered;	   /* an answer has begun */
	bool answer_known; /* its head has been read */
	bool whole;	   /* its answer has come to its end */
	bool pipelined;
	bool shared; /* its answer began in the writes of another one's: these are not its own */
	struct wire_response_head answer;
	enum wire_body body; /* of the answer; UNTIL_CLOSE also where it is not known */
	bool end_unknown;    /* where the answer ends cannot be followed any more */
	uint64_t left;	     /* of WIRE_BODY_LENGTH */
	struct wire_chunks chunks;
	struct event_request made; /* what the turns said of it; no texts */
};

/* All of a turn's record but its texts, of which it has none. */
static inline void wire_made_copy(struct event_request *made, const struct event_request *turn)
{
	memcpy(made, turn, offsetof(struct event_request, storage));
	made->turn.read = made->turn.written = (struct request_text){0};
	made->writes.calls = 0;
	made->writes.bytes = 0;
	made->writes.time_ns = 0;
}

/* Of several requests in a turn each has an id of its own; below 2^53, as JSON's readers want. */
static inline uint64_t wire_made_id(uint64_t turn, unsigned int index)
{
	return turn + ((uint64_t)index << 44);
}

#define WIRE_WAITING_MAX 256

struct wire_conn {
	uint64_t conn;
	uint32_t pid;
	struct wire_conn *chain, *older, *newer; /* by name; by when they were last heard of */
	uint64_t heard_ns;
	enum wire_loss refused; /* WIRE_LOSSES: it can be read */
	uint64_t turn;		/* whose bytes are coming, 0: none */
	uint64_t noted;		/* the turn that wire_relay.c has looked at */
	struct wire_kept in, out;
	bool gone;   /* its process has ended */
	bool marked; /* its last request was the marker's */
	/* The body of the last request, as far as it has not come. */
	enum wire_body in_body;
	uint64_t in_left;
	struct wire_chunks in_chunks;
	struct wire_request *first, *last; /* those whose answers are not whole */
	unsigned int waiting;
	uint64_t answered_ns; /* when the last answer had been written */
};

#define RELAYS_MAX 1024

/* A request that a worker got from another process of its server, which was asked for it itself. */
struct wire_relayed {
	const struct server *server;
	uint32_t pid;
	uint32_t what;	  /* hash of method and path */
	uint32_t asked;	  /* of method and target, 0: not known */
	uint64_t read_ns; /* when the worker had it */
	bool taken;	  /* the other process's request has been found: its span */
	uint64_t from_ns, to_ns;
};

struct wire {
	struct wire_user user;
	struct wire_conn **chains;
	struct wire_conn *oldest, *newest;
	size_t conn_count;
	size_t request_count;
	uint64_t now_ns, expired_ns;
	uint64_t lost[WIRE_LOSSES];
	struct wire_relayed relays[RELAYS_MAX]; /* a ring */
	unsigned int relay_next;
	uint64_t relayed;
	uint64_t said[64]; /* process and what was said of it: once is enough */
	struct event made; /* the request that is handed out */
};

/* wire_read.c: something of a turn has come. Where the record of the one before it was lost, which
 * has been counted, that one's bytes are carried over. */
void wire_turn_enter(struct wire_conn *conn, uint64_t turn);
/* The first bytes of a turn that its record held. 0 or -ENOMEM. */
int wire_turn_held(struct wire_conn *conn, const struct event_request *turn);

/* What a turn read, as requests that wait for their answers. 0 or -ENOMEM. */
int wire_turn_read(struct wire *wire, struct wire_conn *conn, const struct event *turn);

/* Of a request that the marker tells of, what the turn had read until then: no request comes of it,
 * but what is left of its body is no head. */
void wire_marked_read(struct wire *wire, struct wire_conn *conn, const struct event *event);

/* wire_answer.c: what a turn wrote, to the requests that it answers. */
void wire_turn_answer(struct wire *wire, struct wire_conn *conn, const struct event *turn);

/* wire_relay.c: more of a turn has been read; what begins with a request that came from another
 * process of the same server is remembered. */
void wire_relay_note(struct wire *wire, struct wire_conn *conn, uint64_t now_ns);
/* Whether a request was handed on to a process that has told of it: once only. */
bool wire_relay_find(struct wire *wire, const struct wire_request *request);

/* wire.c: nothing of this connection can be read from here on; said once of a process. */
void wire_refuse(struct wire *wire, struct wire_conn *conn, enum wire_loss why);

/* Adds to the bytes that are kept. 0 or -ENOMEM. */
int wire_kept_add(struct wire_kept *kept, uint64_t offset, const char *bytes, size_t count);
/* The first `used` are done with; what is left is carried over to the next turn. */
void wire_kept_carry(struct wire_kept *kept, size_t used);

#endif
