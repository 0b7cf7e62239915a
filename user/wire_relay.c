/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the knowledge of requests that one process of a server hands on to another: httpd to a
 * daemon of mod_wsgi, uWSGI's HTTP router to a worker. Both have Python mapped and both show the
 * request on a connection; it is the worker's, which got it by the server's own protocol. So the
 * other's, the same by method and path, or by method and what the client asked for (of which the
 * front may have made another path), is none; what it answers itself (a file, an application
 * that it runs) is one. The worker has read it long before the other's answer can end, so that
 * it is known by then, whoever tells of it.
 */
#include "hash.h"
#include "servers/server.h"
#include "wire_conn.h"

/* Of a path; both ends keep so much of it at least. */
#define PATH_BYTES WIRE_PATH_MAX

static void what_put(struct wire_relayed *relay, const struct wire_request_head *head)
{
	struct request_text method = wire_head_text(head, WIRE_METHOD);
	struct request_text path = wire_head_text(head, WIRE_PATH);
	uint32_t by_method = hash_bytes(0, method.ptr, method.bytes);

	relay->what =
		hash_bytes(by_method, path.ptr, path.bytes < PATH_BYTES ? path.bytes : PATH_BYTES);
	relay->asked = head->asked ? by_method ^ head->asked : 0;
}

static bool is_same(const struct wire_relayed *one, const struct wire_relayed *other)
{
	return one->what == other->what || (one->asked && one->asked == other->asked);
}

static const struct server *relaying_server(const struct wire *wire, uint32_t pid)
{
	const struct server *server = wire->user.server(wire->user.context, pid);

	return server && server->relays ? server : NULL;
}

void wire_relay_note(struct wire *wire, struct wire_conn *conn, uint64_t now_ns)
{
	const struct server *server = relaying_server(wire, conn->pid);
	struct wire_request_head head;
	struct wire_relayed *relay;

	if (!server || conn->noted == conn->turn || conn->in.carried || conn->in.gap ||
	    conn->in_body != WIRE_BODY_NONE)
		return;
	wire_request_parse(conn->in.at, conn->in.bytes, server->path_rules, &head);
	if (!head.complete)
		return;
	conn->noted = conn->turn;
	if (head.protocol == WIRE_HTTP)
		return;
	relay = &wire->relays[wire->relay_next++ % RELAYS_MAX];
	*relay = (struct wire_relayed){.server = server, .pid = conn->pid, .read_ns = now_ns};
	what_put(relay, &head);
}

/* The first like this one, taken or not, that another process read in its span. */
static struct wire_relayed *relay_of(struct wire *wire, const struct wire_relayed *like)
{
	unsigned int count = wire->relay_next < RELAYS_MAX ? wire->relay_next : RELAYS_MAX;

	for (; count; count--) {
		struct wire_relayed *relay = &wire->relays[(wire->relay_next - count) % RELAYS_MAX];

		if (relay->server == like->server && is_same(relay, like) &&
		    relay->taken == like->taken && relay->pid != like->pid &&
		    relay->read_ns >= like->from_ns && relay->read_ns <= like->to_ns)
			return relay;
	}
	return NULL;
}

static void relay_take(struct wire_relayed *relay, const struct wire_relayed *by)
{
	relay->taken = true;
	relay->from_ns = by->from_ns;
	relay->to_ns = by->to_ns;
}

/* Takes that of another one, if there is one left for that. */
static bool relay_exchange(struct wire *wire, const struct wire_relayed *by)
{
	struct wire_relayed like = *by, left, *relay, *other;

	like.taken = true;
	while ((relay = relay_of(wire, &like))) {
		left = *relay;
		left.taken = false;
		left.pid = by->pid;
		other = relay_of(wire, &left);
		if (other) {
			relay_take(other, relay);
			relay_take(relay, by);
			return true;
		}
		like.from_ns = relay->read_ns + 1;
	}
	return false;
}

/* Several may ask for the same at once, and do not come here in the order of their ends. */
bool wire_relay_find(struct wire *wire, const struct wire_request *request)
{
	struct wire_relayed *relay, by = {
					    .server = relaying_server(wire, request->pid),
					    .pid = request->pid,
					    .from_ns = request->read_ns,
					    .to_ns = request->made.end_ns,
				    };

	if (!by.server || !request->answered || request->head.protocol != WIRE_HTTP)
		return false;
	what_put(&by, &request->head);
	relay = relay_of(wire, &by);
	if (relay)
		relay_take(relay, &by);
	else if (!relay_exchange(wire, &by))
		return false;
	wire->relayed++;
	return true;
}
