/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as what went over a few connections, cut into turns in any way, through
 * the judge of turns. What comes out must not be more than what went in: no byte is in two
 *requests.
 *
 *	input: operations, each a byte (its kind and connection), a length, so many bytes
 */
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "log.h"
#include "servers/server.h"
#include "wire.h"

#define CONNS 4
#define PID   7

enum operation {
	READ,
	WRITE,
	READ_UNSEEN,
	WRITE_UNSEEN,
	END,
	CLOSE,
	CLOSED,
	LAST_CHUNK,
	OPERATIONS
};

struct turn {
	uint64_t id, in, out, calls;
	bool last_chunk;
};

struct sums {
	uint64_t in, out, calls;
};

static struct event event;
static struct turn turns[CONNS];
static struct sums given, made;
static uint64_t now_ns;

static void ensure(bool holds)
{
	if (!holds)
		abort();
}

static int on_request(void *context, const struct event *from)
{
	const struct event_request *r = &from->request;

	ensure(from->kind == EVENT_IS_REQUEST && r->turn.made && !r->turn.is_turn);
	ensure(r->start_ns <= now_ns && r->end_ns <= now_ns);
	ensure(r->no_end ? !r->end_ns : !r->end_ns || r->end_ns >= r->start_ns);
	ensure(r->method.text.bytes <= 16 && r->path.text.bytes <= 320);
	made.in += r->reads.bytes;
	made.out += r->writes.bytes;
	made.calls += r->writes.calls == EVENT_UNSEEN ? 0 : r->writes.calls;
	ensure(made.in <= given.in && made.out <= given.out && made.calls <= given.calls);
	return 0;
}

/* One whose processes hand requests on. */
static const struct server *server_of(void *context, uint32_t pid)
{
	return server_named("uwsgi");
}

static void give(struct wire *wire, enum event_kind kind)
{
	event.kind = kind;
	event.pid = PID;
	event.time_ns = now_ns;
	ensure(!wire_event(wire, &event));
}

static void bytes_give(struct wire *wire, unsigned int conn, bool read, const uint8_t *data,
		       size_t bytes)
{
	struct turn *turn = &turns[conn];

	event.wire.conn = conn + 1;
	event.wire.turn = turn->id;
	event.wire.what = read ? WIRE_WAS_READ : WIRE_WAS_WRITTEN;
	event.wire.offset = read ? turn->in : turn->out;
	event.wire.bytes = (unsigned int)bytes;
	memcpy(event.wire.data, data, bytes);
	give(wire, EVENT_IS_WIRE);
}

static void end_give(struct wire *wire, unsigned int conn, bool closed)
{
	struct turn *turn = &turns[conn];
	struct event_request *r = &event.request;

	memset(r, 0, sizeof(*r));
	r->id = turn->id;
	r->start_ns = now_ns > 1000 ? now_ns - 1000 : 1;
	r->end_ns = turn->calls ? now_ns : 0;
	r->writes.calls = turn->calls;
	r->writes.bytes = turn->out;
	r->reads.bytes = turn->in;
	r->turn = (struct event_turn){.is_turn = true,
				      .conn = conn + 1,
				      .last_ns = r->end_ns,
				      .answer = !turn->in,
				      .last_chunk = turn->last_chunk,
				      .closed = closed};
	given.in += turn->in;
	given.out += turn->out;
	given.calls += turn->calls;
	give(wire, EVENT_IS_REQUEST);
	*turn = (struct turn){.id = turn->id + CONNS};
}

static void operate(struct wire *wire, enum operation operation, unsigned int conn,
		    const uint8_t *data, size_t bytes)
{
	struct turn *turn = &turns[conn];
	bool read = operation == READ || operation == READ_UNSEEN;

	now_ns += 1000000 + (uint64_t)bytes * 1000000;
	switch (operation) {
	case READ:
	case WRITE:
		bytes_give(wire, conn, read, data, bytes);
		/* fall through */
	case READ_UNSEEN:
	case WRITE_UNSEEN:
		*(read ? &turn->in : &turn->out) += bytes;
		turn->calls += !read;
		break;
	case END:
	case CLOSE:
		end_give(wire, conn, operation == CLOSE);
		break;
	case CLOSED:
		memset(&event.wire, 0, offsetof(struct event_wire, data));
		event.wire.conn = conn + 1;
		event.wire.what = WIRE_WAS_CLOSED;
		give(wire, EVENT_IS_WIRE);
		break;
	default:
		turn->last_chunk = true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct wire_user user = {on_request, server_of, NULL};
	struct wire *wire;

	log_level_set(LOG_LEVEL_NONE);
	memset(&given, 0, sizeof(given));
	memset(&made, 0, sizeof(made));
	now_ns = 1000000;
	for (unsigned int i = 0; i < CONNS; i++)
		turns[i] = (struct turn){.id = i + 1};
	if (wire_new(&user, &wire))
		abort();
	while (bytes >= 2) {
		size_t length = data[1];

		if (length > bytes - 2)
			length = bytes - 2;
		operate(wire, data[0] / CONNS % OPERATIONS, data[0] % CONNS, data + 2, length);
		data += 2 + length;
		bytes -= 2 + length;
	}
	if (wire_end(wire))
		abort();
	wire_free(wire);
	return 0;
}
