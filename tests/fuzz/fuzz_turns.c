/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as what went over a few connections, cut into turns in any way, as the
 * kernel side's records, through the judge of turns. What comes out must not be more than what went
 * in: no byte is in two requests. The same records, recorded and replayed, must say the same.
 *
 *	input: operations, each a byte (its kind and connection), a length, so many bytes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/types.h>

#include "abi.h"
#include "decode.h"
#include "hash.h"
#include "log.h"
#include "recorder.h"
#include "servers/server.h"
#include "source.h"
#include "wire.h"

#define CONNS	 4
#define PID	 7
#define SERVER	 "uwsgi" /* one whose processes hand requests on */
#define HELD_MAX 250	 /* of each stream, by the record of its turn */
#define MADE_MAX 8192

enum operation {
	READ,
	WRITE,
	READ_UNSEEN,
	WRITE_UNSEEN,
	END,
	CLOSE,
	CLOSED,
	LAST_CHUNK,
	READ_HELD,
	WRITE_HELD,
	OPERATIONS
};

struct held {
	size_t bytes;
	char data[HELD_MAX];
};

struct turn {
	uint64_t id, in, out, calls;
	bool last_chunk;
	struct held read, written;
};

struct sums {
	uint64_t in, out, calls;
};

union wire_record {
	struct rec_wire_bytes head;
	char bytes[sizeof(struct rec_wire_bytes) + 256];
};

static struct event event;
static struct turn turns[CONNS];
static struct sums given, made;
static uint64_t now_ns;
/* What was made of the live records, and how much of it the recording has had. */
static uint32_t live[MADE_MAX];
static size_t live_count, replayed_count;
static struct event_counters counted;
static struct wire *wire;
static struct recorder *recorder;

static void ensure(bool holds)
{
	if (!holds)
		abort();
}

/* --- what comes out --------------------------------------------------------------------------- */

static uint32_t text_hash(uint32_t hash, const struct event_text *text)
{
	const struct request_text bytes = text->text;
	uint8_t seen = (uint8_t)(2 * !!bytes.ptr + text->cut);

	hash = hash_bytes(hash, &seen, 1);
	return bytes.ptr ? hash_bytes(hash, bytes.ptr, bytes.bytes) : hash;
}

/* A path may be one text or two. */
static struct event_text path_join(const struct event_request *r, char *room)
{
	struct event_text path = r->path;

	if (!r->script.text.ptr)
		return path;
	memcpy(room, r->script.text.ptr, r->script.text.bytes);
	memcpy(room + r->script.text.bytes, path.text.ptr, path.text.bytes);
	path.text.ptr = room;
	path.text.bytes += r->script.text.bytes;
	return path;
}

/* All of a request that a line of output can show. */
static uint32_t request_hash(const struct event *from)
{
	const struct event_request *r = &from->request;
	char room[STR_SCRIPT_MAX + STR_PATH_MAX];
	struct event_text path = path_join(r, room);
	uint64_t numbers[] = {from->pid,	  from->tid,	    r->id,
			      r->start_ns,	  r->end_ns,	    r->queue_ns,
			      r->writes.calls,	  r->writes.bytes,  r->writes.time_ns,
			      r->writes.first_ns, r->writes.status, (uint64_t)r->writes.error,
			      r->writes.family,	  r->reads.bytes,   r->turn.conn,
			      r->no_end,	  r->write_short,   r->turn.truncated,
			      r->turn.pipelined};
	uint32_t hash = hash_bytes(0, numbers, sizeof(numbers));

	hash = text_hash(hash, &r->method);
	hash = text_hash(hash, &path);
	hash = text_hash(hash, &r->queue);
	hash = text_hash(hash, &r->traceparent);
	return hash_bytes(hash, r->states.ns, sizeof(r->states.ns));
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
	ensure(live_count < MADE_MAX);
	live[live_count++] = request_hash(from);
	return 0;
}

static const struct server *server_of(void *context, uint32_t pid)
{
	return server_named(SERVER);
}

