/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the server's side of a connection: which request a turn's writes answer, and whether its
 * answer is whole. Answers come in the order of the requests.
 */
#include "wire_conn.h"

/* What a turn wrote: how far it has been given away. */
struct write_span {
	uint64_t at, total;
	size_t kept;
	bool counted;	    /* the calls have been given to a request */
	unsigned int begun; /* answers, so far */
};

/* The beginning of an answer: its times are those of the turn, its start may be later. */
static void answer_start(struct wire_conn *conn, struct wire_request *request,
			 const struct event_request *turn)
{
	request->answered = true;
	wire_made_copy(&request->made, turn);
	request->made.start_ns = request->read_ns;
	request->made.queue_ns = request->queue_ns;
	/* Its server had another one to answer when it had been read. */
	if (conn->answered_ns > request->read_ns) {
		request->pipelined = true;
		request->made.start_ns = conn->answered_ns;
		request->made.queue_ns = 0;
	}
	request->made.states.mixed |= turn->reads.states_ns != request->made.start_ns;
}

/* A further turn of the same answer. On a thread of its own its states go on from the start. */
static void answer_join(struct wire_request *request, const struct event_request *turn)
{
	struct event_request *made = &request->made;

	if (turn->states.seen && !turn->states.mixed && turn->reads.states_ns == made->start_ns) {
		made->states = turn->states;
	} else {
		made->states.seen = false;
		made->states.mixed = true;
	}
	if (!made->writes.first_ns)
		made->writes.first_ns = turn->writes.first_ns;
	if (!made->writes.status)
		made->writes.status = turn->writes.status;
	made->writes.family = turn->writes.family;
	made->write_short = turn->write_short;
	made->writes_cut |= turn->writes_cut;
}

/* Gives this request the turn's calls, if no other one has them. */
static void answer_count(struct wire_conn *conn, struct wire_request *request,
			 const struct event_request *turn, struct write_span *span)
{
	struct event_request *made = &request->made;

	if (!request->answered) {
		answer_start(conn, request, turn);
		made->id = wire_made_id(turn->id, span->begun);
		request->shared = span->begun++ > 0;
	} else if (!span->counted) {
		answer_join(request, turn);
	}
	if (!span->counted) {
		made->writes.calls += turn->writes.calls;
		made->writes.time_ns += turn->writes.time_ns;
		if (turn->writes.error)
			made->writes.error = turn->writes.error;
	}
	span->counted = true;
	if (turn->turn.last_ns > made->end_ns)
		made->end_ns = turn->turn.last_ns;
}

static void span_take(struct wire_request *request, struct write_span *span, uint64_t bytes)
{
	request->made.writes.bytes += bytes;
	span->at += bytes;
}

/* The answer's head is read, or it has none: then only the next answer shows its end. */
static void answer_body(struct wire *wire, struct wire_conn *conn, struct wire_request *request)
{
	const struct wire_response_head *answer = &request->answer;

	request->answer_known = true;
	if (!answer->complete) {
		request->body = WIRE_BODY_UNTIL_CLOSE;
		request->end_unknown = true;
		return;
	}
	request->made.writes.status = answer->status;
	request->body = wire_response_body(answer, &request->head);
	request->left = (uint64_t)answer->content_length;
	if (request->body == WIRE_BODY_TUNNEL)
		wire_refuse(wire, conn, WIRE_LOSS_UPGRADED);
	if (request->body == WIRE_BODY_NONE || request->body == WIRE_BODY_TUNNEL ||
	    (request->body == WIRE_BODY_LENGTH && !request->left))
		request->whole = true;
}

/* Reads the head, as much of it as there is. False: more must come. */
static bool answer_head(struct wire *wire, struct wire_conn *conn, struct wire_request *request,
			struct write_span *span)
{
	struct wire_response_head *answer = &request->answer;
	size_t kept = span->at < span->kept ? span->kept - (size_t)span->at : 0;
	enum wire_protocol protocol = WIRE_FOREIGN;

	memset(answer, 0, sizeof(*answer));
	if (kept)
		protocol = wire_response_parse(conn->out.at + span->at, kept, answer);
	if (protocol == WIRE_NEED_MORE && span->total == span->kept)
		return false;
	if (answer->complete && answer->interim) {
		span_take(request, span, answer->head_bytes);
		return true;
	}
	if (answer->complete)
		span_take(request, span, answer->head_bytes);
	else if (answer->status)
		request->made.writes.status = answer->status;
	answer_body(wire, conn, request);
	return true;
}

