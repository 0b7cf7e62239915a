/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the connections that something is open on: whose bytes are coming, which requests wait for
 * their answers, when they are handed out. A connection at rest is not kept. Bounded: past the
 * bound the one that was heard of longest ago is given up, and counted.
 */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "wire_conn.h"

#define CHAINS	     4096
#define CONNS_MAX    16384
#define REQUESTS_MAX 16384
/* An answer whose end cannot be seen is over when nothing more has come of it for so long. */
#define HOLD_NS	  UINT64_C(10000000000)
#define GONE_NS	  UINT64_C(2000000000) /* its process has ended; the last records still come */
#define EXPIRE_NS UINT64_C(500000000)  /* how often is looked for those */

static const struct {
	const char *name;
	const char *what; /* of a connection, for people; NULL: not one */
} losses[WIRE_LOSSES] = {
	[WIRE_LOSS_TLS] = {"wire_tls", "is encrypted (TLS)"},
	[WIRE_LOSS_HTTP2] = {"wire_http2", "speaks HTTP/2"},
	[WIRE_LOSS_UPGRADED] = {"wire_upgraded", "has become something else than HTTP"},
	[WIRE_LOSS_FOREIGN] = {"wire_foreign", NULL},
	[WIRE_LOSS_PARTIAL] = {"wire_partial", NULL},
	[WIRE_LOSS_STRAY] = {"wire_stray", NULL},
	[WIRE_LOSS_UNSPLIT] = {"wire_unsplit", NULL},
	[WIRE_LOSS_FULL] = {"wire_full", NULL},
	[WIRE_LOSS_OPEN] = {"wire_open", NULL},
};

int wire_new(const struct wire_user *user, struct wire **out)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	if (wire)
		wire->chains = calloc(CHAINS, sizeof(struct wire_conn *));
	if (!wire || !wire->chains) {
		free(wire);
		return -ENOMEM;
	}
	wire->user = *user;
	*out = wire;
	return 0;
}

uint64_t wire_lost(const struct wire *wire, enum wire_loss loss)
{
	return wire->lost[loss];
}

uint64_t wire_relayed(const struct wire *wire)
{
	return wire->relayed;
}

const char *wire_loss_name(enum wire_loss loss)
{
	return losses[loss].name;
}

int wire_kept_add(struct wire_kept *kept, uint64_t offset, const char *bytes, size_t count)
{
	char *grown;

	if (kept->gap || offset != kept->bytes - kept->carried || count > 2 * EVENT_WIRE_BYTES) {
		kept->gap = true;
		return 0;
	}
	if (!count)
		return 0;
	if (count > kept->room - kept->bytes) {
		grown = realloc(kept->at, kept->bytes + count);
		if (!grown)
			return -ENOMEM;
		kept->at = grown;
		kept->room = kept->bytes + count;
	}
	memcpy(kept->at + kept->bytes, bytes, count);
	kept->bytes += count;
	return 0;
}

/* Of a head that grows and grows, more than this is not carried on. */
#define CARRIED_MAX (2 * EVENT_WIRE_BYTES)

void wire_kept_carry(struct wire_kept *kept, size_t used)
{
	kept->bytes -= used;
	if (kept->bytes > CARRIED_MAX)
		kept->bytes = 0;
	if (kept->bytes)
		memmove(kept->at, kept->at + used, kept->bytes);
	kept->carried = kept->bytes;
	kept->gap = false;
}

/* --- connections ------------------------------------------------------------------------------ */

static struct wire_conn **chain_of(const struct wire *wire, uint32_t pid, uint64_t conn)
{
	uint64_t mixed = (conn ^ (uint64_t)pid << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &wire->chains[mixed >> 32 & (CHAINS - 1)];
}

static struct wire_conn *conn_find(const struct wire *wire, uint32_t pid, uint64_t name)
{
	struct wire_conn *conn = *chain_of(wire, pid, name);