static int on_replayed(void *context, const void *record, size_t bytes)
{
	ensure(!decode_record(record, bytes, &event));
	ensure(event.kind != EVENT_IS_WIRE);
	if (event.kind == EVENT_IS_REQUEST) {
		ensure(event.request.turn.made && !event.request.turn.is_turn);
		ensure(replayed_count < live_count && request_hash(&event) == live[replayed_count]);
		replayed_count++;
	}
	if (event.kind == EVENT_IS_COUNTERS)
		counted = event.counters; /* the last are all */
	return 0;
}

static void losses_check(void)
{
	for (int loss = 0; loss < WIRE_LOSSES; loss++) {
		const struct request_count *count = counted.losses;

		while (count->name && strcmp(count->name, wire_loss_name(loss)))
			count++;
		ensure(count->name && count->value == wire_lost(wire, loss));
	}
}

/* --- what goes in ----------------------------------------------------------------------------- */

static struct rec_header header_make(enum rec_kind kind, size_t bytes)
{
	return (struct rec_header){.size = (__u32)bytes,
				   .kind = (__u16)kind,
				   .version = REC_VERSION,
				   .tgid = PID,
				   .tid = PID + 1,
				   .time_ns = now_ns};
}

static void give(const void *record, size_t bytes)
{
	ensure(!decode_record(record, bytes, &event));
	ensure(!wire_event(wire, &event));
	ensure(!recorder_record(recorder, record, bytes));
}

static void bytes_give(unsigned int conn, enum rec_wire_what what, uint64_t offset,
		       const void *data, size_t bytes)
{
	union wire_record record = {0};
	size_t size = sizeof(record.head) + ((bytes + 7) & ~(size_t)7);

	record.head.h = header_make(REC_WIRE, size);
	record.head.conn = conn + 1;
	record.head.id = what == WIRE_CLOSED ? 0 : turns[conn].id;
	record.head.offset = offset;
	record.head.what = what;
	record.head.bytes = (__u32)bytes;
	if (bytes)
		memcpy(record.bytes + sizeof(record.head), data, bytes);
	give(&record, size);
}

/* What is held goes before what is not. */
static void held_give(unsigned int conn, enum rec_wire_what what, struct held *held)
{
	if (held->bytes)
		bytes_give(conn, what, 0, held->data, held->bytes);
	held->bytes = 0;
}

/* All of a stream so far, or nothing; false: no room. */
static bool hold(struct held *held, uint64_t before, const void *data, size_t bytes)
{
	if (held->bytes != before || bytes > HELD_MAX - held->bytes)
		return false;
	memcpy(held->data + held->bytes, data, bytes);
	held->bytes += bytes;
	return true;
}

static void held_put(struct rec_request *r, enum rec_turn_string which, const struct held *held)
{
	r->str[which] =
		(struct rec_str){.offset = (__u16)r->text_bytes, .bytes = (__u16)held->bytes};
	memcpy(r->text + r->text_bytes, held->data, held->bytes);
	r->text_bytes += (__u32)held->bytes;
}

static void end_give(unsigned int conn, bool closed)
{
	struct turn *turn = &turns[conn];
	struct rec_request r = {.flags = REC_F_WIRE | REC_F_STATES};

	r.id = turn->id;
	r.conn = conn + 1;
	r.start_ns = now_ns > 1000 ? now_ns - 1000 : 1;
	r.end_ns = turn->calls ? now_ns : 0;
	r.fd = -1;
	r.writes.calls = turn->calls;
	r.writes.bytes = turn->out;
	r.writes.last_ns = r.end_ns;
	r.writes.family = REC_FAMILY_INET6;
	r.reads.bytes = turn->in;
	r.reads.states_ns = r.start_ns;
	r.states.ns[STATE_CPU] = 1000;
	r.flags |= turn->in ? 0 : REC_F_WIRE_ANSWER;
	r.flags |= turn->last_chunk ? REC_F_WIRE_LAST_CHUNK : 0;
	r.flags |= closed ? REC_F_WIRE_CLOSED : 0;
	held_put(&r, TURN_READ, &turn->read);
	held_put(&r, TURN_WRITTEN, &turn->written);
	r.h = header_make(REC_REQUEST,
			  offsetof(struct rec_request, text) + ((r.text_bytes + 7) & ~7U));
	given.in += turn->in;
	given.out += turn->out;
	given.calls += turn->calls;
	*turn = (struct turn){.id = turn->id + CONNS};
	give(&r, r.h.size);
}