static void chunks_answer(struct wire_conn *conn, struct wire_request *request,
			  struct write_span *span)
{
	uint64_t rest = span->total - span->at;
	enum wire_chunks_end end;
	size_t used = 0;

	if (request->end_unknown || span->at >= span->kept) {
		request->end_unknown |= !wire_chunks_skip(&request->chunks, rest);
		span_take(request, span, rest);
		return;
	}
	end = wire_chunks_feed(&request->chunks, conn->out.at + span->at,
			       span->kept - (size_t)span->at, &used);
	span_take(request, span, used);
	request->whole = end == WIRE_CHUNKS_DONE;
	request->end_unknown |= end == WIRE_CHUNKS_BAD || (!used && !request->whole);
}

static void answer_bytes(struct wire_conn *conn, struct wire_request *request,
			 struct write_span *span)
{
	uint64_t rest = span->total - span->at;

	switch (request->body) {
	case WIRE_BODY_LENGTH:
		if (rest > request->left)
			rest = request->left;
		request->left -= rest;
		request->whole = !request->left;
		span_take(request, span, rest);
		return;
	case WIRE_BODY_CHUNKED:
		chunks_answer(conn, request, span);
		return;
	default:
		span_take(request, span, rest);
	}
}

/* Whether what a turn wrote begins with the head of an answer. */
static bool begins_answer(const struct wire_conn *conn)
{
	struct wire_response_head answer;

	if (conn->out.carried || !conn->out.bytes)
		return false;
	return wire_response_parse(conn->out.at, conn->out.bytes, &answer) != WIRE_FOREIGN &&
	       answer.status;
}

/*
 * Whether the answer that is being written ended before this turn, unseen: the next answer begins.
 * One that said how long it is goes on until then, whatever its bytes look like, unless the server
 * has read a request since.
 */
static bool is_over(const struct wire_conn *conn, const struct wire_request *request,
		    const struct event_request *turn)
{
	bool told = request->body == WIRE_BODY_LENGTH ||
		    (request->body == WIRE_BODY_CHUNKED && !request->end_unknown);

	if (!request->answer_known || !request->next || !begins_answer(conn))
		return false;
	return !told || (!turn->turn.answer && request->next->read_ns >= turn->start_ns);
}

/* What is behind an answer that is whole. */
static struct wire_request *answer_next(struct wire *wire, struct wire_conn *conn,
					struct wire_request *request, struct write_span *span)
{
	if (!request->next) {
		/* More than it said, as the body of an answer to HEAD: it is nobody else's. */
		span_take(request, span, span->total - span->at);
		return request;
	}
	conn->answered_ns = request->made.end_ns;
	if (span->at >= span->kept)
		wire->lost[WIRE_LOSS_UNSPLIT]++;
	return request->next;
}

void wire_turn_answer(struct wire *wire, struct wire_conn *conn, const struct event *event)
{
	const struct event_request *turn = &event->request;
	struct write_span span = {
		.total = conn->out.carried + turn->writes.bytes,
		.kept = conn->out.bytes,
	};
	struct wire_request *request = conn->first;

	if (!turn->writes.calls)
		return;
	while (request && request->whole)
		request = request->next;
	if (request && is_over(conn, request, turn)) {
		request->whole = true;
		request = request->next;
	}
	if (!request) {
		wire->lost[WIRE_LOSS_STRAY] += conn->refused == WIRE_LOSSES;
		wire_kept_carry(&conn->out, conn->out.bytes);
		return;
	}
	if (span.kept > span.total)
		span.kept = (size_t)span.total; /* a lie of the stream */
	answer_count(conn, request, turn, &span);
	while (span.at < span.total) {
		if (request->whole) {
			request = answer_next(wire, conn, request, &span);
			answer_count(conn, request, turn, &span);
		} else if (request->answer_known) {
			answer_bytes(conn, request, &span);
		} else if (!answer_head(wire, conn, request, &span)) {
			break;
		}
	}
	if (turn->turn.last_chunk && request->body == WIRE_BODY_CHUNKED)
		request->whole = true;
	if (request->answered)
		conn->answered_ns = request->made.end_ns;
	wire_kept_carry(&conn->out, span.at < span.kept ? (size_t)span.at : span.kept);
}