	while (conn && (conn->conn != name || conn->pid != pid))
		conn = conn->chain;
	return conn;
}

static void list_remove(struct wire *wire, struct wire_conn *conn)
{
	*(conn->older ? &conn->older->newer : &wire->oldest) = conn->newer;
	*(conn->newer ? &conn->newer->older : &wire->newest) = conn->older;
}

static void list_append(struct wire *wire, struct wire_conn *conn)
{
	conn->newer = NULL;
	conn->older = wire->newest;
	*(wire->newest ? &wire->newest->newer : &wire->oldest) = conn;
	wire->newest = conn;
}

/* The first of those that wait is done with. */
static void request_drop(struct wire *wire, struct wire_conn *conn)
{
	struct wire_request *request = conn->first;

	conn->first = request->next;
	if (!conn->first)
		conn->last = NULL;
	conn->waiting--;
	wire->request_count--;
	free(request);
}

static void conn_free(struct wire *wire, struct wire_conn *conn)
{
	struct wire_conn **link = chain_of(wire, conn->pid, conn->conn);

	while (*link != conn)
		link = &(*link)->chain;
	*link = conn->chain;
	list_remove(wire, conn);
	while (conn->first)
		request_drop(wire, conn);
	wire->conn_count--;
	free(conn->in.at);
	free(conn->out.at);
	free(conn);
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	while (wire->oldest)
		conn_free(wire, wire->oldest);
	free(wire->chains);
	free(wire);
}

/* What is forgotten with a connection. */
static void conn_give_up(struct wire *wire, struct wire_conn *conn)
{
	wire->lost[WIRE_LOSS_FULL] += conn->waiting + !!conn->in.bytes;
	conn_free(wire, conn);
}

/* NULL: no memory. */
static struct wire_conn *conn_get(struct wire *wire, uint32_t pid, uint64_t name)
{
	struct wire_conn *conn = conn_find(wire, pid, name);
	struct wire_conn **chain;