static void read_give(unsigned int conn, bool holds, const uint8_t *data, size_t bytes)
{
	struct turn *turn = &turns[conn];

	if (holds && hold(&turn->read, turn->in, data, bytes))
		return;
	held_give(conn, WIRE_READ, &turn->read);
	bytes_give(conn, WIRE_READ, turn->in, data, bytes);
}

static void write_give(unsigned int conn, bool holds, const uint8_t *data, size_t bytes)
{
	struct turn *turn = &turns[conn];

	if (holds && hold(&turn->written, turn->out, data, bytes))
		return;
	held_give(conn, WIRE_WRITTEN, &turn->written);
	bytes_give(conn, WIRE_WRITTEN, turn->out, data, bytes);
}

static void operate(enum operation operation, unsigned int conn, const uint8_t *data, size_t bytes)
{
	struct turn *turn = &turns[conn];

	now_ns += 1000000 + (uint64_t)bytes * 1000000;
	switch (operation) {
	case READ:
	case READ_HELD:
		read_give(conn, operation == READ_HELD, data, bytes);
		/* fall through */
	case READ_UNSEEN:
		turn->in += bytes;
		break;
	case WRITE:
	case WRITE_HELD:
		write_give(conn, operation == WRITE_HELD, data, bytes);
		/* fall through */
	case WRITE_UNSEEN:
		turn->out += bytes;
		turn->calls++;
		break;
	case END:
	case CLOSE:
		end_give(conn, operation == CLOSE);
		break;
	case CLOSED:
		bytes_give(conn, WIRE_CLOSED, 0, NULL, 0);
		break;
	default:
		turn->last_chunk = true;
	}
}

/* --- the two ways ----------------------------------------------------------------------------- */

static void begin(void)
{
	memset(&given, 0, sizeof(given));
	memset(&made, 0, sizeof(made));
	live_count = replayed_count = 0;
	now_ns = 1000000;
	for (unsigned int i = 0; i < CONNS; i++)
		turns[i] = (struct turn){.id = i + 1};
}

static void records_give(const uint8_t *data, size_t bytes)
{
	struct rec_worker worker = {.h = header_make(REC_WORKER, sizeof(worker)), .server = SERVER};
	struct rec_counters counters = {.h = header_make(REC_COUNTERS, sizeof(counters))};

	give(&worker, sizeof(worker));
	while (bytes >= 2) {
		size_t length = data[1];

		if (length > bytes - 2)
			length = bytes - 2;
		operate(data[0] / CONNS % OPERATIONS, data[0] % CONNS, data + 2, length);
		data += 2 + length;
		bytes -= 2 + length;
	}
	ensure(!recorder_record(recorder, &counters, sizeof(counters)));
}

static void replay(const char *path)
{
	struct source *source;
	int more;

	ensure(!source_file_open(path, &source));
	do
		more = source->ops->dispatch(source, on_replayed, NULL);
	while (more > 0);
	ensure(!more && replayed_count == live_count);
	losses_check();
	source->ops->close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct wire_user user = {on_request, server_of, NULL};
	const struct source_clock clock = {0};
	struct recording *recording;
	static char path[64];

	if (!path[0])
		snprintf(path, sizeof(path), "/proc/self/fd/%d",
			 memfd_create("recording", MFD_CLOEXEC));
	log_level_set(LOG_LEVEL_NONE);
	begin();
	ensure(!recording_create(path, &recording) && !recorder_new(recording, path, &recorder));
	ensure(!wire_new(&user, &wire));
	recorder_begin(recorder, &clock);
	records_give(data, bytes);
	ensure(!wire_end(wire) && !recorder_end(recorder, 0));
	recorder_free(recorder);
	ensure(!recording_close(recording));
	replay(path);
	wire_free(wire);
	return 0;
}
