/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the client's side of a connection: where a request begins, which bytes are its body, where
 * the next one begins. A head may come over several turns, several requests may come in one.
 */
#include <errno.h>
#include <stdlib.h>

#include "servers/server.h"
#include "wire_conn.h"

static enum wire_loss loss_of(enum wire_protocol protocol)
{
	switch (protocol) {
	case WIRE_TLS:
		return WIRE_LOSS_TLS;
	case WIRE_HTTP2:
		return WIRE_LOSS_HTTP2;
	default:
		return WIRE_LOSS_FOREIGN;
	}
}

/* Bytes of a turn: how many there are, and how many of them were kept. */
struct read_span {
	uint64_t at, total;
	size_t kept;
};

static void request_bytes_add(struct wire_conn *conn, uint64_t bytes)
{
	if (conn->last)
		conn->last->bytes += bytes;
}

/* Where requests begin is not known any more: the rest is taken for the last one's, and the next
 * turn may begin with one again. */
static void read_lose(struct wire_conn *conn, struct read_span *span)
{
	request_bytes_add(conn, span->total - span->at);
	span->at = span->total;
	conn->in_body = WIRE_BODY_NONE;
}

static void chunks_read(struct wire_conn *conn, struct read_span *span)
{
	uint64_t rest = span->total - span->at;
	enum wire_chunks_end end;
	size_t used = 0;

	if (span->at >= span->kept) {
		if (!wire_chunks_skip(&conn->in_chunks, rest)) {
			read_lose(conn, span);
			return;
		}
		request_bytes_add(conn, rest);
		span->at = span->total;
		return;
	}
	end = wire_chunks_feed(&conn->in_chunks, conn->in.at + span->at, span->kept - span->at,
			       &used);
	request_bytes_add(conn, used);
	span->at += used;
	if (end == WIRE_CHUNKS_DONE)
		conn->in_body = WIRE_BODY_NONE;
	else if (end == WIRE_CHUNKS_BAD || !used)
		read_lose(conn, span);
}

static void body_read(struct wire_conn *conn, struct read_span *span)
{
	uint64_t rest = span->total - span->at;

	switch (conn->in_body) {
	case WIRE_BODY_LENGTH:
		if (rest > conn->in_left)
			rest = conn->in_left;
		conn->in_left -= rest;
		request_bytes_add(conn, rest);
		span->at += rest;
		if (!conn->in_left)
			conn->in_body = WIRE_BODY_NONE;
		return;
	case WIRE_BODY_CHUNKED:
		chunks_read(conn, span);
		return;
	default: /* it has no end of its own */
		request_bytes_add(conn, rest);
		span->at = span->total;
	}
}

static void body_begin(struct wire_conn *conn, const struct wire_request_head *head)
{
	conn->in_body = wire_request_body(head);
	conn->in_chunks = (struct wire_chunks){0};
	if (conn->in_body == WIRE_BODY_LENGTH) {
		conn->in_left = (uint64_t)head->content_length;
		if (!conn->in_left)
			conn->in_body = WIRE_BODY_NONE;
	}
}

/* Puts a request behind those that wait. */
static int request_add(struct wire *wire, struct wire_conn *conn, const struct event *turn,
		       const struct wire_request_head *head)
{
	struct wire_request *request;

	if (conn->waiting == WIRE_WAITING_MAX) {
		wire->lost[WIRE_LOSS_FULL]++;
		return -ENOSPC;
	}
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	wire_made_copy(&request->made, &turn->request);
	request->made.id = wire_made_id(turn->request.id, conn->waiting);
	request->made.writes.first_ns = 0;
	request->made.writes.status = 0;
	request->made.states.seen = false;
	request->made.reads.states_ns = 0;
	request->head = *head;
	request->pid = turn->pid;
	request->tid = turn->tid;
	request->read_ns = turn->request.start_ns;
	request->queue_ns = conn->first ? 0 : turn->request.queue_ns;
	*(conn->last ? &conn->last->next : &conn->first) = request;
	conn->last = request;
	conn->waiting++;
	wire->request_count++;
	return 0;
}

/*
 * What is left is the beginning of a head. It is answered as it is, where nothing else could have
 * been: it was longer than what is kept, or the server would not wait for more of it.
 */
