/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns of connections made by hand, and the requests that the judge made of them, for the tests of
 * wire.c. A turn is what was read and what was written, as the kernel side would have cut it. Each
 * test runs twice: all bytes come before the turn's record; it holds them, where it can.
 */
#ifndef WSGISCOPE_TESTS_TURN_MAKE_H
#define WSGISCOPE_TESTS_TURN_MAKE_H

#include <ctype.h>
#include <stdio.h>

#include <linux/types.h>

#include "abi.h"
#include "decode.h"
#include "encode.h"
#include "log.h"
#include "servers/server.h"
#include "unit.h"
#include "wire.h"

#define CONN  UINT64_C(4711)
#define PID   7
#define MS    UINT64_C(1000000)
#define FIRST (UINT64_C(1) << 40)

#define OK_HEAD	  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define OK_ANSWER OK_HEAD "12345"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

#define MADE_MAX 600

/* A request that was handed out. */
struct made {
	char method[17], path[64];
	struct event_request request;
};

static struct wire *wire;
static struct made made[MADE_MAX];
static unsigned int made_count;
static uint64_t now_ns;
static struct event event;
static uint32_t turn_pid = PID;
static bool holds; /* the turns' records hold bytes */

/* The turn that is being made. */
static struct {
	uint64_t id, conn, begin_ns;
	uint64_t in, out, calls, first_ns;
	size_t read_held, written_held;
	char read[512], written[STR_TEXT_MAX];
} turn;

static inline void text_copy(char *out, size_t size, struct request_text text)
{
	assert_true(text.bytes < size);
	if (text.ptr)
		memcpy(out, text.ptr, text.bytes);
	out[text.bytes] = '\0';
}

static inline void text_check(struct request_text one, struct request_text other)
{
	assert_int_equal(!one.ptr, !other.ptr);
	assert_int_equal(one.bytes, other.bytes);
	if (one.ptr)
		assert_memory_equal(one.ptr, other.ptr, one.bytes);
}

/* A recording of it says the same. */
static inline void record_check(const struct event *from)
{
	static const char *const peers[] = {"", "unix", "10.0.0.5:5432", "[fe80::1]:80"};
	static unsigned int turns;
	static struct rec_request record, again;
	static struct event to, with_peer;

	with_peer = *from;
	snprintf(with_peer.request.states.peer, EVENT_PEER_BYTES, "%s", peers[turns++ % 4]);
	assert_int_equal(decode_record(&record, encode_made(&with_peer, &record), &to), 0);
	assert_true(to.kind == from->kind && to.pid == from->pid && to.tid == from->tid);
	assert_string_equal(to.request.states.peer, with_peer.request.states.peer);
	assert_memory_equal(&to.request.writes, &from->request.writes, sizeof(to.request.writes));
	assert_memory_equal(&to.request.reads, &from->request.reads, sizeof(to.request.reads));
	assert_int_equal(to.request.start_ns, from->request.start_ns);
	assert_int_equal(to.request.end_ns, from->request.end_ns);
	text_check(to.request.method.text, from->request.method.text);
	text_check(to.request.queue.text, from->request.queue.text);
	text_check(to.request.traceparent.text, from->request.traceparent.text);
	if (!to.request.script.text.ptr)
		text_check(to.request.path.text, from->request.path.text);
	encode_made(&to, &again);
	if (!to.request.script.text.ptr)
		assert_memory_equal(&again, &record, record.h.size);
}

static inline int on_request(void *context, const struct event *from)
{
	struct made *to = &made[made_count++];

	assert_true(made_count <= MADE_MAX);
	assert_true(from->kind == EVENT_IS_REQUEST && from->request.turn.made);
	assert_int_equal(from->pid, turn_pid);
	record_check(from);
	to->request = from->request;
	text_copy(to->method, sizeof(to->method), from->request.method.text);
	text_copy(to->path, sizeof(to->path), from->request.path.text);
	return 0;
}

/* Of processes from RELAY on: httpd and its daemons. */
#define RELAY 1000

static inline const struct server *server_of(void *context, uint32_t pid)
{
	return server_named(pid >= RELAY ? "mod_wsgi" : NULL);
}

static inline int setup(void **state)
{
	const struct wire_user user = {on_request, server_of, NULL};

	log_level_set(LOG_LEVEL_NONE);
	made_count = 0;
	now_ns = 1000 * MS;
	return wire_new(&user, &wire);
}

static inline int teardown(void **state)
{
	wire_free(wire);
	return 0;
}

static inline void give(enum event_kind kind)
{
	event.kind = kind;
	event.pid = turn_pid;
	event.tid = PID + 1;
	event.time_ns = now_ns;
	assert_int_equal(wire_event(wire, &event), 0);
}

static inline void begin_on(uint64_t conn)
{
	static uint64_t id = FIRST;

	memset(&turn, 0, sizeof(turn));
	turn.id = id++;
	turn.conn = conn;
}

static inline void begin(void)
{
	begin_on(CONN);
}

static inline void bytes_give(enum event_wire_what what, const char *bytes, size_t count,
			      uint64_t at)
{
	memset(&event.wire, 0, sizeof(event.wire));
	event.wire.conn = turn.conn;
	event.wire.turn = turn.id;
	event.wire.what = what;
	event.wire.offset = at;
	event.wire.bytes = (unsigned int)count;
	memcpy(event.wire.data, bytes, count);
	give(EVENT_IS_WIRE);
}