	if (conn) {
		list_remove(wire, conn);
		list_append(wire, conn);
		conn->heard_ns = wire->now_ns;
		return conn;
	}
	while (wire->conn_count >= CONNS_MAX ||
	       (wire->oldest && wire->request_count >= REQUESTS_MAX))
		conn_give_up(wire, wire->oldest);
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	chain = chain_of(wire, pid, name);
	conn->conn = name;
	conn->pid = pid;
	conn->refused = WIRE_LOSSES;
	conn->heard_ns = wire->now_ns;
	conn->chain = *chain;
	*chain = conn;
	list_append(wire, conn);
	wire->conn_count++;
	return conn;
}

/* Nothing is open on it, so that its next bytes say all that there is to know. */
static bool is_idle(const struct wire_conn *conn)
{
	return !conn->first && !conn->in.bytes && !conn->out.bytes &&
	       conn->in_body == WIRE_BODY_NONE && conn->refused == WIRE_LOSSES;
}

void wire_refuse(struct wire *wire, struct wire_conn *conn, enum wire_loss why)
{
	const uint64_t what = (uint64_t)conn->pid << 8 | (uint64_t)why << 1 | 1;
	const size_t room = sizeof(wire->said) / sizeof(wire->said[0]);

	if (conn->refused != WIRE_LOSSES)
		return;
	conn->refused = why;
	wire->lost[why]++;
	if (wire->said[what % room] == what)
		return;
	wire->said[what % room] = what;
	log_warn("process %u: a connection %s: its requests cannot be read from the wire; the "
		 "marker would tell of them",
		 conn->pid, losses[why].what);
}

/* --- requests handed out ---------------------------------------------------------------------- */

/* A text of the head, in the storage of the event. */
static void text_fill(struct event_request *made, size_t *used, struct event_text *text,
		      const struct wire_request_head *head, enum wire_text which)
{
	struct request_text from = wire_head_text(head, which);

	*text = (struct event_text){.cut = head->kept[which].cut};
	if (!from.ptr || from.bytes > sizeof(made->storage) - *used)
		return;
	memcpy(made->storage + *used, from.ptr, from.bytes);
	text->text = (struct request_text){made->storage + *used, from.bytes};
	*used += from.bytes;
}

_Static_assert(WIRE_TEXT_MAX <= EVENT_TEXT_BYTES, "all texts fit");

/* The answer was not as long as it said, or as its last chunk would have said. */
static bool is_truncated(const struct wire_request *request)
{
	return request->answered && request->answer_known && !request->whole &&
	       !request->end_unknown &&
	       (request->body == WIRE_BODY_LENGTH || request->body == WIRE_BODY_CHUNKED);
}

static int request_hand_out(struct wire *wire, const struct wire_conn *conn,
			    const struct wire_request *request)
{
	struct event_request *made = &wire->made.request;
	size_t used = 0;

	if (wire_relay_find(wire, request))
		return 0;
	wire->made.kind = EVENT_IS_REQUEST;
	wire->made.pid = request->pid;
	wire->made.tid = request->tid;
	wire->made.time_ns = wire->now_ns;
	memcpy(made, &request->made, offsetof(struct event_request, storage));
	made->no_end = !request->answered;
	if (made->no_end)
		made->end_ns = 0;
	if (request->shared) {
		made->end_ns = 0;
		made->writes.first_ns = 0;
		made->writes.calls = made->writes.time_ns = EVENT_UNSEEN;
	}
	made->turn.is_turn = false;
	made->turn.made = true;
	made->turn.conn = conn->conn;
	made->turn.truncated = is_truncated(request);
	made->turn.pipelined = request->pipelined;
	made->reads.bytes = request->bytes;
	memset(&made->method, 0,
	       offsetof(struct event_request, storage) - offsetof(struct event_request, method));
	text_fill(made, &used, &made->method, &request->head, WIRE_METHOD);
	text_fill(made, &used, &made->path, &request->head, WIRE_PATH);
	text_fill(made, &used, &made->queue, &request->head, WIRE_QUEUE);
	text_fill(made, &used, &made->traceparent, &request->head, WIRE_TRACEPARENT);
	return wire->user.request(wire->user.context, &wire->made);
}

static int first_hand_out(struct wire *wire, struct wire_conn *conn)
{
	int err = request_hand_out(wire, conn, conn->first);

	request_drop(wire, conn);
	return err;
}

/* Those whose answers are whole, and whose bodies. */
static int whole_hand_out(struct wire *wire, struct wire_conn *conn)
{
	int err = 0;

	while (!err && conn->first && conn->first->whole &&
	       (conn->first->next || conn->in_body == WIRE_BODY_NONE ||
		conn->refused != WIRE_LOSSES))
		err = first_hand_out(wire, conn);
	return err;
}

/* There will be no more of it: the answers are what they are. */
static int conn_end(struct wire *wire, struct wire_conn *conn)
{
	int err = 0;

	if (conn->in.bytes && conn->refused == WIRE_LOSSES)
		wire->lost[WIRE_LOSS_PARTIAL]++;
	for (struct wire_request *r = conn->first; r; r = r->next)
		if (r->answered && !r->answer_known) {
			/* What may be the beginning of its answer's head is one. */
			r->made.writes.bytes += conn->out.carried;
			break;
		}
	while (!err && conn->first)
		err = first_hand_out(wire, conn);
	conn_free(wire, conn);
	return err;
}

/* --- what comes in ---------------------------------------------------------------------------- */

static int bytes_take(struct wire *wire, const struct event *event)
{
	const struct event_wire *bytes = &event->wire;
	struct wire_conn *conn;
	int err;

	if (bytes->what == WIRE_WAS_CLOSED) {
		conn = conn_find(wire, event->pid, bytes->conn);
		return conn ? conn_end(wire, conn) : 0;
	}
	conn = conn_get(wire, event->pid, bytes->conn);
	if (!conn)
		return -ENOMEM;
	if (conn->refused != WIRE_LOSSES)
		return 0;
	wire_turn_enter(conn, bytes->turn);
	if (bytes->what == WIRE_WAS_WRITTEN)
		return wire_kept_add(&conn->out, bytes->offset, bytes->data, bytes->bytes);
	err = wire_kept_add(&conn->in, bytes->offset, bytes->data, bytes->bytes);
	if (!err)
		wire_relay_note(wire, conn, event->time_ns);
	return err;
}

static int turn_take(struct wire *wire, const struct event *event)
{
	struct wire_conn *conn = conn_get(wire, event->pid, event->request.turn.conn);
	int err = 0;

	if (!conn)
		return -ENOMEM;
	if (conn->refused == WIRE_LOSSES)
		err = wire_turn_held(conn, &event->request);
	conn->turn = 0;
	if (!err && conn->refused == WIRE_LOSSES) {
		err = wire_turn_read(wire, conn, event);
		if (conn->refused == WIRE_LOSSES || conn->first)
			wire_turn_answer(wire, conn, event);
		if (!err)
			err = whole_hand_out(wire, conn);
	}
	if (!err && event->request.turn.closed)
		return conn_end(wire, conn);
	if (is_idle(conn))
		conn_free(wire, conn);
	return err;
}

/* The marker tells of what was watched until now. */
static void marked_take(struct wire *wire, const struct event *event)
{
	struct wire_conn *conn = conn_find(wire, event->pid, event->request.turn.conn);

	if (!conn || !conn->turn)
		return;
	conn->turn = 0;
	conn->marked = true;
	if (conn->refused == WIRE_LOSSES && !conn->in.gap)
		wire_marked_read(wire, conn, event);
	wire_kept_carry(&conn->in, conn->in.bytes);
	wire_kept_carry(&conn->out, conn->out.bytes);
	if (is_idle(conn))
		conn_free(wire, conn);
}

/* The process that had it is another one now, or none. */
static void process_take(struct wire *wire, const struct event *event)
{
	if (event->process.what != PROCESS_EXECED && event->process.what != PROCESS_EXITED)
		return;
	for (struct wire_conn *conn = wire->oldest; conn; conn = conn->newer)
		conn->gone |= conn->pid == event->pid;
}

/* An answer that may be whole, as nothing shows its end. */
static bool may_be_whole(const struct wire_request *request)
{
	return request->whole || (request->answered && request->end_unknown);
}

static int conn_expire(struct wire *wire, struct wire_conn *conn)
{
	uint64_t quiet_ns = wire->now_ns - conn->heard_ns;
	int err = 0;

	if (conn->gone && quiet_ns > GONE_NS)
		return conn_end(wire, conn);
	if (quiet_ns <= HOLD_NS)
		return 0;
	while (!err && conn->first && may_be_whole(conn->first))
		err = first_hand_out(wire, conn);
	if (is_idle(conn) || (conn->marked && !conn->first))
		conn_free(wire, conn);
	return err;
}

static int expire(struct wire *wire)
{
	struct wire_conn *next;
	int err = 0;

	if (wire->now_ns - wire->expired_ns < EXPIRE_NS)
		return 0;
	wire->expired_ns = wire->now_ns;
	for (struct wire_conn *conn = wire->oldest; conn && !err; conn = next) {
		next = conn->newer;
		err = conn_expire(wire, conn);
	}
	return err;
}

int wire_event(struct wire *wire, const struct event *event)
{
	int err = 0;

	if (event->time_ns > wire->now_ns)
		wire->now_ns = event->time_ns;
	if (event->kind == EVENT_IS_WIRE)
		err = bytes_take(wire, event);
	else if (event->kind == EVENT_IS_REQUEST && event->request.turn.is_turn)
		err = turn_take(wire, event);
	else if (event->kind == EVENT_IS_REQUEST)
		marked_take(wire, event);
	else if (event->kind == EVENT_IS_PROCESS)
		process_take(wire, event);
	return err ? err : expire(wire);
}

int wire_end(struct wire *wire)
{
	int err = 0;

	while (!err && wire->oldest) {
		struct wire_conn *conn = wire->oldest;

		/* conn_free() has taken the one before out of the list, which is more than the
		 * analyser follows. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		while (!err && conn->first && may_be_whole(conn->first))
			err = first_hand_out(wire, conn);
		wire->lost[WIRE_LOSS_OPEN] += conn->waiting;
		conn_free(wire, conn);
	}
	return err;
}