static int head_incomplete(struct wire *wire, struct wire_conn *conn, const struct event *turn,
			   const struct wire_request_head *head, struct read_span *span)
{
	const struct event_request *r = &turn->request;
	bool cut = span->total > span->kept;
	int err;

	if (!cut && (!r->writes.bytes || conn->first))
		return 0;			/* carried over */
	if (head->protocol == WIRE_NEED_MORE) { /* not known even what it begins */
		wire->lost[WIRE_LOSS_PARTIAL]++;
		span->at = span->total;
		return 0;
	}
	err = request_add(wire, conn, turn, head);
	if (!err)
		read_lose(conn, span);
	return err;
}

/* The next request of the turn. 1: its head has been read; 0: there is no more; -errno. */
static int head_read(struct wire *wire, struct wire_conn *conn, const struct event *turn,
		     struct read_span *span)
{
	const struct server *server = wire->user.server(wire->user.context, conn->pid);
	struct wire_request_head head;
	enum wire_protocol protocol;
	int err;

	if (span->at >= span->kept) {
		read_lose(conn, span);
		wire->lost[WIRE_LOSS_FOREIGN]++;
		return 0;
	}
	protocol = wire_request_parse(conn->in.at + span->at, span->kept - span->at,
				      server ? server->path_rules : 0, &head);
	switch (protocol) {
	case WIRE_NEED_MORE:
		return head_incomplete(wire, conn, turn, &head, span);
	case WIRE_HTTP:
	case WIRE_UWSGI:
	case WIRE_MOD_WSGI:
		err = request_add(wire, conn, turn, &head);
		if (err)
			return err;
		conn->last->bytes = head.head_bytes;
		span->at += head.head_bytes;
		body_begin(conn, &head);
		return 1;
	case WIRE_FOREIGN:
		wire->lost[WIRE_LOSS_FOREIGN]++;
		read_lose(conn, span);
		return 0;
	default:
		wire_refuse(wire, conn, loss_of(protocol));
		span->at = span->total;
		return 0;
	}
}

void wire_turn_enter(struct wire_conn *conn, uint64_t turn)
{
	if (conn->turn && conn->turn != turn) {
		wire_kept_carry(&conn->in, conn->in.bytes);
		wire_kept_carry(&conn->out, conn->out.bytes);
	}
	conn->turn = turn;
}

int wire_turn_held(struct wire_conn *conn, const struct event_request *turn)
{
	const struct request_text read = turn->turn.read, written = turn->turn.written;
	int err = 0;

	wire_turn_enter(conn, turn->id);
	if (read.ptr)
		err = wire_kept_add(&conn->in, 0, read.ptr, read.bytes);
	if (!err && written.ptr)
		err = wire_kept_add(&conn->out, 0, written.ptr, written.bytes);
	return err;
}

void wire_marked_read(struct wire *wire, struct wire_conn *conn, const struct event *event)
{
	const struct server *server = wire->user.server(wire->user.context, conn->pid);
	struct read_span span = {.total = event->request.reads.bytes, .kept = conn->in.bytes};
	struct wire_request_head head;

	if (span.kept > span.total)
		span.kept = (size_t)span.total;
	wire_request_parse(conn->in.at, span.kept, server ? server->path_rules : 0, &head);
	if (!head.complete)
		return;
	span.at = head.head_bytes;
	body_begin(conn, &head);
	while (conn->in_body != WIRE_BODY_NONE && span.at < span.total)
		body_read(conn, &span);
}

int wire_turn_read(struct wire *wire, struct wire_conn *conn, const struct event *turn)
{
	struct read_span span = {
		.total = conn->in.carried + turn->request.reads.bytes,
		.kept = conn->in.bytes,
	};
	int more = 1;

	if (!turn->request.reads.bytes)
		return 0;
	if (span.kept > span.total)
		span.kept = (size_t)span.total; /* a lie of the stream */
	while (more > 0 && span.at < span.total) {
		if (conn->in_body != WIRE_BODY_NONE)
			body_read(conn, &span);
		else
			more = head_read(wire, conn, turn, &span);
	}
	wire_kept_carry(&conn->in, span.at < span.kept ? (size_t)span.at : span.kept);
	return more == -ENOSPC ? 0 : more < 0 ? more : 0;
}