/* As the kernel side would: the first read, where it is little and HTTP's. */
static inline bool read_hold(const char *bytes, size_t count)
{
	if (!holds || turn.in || turn.out || count < 3 || count > sizeof(turn.read) ||
	    !isupper((unsigned char)bytes[0]) || !isupper((unsigned char)bytes[1]) ||
	    !isupper((unsigned char)bytes[2]))
		return false;
	memcpy(turn.read, bytes, count);
	turn.read_held = count;
	return true;
}

/* All that was written so far, where there is room. */
static inline bool written_hold(const char *bytes, size_t count)
{
	if (!holds || turn.written_held != turn.out ||
	    count > sizeof(turn.written) - turn.read_held - turn.written_held)
		return false;
	memcpy(turn.written + turn.written_held, bytes, count);
	turn.written_held += count;
	return true;
}

/* What is held goes before what is not. */
static inline void held_give(enum event_wire_what what, const char *bytes, size_t *held)
{
	if (*held)
		bytes_give(what, bytes, *held, 0);
	*held = 0;
}

/* A read of so many bytes, of which as many are copied as the kernel side would. */
static inline void reads(const char *bytes, size_t count)
{
	size_t kept = turn.in >= 8192 ? 0 : count > 8192 - turn.in ? 8192 - turn.in : count;

	now_ns += MS;
	if (!turn.begin_ns)
		turn.begin_ns = now_ns;
	if (!read_hold(bytes, count)) {
		held_give(WIRE_WAS_READ, turn.read, &turn.read_held);
		if (kept)
			bytes_give(WIRE_WAS_READ, bytes, kept, turn.in);
	}
	turn.in += count;
}

static inline void reads_text(const char *text)
{
	reads(text, strlen(text));
}

static inline void writes(const char *bytes, size_t count)
{
	size_t kept = turn.out >= 1024 ? 0 : count > 1024 - turn.out ? 1024 - turn.out : count;

	now_ns += MS;
	if (!turn.first_ns)
		turn.first_ns = now_ns;
	if (!turn.begin_ns)
		turn.begin_ns = now_ns;
	if (!written_hold(bytes, count)) {
		held_give(WIRE_WAS_WRITTEN, turn.written, &turn.written_held);
		if (kept)
			bytes_give(WIRE_WAS_WRITTEN, bytes, kept, turn.out);
	}
	turn.out += count;
	turn.calls++;
}

static inline void writes_text(const char *text)
{
	writes(text, strlen(text));
}

/* The turn's record, but for what it says of its end. */
static inline struct event_request *record(void)
{
	struct event_request *r = &event.request;

	memset(r, 0, sizeof(*r));
	r->id = turn.id;
	r->start_ns = turn.begin_ns;
	r->end_ns = turn.calls ? now_ns : 0;
	r->no_end = !turn.calls;
	r->writes = (struct event_writes){.calls = turn.calls,
					  .bytes = turn.out,
					  .time_ns = turn.calls * 1000,
					  .first_ns = turn.first_ns,
					  .family = FAMILY_INET};
	r->reads = (struct event_reads){turn.in, 1, turn.begin_ns};
	r->states.seen = turn.calls != 0;
	r->turn = (struct event_turn){.is_turn = true,
				      .conn = turn.conn,
				      .last_ns = turn.calls ? now_ns : 0,
				      .answer = !turn.in};
	if (turn.read_held)
		r->turn.read = (struct request_text){turn.read, turn.read_held};
	if (turn.written_held)
		r->turn.written = (struct request_text){turn.written, turn.written_held};
	return r;
}

static inline void end(void)
{
	record();
	give(EVENT_IS_REQUEST);
}

static inline void end_closed(void)
{
	record()->turn.closed = true;
	give(EVENT_IS_REQUEST);
}

static inline void closed(void)
{
	memset(&event.wire, 0, sizeof(event.wire));
	event.wire.conn = CONN;
	event.wire.what = WIRE_WAS_CLOSED;
	give(EVENT_IS_WIRE);
}

static inline void check(unsigned int i, const char *method, const char *path, unsigned int status,
			 uint64_t request_bytes, uint64_t write_bytes)
{
	assert_true(i < made_count);
	assert_string_equal(made[i].method, method);
	assert_string_equal(made[i].path, path);
	assert_int_equal(made[i].request.writes.status, status);
	assert_int_equal(made[i].request.reads.bytes, request_bytes);
	assert_int_equal(made[i].request.writes.bytes, write_bytes);
}

static inline int run_twice(const struct CMUnitTest *tests, size_t count)
{
	int failed = _cmocka_run_group_tests("bytes before", tests, count, NULL, NULL);

	holds = true;
	return failed + _cmocka_run_group_tests("bytes held", tests, count, NULL, NULL);
}

static inline void check_lost(enum wire_loss loss, uint64_t count)
{
	for (int i = 0; i < WIRE_LOSSES; i++)
		assert_int_equal(wire_lost(wire, i), i == (int)loss ? count : 0);
}

#endif
