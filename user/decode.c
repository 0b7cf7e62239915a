/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the reading of raw records: every size, offset, kind and enum is checked before use. Keeps
 * nothing between two records. Must not judge what the numbers mean: that is assemble.c's.
 */
#include "decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>

#include "abi.h"
#include "decode_parts.h"
#include "marks.h"
#include "utf8.h"

static const char *const event_names[EVENT_COUNT] = {
	[EVENT_START] = "starts",
	[EVENT_BLOCK] = "blocks",
	[EVENT_END] = "ends",
	[EVENT_WRITE] = "writes",
	[EVENT_RECORD] = "records",
	[EVENT_SAMPLE] = "samples",
	[EVENT_WAIT_UNASKED] = "waits_unasked",
	[EVENT_TURN] = "turns",
	[EVENT_READ] = "reads",
};

static const char *const loss_names[DROP_REASONS] = {
	[DROP_RING_FULL] = "ring_full",
	[DROP_REQUESTS_FULL] = "requests_full",
	[DROP_BAD_MARK] = "bad_mark",
	[DROP_MARKER_VERSION] = "marker_version",
	[DROP_BAD_STRING] = "bad_string",
	[DROP_THREAD_STATE] = "thread_state",
	[DROP_NO_START] = "no_start",
	[DROP_ID_REUSED] = "id_reused",
	[DROP_FD_UNREADABLE] = "fd_unreadable",
	[DROP_SWEEP_RACE] = "sweep_race",
	[DROP_STREAM] = "stream",
	[DROP_IN_FLIGHT] = "in_flight",
	[DROP_WAIT_UNSAMPLED] = "wait_unsampled",
	[DROP_CODE_LOST] = "code_lost",
	[DROP_WIRE_UNREAD] = "wire_unread",
	[DROP_CODE_STALE] = "code_stale",
	[DROP_WIRE_TLS] = "wire_tls",
	[DROP_WIRE_HTTP2] = "wire_http2",
	[DROP_WIRE_UPGRADED] = "wire_upgraded",
	[DROP_WIRE_FOREIGN] = "wire_foreign",
	[DROP_WIRE_PARTIAL] = "wire_partial",
	[DROP_WIRE_STRAY] = "wire_stray",
	[DROP_WIRE_UNSPLIT] = "wire_unsplit",
	[DROP_WIRE_FULL] = "wire_full",
	[DROP_WIRE_OPEN] = "wire_open",
	[DROP_UNWRITTEN] = "unwritten",
	[DROP_UNWRITTEN_PARTS] = "unwritten_parts",
};

/* Of the names of the rows in user/servers/. */
#define SERVER_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

_Static_assert(EVENT_READ + 1 == EVENT_COUNT, "a new event needs its name above");
_Static_assert(DROP_UNWRITTEN_PARTS + 1 == DROP_REASONS, "a new reason needs its name above");

_Static_assert(EVENT_COUNT < EVENT_COUNTS_MAX, "room for the end of the list");
_Static_assert(DROP_REASONS + 6 < EVENT_COUNTS_MAX, "room for the pipeline's own and the end");
_Static_assert(WIRE_READ_MAX <= EVENT_WIRE_BYTES && WIRE_WRITTEN_MAX <= EVENT_WIRE_BYTES,
	       "what is copied of a connection fits");
_Static_assert(REC_SERVER_MAX == EVENT_SERVER_BYTES, "server names fit");
_Static_assert(REC_APP_MAX == EVENT_APP_BYTES, "application names fit");

/*
 * The strings of a request: where each goes, its bound, and whether it is a PEP 3333 string (its
 * characters are bytes) or text that CPython keeps one byte a character where it can.
 */
static const struct string_row {
	size_t offset; /* of a struct event_text in struct event_request */
	unsigned int max;
	bool pep3333;
} string_rows[STR_COUNT] = {
#define ROW(field, max, pep3333)                                                                   \
	{                                                                                          \
		offsetof(struct event_request, field), max, pep3333                                \
	}
	[STR_METHOD] = ROW(method, STR_METHOD_MAX, true),
	[STR_SCRIPT] = ROW(script, STR_SCRIPT_MAX, true),
	[STR_PATH] = ROW(path, STR_PATH_MAX, true),
	[STR_QUEUE] = ROW(queue, STR_QUEUE_MAX, true),
	[STR_TRACEPARENT] = ROW(traceparent, STR_TRACEPARENT_MAX, true),
	[STR_APP] = ROW(app, STR_APP_MAX, false),
	[STR_ROUTE] = ROW(route, STR_ROUTE_MAX, false),
	[STR_EXCEPTION] = ROW(exception, STR_EXCEPTION_MAX, false),
#undef ROW
};

/* The widest: Latin-1 text doubles. */
_Static_assert(2 * (STR_METHOD_MAX + STR_SCRIPT_MAX + STR_PATH_MAX + STR_QUEUE_MAX +
		    STR_TRACEPARENT_MAX + STR_APP_MAX + STR_ROUTE_MAX + STR_EXCEPTION_MAX) <=
		       EVENT_TEXT_BYTES,
	       "all strings fit at their widest");

/* Puts bytes of a kind to out; how many that makes there. -EBADMSG: not whole characters. */
static int text_convert(char *out, const char *from, unsigned int bytes, unsigned int kind,
			bool pep3333)
{
	unsigned int width = kind == WSGISCOPE_STR_UCS2 ? 2 : kind == WSGISCOPE_STR_UCS4 ? 4 : 1;
	size_t used = 0;

	if (kind == WSGISCOPE_STR_UTF8 || (kind == WSGISCOPE_STR_LATIN1 && pep3333)) {
		memcpy(out, from, bytes);
		return (int)bytes;
	}
	if (bytes % width)
		return -EBADMSG;
	for (unsigned int i = 0; i < bytes; i += width)
		used += utf8_put(out + used, utf8_character(from + i, width));
	return (int)used;
}

static bool string_kind_known(unsigned int kind)
{
	return kind == WSGISCOPE_STR_NONE || kind == WSGISCOPE_STR_LATIN1 ||
	       kind == WSGISCOPE_STR_UCS2 || kind == WSGISCOPE_STR_UCS4 ||
	       kind == WSGISCOPE_STR_UTF8;
}

static int strings_decode(const struct rec_request *record, struct event_request *out)
{
	size_t used = 0;

	for (int i = 0; i < STR_COUNT; i++) {
		const struct rec_str *string = &record->str[i];
		const struct string_row *row = &string_rows[i];
		struct event_text *text = (struct event_text *)((char *)out + row->offset);
		int made;

		if (!string_kind_known(string->kind) || string->bytes > row->max ||
		    (unsigned int)string->offset + string->bytes > record->text_bytes)
			return -EBADMSG;
		text->cut = string->cut;
		text->failed = string->failed;
		if (string->kind == WSGISCOPE_STR_NONE || string->failed)
			continue;
		made = text_convert(out->storage + used, record->text + string->offset,
				    string->bytes, string->kind, row->pep3333);
		if (made < 0)
			return made;
		text->text = (struct request_text){out->storage + used, (size_t)made};
		used += (size_t)made;
	}
	return 0;
}

static int writes_decode(const struct rec_writes *record, struct event_writes *out)
{
	static const enum request_family families[] = {
		[REC_FAMILY_NONE] = FAMILY_UNSEEN, [REC_FAMILY_INET] = FAMILY_INET,
		[REC_FAMILY_INET6] = FAMILY_INET6, [REC_FAMILY_UNIX] = FAMILY_UNIX,
		[REC_FAMILY_OTHER] = FAMILY_OTHER,
	};

	if (record->family >= sizeof(families) / sizeof(families[0]))
		return -EBADMSG;
	*out = (struct event_writes){
		.calls = record->calls,
		.bytes = record->bytes,
		.time_ns = record->time_ns,
		.first_ns = record->first_ns,
		.status = record->wire_status,
		.error = record->error,
		.family = families[record->family],
	};
	return 0;
}

bool decode_peer(const struct rec_peer *record, char *out)
{
	char address[INET6_ADDRSTRLEN] = "";

	switch (record->family) {
	case REC_FAMILY_NONE:
		out[0] = '\0';
		return true;
	case REC_FAMILY_INET:
		inet_ntop(AF_INET, record->address, address, sizeof(address));
		snprintf(out, EVENT_PEER_BYTES, "%s:%u", address, record->port);
		return true;
	case REC_FAMILY_INET6:
		inet_ntop(AF_INET6, record->address, address, sizeof(address));
		snprintf(out, EVENT_PEER_BYTES, "[%s]:%u", address, record->port);
		return true;
	case REC_FAMILY_UNIX:
		snprintf(out, EVENT_PEER_BYTES, "unix");
		return true;
	default:
		return false;
	}
}

static int states_decode(const struct rec_request *request, struct event_states *out)
{
	const struct rec_states *record = &request->states;

	_Static_assert((int)STATE_COUNT == (int)REQUEST_STATES, "the states are the same");
	out->seen = request->flags & REC_F_STATES;
	out->mixed = request->flags & REC_F_STATES_MIXED;
	out->gil_unseen = request->flags & REC_F_GIL_UNSEEN;
	out->gc_seen = request->flags & REC_F_GC_SEEN;
	memcpy(out->ns, record->ns, sizeof(out->ns));
	out->client_read_ns = record->client_read_ns;
	out->peer_ns = record->peer.wait_ns;
	out->gc_ns = record->gc_ns;
	out->gc_count = record->gc_count;
	return decode_peer(&record->peer, out->peer) ? 0 : -EBADMSG;
}

/* Where the worker could not tell the connection, another may have been taken for it: that nothing
 * was written on that one says nothing. */
static bool conn_doubtful(const struct rec_request *record)
{
	return record->fd < 0 && !(record->flags & (REC_F_WIRE | REC_F_WIRE_MADE)) &&
	       !record->writes.calls;
}

static void flags_decode(const struct rec_request *record, struct event_request *out)
{
	uint32_t mark = record->mark_flags, flags = record->flags;

	out->raised_call = mark & WSGISCOPE_F_EXC_CALL;
	out->raised_iter = mark & WSGISCOPE_F_EXC_ITER;
	out->raised_close = mark & WSGISCOPE_F_EXC_CLOSE;
	out->exhausted = mark & WSGISCOPE_F_EXHAUSTED;
	out->closed = mark & WSGISCOPE_F_CLOSED;
	out->unclosed = mark & WSGISCOPE_F_UNCLOSED;
	out->is_bytes = mark & WSGISCOPE_F_BYTES;
	out->is_str = mark & WSGISCOPE_F_STR;
	out->is_file_wrapper = mark & WSGISCOPE_F_FILE_WRAPPER;
	out->used_write = mark & WSGISCOPE_F_WRITE;
	out->blocks_unseen = mark & WSGISCOPE_F_BLOCKS_UNSEEN;
	out->end_inferred = mark & WSGISCOPE_F_END_INFERRED;
	out->nested = mark & WSGISCOPE_F_NESTED;
	out->no_start = flags & REC_F_NO_START;
	out->no_end = flags & REC_F_NO_END;
	out->conn_unknown = flags & REC_F_CONN_UNKNOWN || conn_doubtful(record);
	out->writes_cut = flags & REC_F_WRITES_CUT;
	out->write_short = flags & REC_F_WRITE_SHORT;
	out->text_unread = flags & REC_F_TEXT_UNREAD;
	out->id_reused = flags & REC_F_ID_REUSED;
}

static void turn_decode(const struct rec_request *record, struct event_request *out)
{
	uint32_t flags = record->flags;
	bool made = flags & REC_F_WIRE_MADE && !(flags & REC_F_WIRE);

	out->reads = (struct event_reads){
		.bytes = record->reads.bytes,
		.calls = record->reads.calls,
		.states_ns = record->reads.states_ns,
	};
	out->turn = (struct event_turn){
		.is_turn = flags & REC_F_WIRE,
		.conn = record->conn,
		.last_ns = record->writes.last_ns,
		.answer = flags & REC_F_WIRE_ANSWER,
		.last_chunk = flags & REC_F_WIRE_LAST_CHUNK,
		.closed = flags & REC_F_WIRE_CLOSED,
		.made = made,
		.truncated = made && flags & REC_F_WIRE_TRUNCATED,
		.pipelined = made && flags & REC_F_WIRE_PIPELINED,
	};
}

/* The bytes of a stream that the record of its turn holds. */
static int held_decode(const struct rec_request *record, enum rec_turn_string which, char *storage,
		       struct request_text *out)
{
	const struct rec_str *string = &record->str[which];

	if ((unsigned int)string->offset + string->bytes > record->text_bytes)
		return -EBADMSG;
	if (!string->bytes)
		return 0;
	memcpy(storage, record->text + string->offset, string->bytes);
	*out = (struct request_text){storage, string->bytes};
	return 0;
}

_Static_assert(STR_TEXT_MAX <= EVENT_TEXT_BYTES, "all that a turn's record holds fits");

static int turn_held_decode(const struct rec_request *record, struct event_request *out)
{
	const struct rec_str *read = &record->str[TURN_READ];

	if ((unsigned int)read->bytes + record->str[TURN_WRITTEN].bytes > record->text_bytes)
		return -EBADMSG;
	if (held_decode(record, TURN_READ, out->storage, &out->turn.read))
		return -EBADMSG;
	return held_decode(record, TURN_WRITTEN, out->storage + read->bytes, &out->turn.written);
}

static int request_decode(const void *raw, size_t bytes, struct event_request *out)
{
	const size_t fixed = offsetof(struct rec_request, text);
	struct rec_request record;

	if (bytes < fixed || bytes > sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, bytes);
	if (record.text_bytes > bytes - fixed)
		return -EBADMSG;
	memset(out, 0, offsetof(struct event_request, storage));
	out->id = record.id;
	out->start_ns = record.start_ns;
	out->end_ns = record.flags & REC_F_NO_END ? 0 : record.end_ns;
	out->output_ns = record.output_ns;
	out->blocks = record.blocks;
	out->bytes = record.bytes;
	out->status = record.status;
	flags_decode(&record, out);
	out->queue_ns = record.queue_ns;
	turn_decode(&record, out);
	if (writes_decode(&record.writes, &out->writes) || states_decode(&record, &out->states))
		return -EBADMSG;
	return out->turn.is_turn ? turn_held_decode(&record, out) : strings_decode(&record, out);
}

static int block_decode(const void *raw, size_t bytes, struct event_block *out)
{
	struct rec_block record;

	if (bytes != sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, sizeof(record));
	*out = (struct event_block){record.id, record.index, record.bytes, record.app_ns,
				    record.output_ns};
	return 0;
}

static int process_decode(const void *raw, size_t bytes, struct event_process *out)
{
	struct rec_process record;

	if (bytes != sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, sizeof(record));
	out->other = record.other;
	switch (record.what) {
	case REC_PROCESS_FORK:
		out->what = PROCESS_FORKED;
		return 0;
	case REC_PROCESS_EXEC:
		out->what = PROCESS_EXECED;
		return 0;
	case REC_PROCESS_EXIT:
		out->what = PROCESS_EXITED;
		return 0;
	case REC_PROCESS_THREAD_EXIT:
		out->what = PROCESS_THREAD_EXITED;
		return 0;
	case REC_PROCESS_NEW:
	case REC_PROCESS_FD_HIDDEN:
		out->what = PROCESS_NOTED; /* for the source alone */
		return 0;
	default:
		return -EBADMSG;
	}
}

static int worker_decode(const void *raw, size_t bytes, struct event_worker *out)
{
	struct rec_worker record = {.flags = REC_WORKER_MARKER};

	if (bytes != sizeof(record) && bytes != offsetof(struct rec_worker, flags))
		return -EBADMSG;
	memcpy(&record, raw, bytes);
	if (!memchr(record.server, '\0', sizeof(record.server)) ||
	    !memchr(record.app, '\0', sizeof(record.app)))
		return -EBADMSG;
	if (record.server[strspn(record.server, SERVER_LETTERS)])
		return -EBADMSG;
	out->parent = record.parent;
	out->python = record.python;
	memcpy(out->server, record.server, sizeof(out->server));
	out->has_marker = record.flags & REC_WORKER_MARKER;
	out->is_wired = record.flags & REC_WORKER_WIRE;
	memcpy(out->app, record.app, sizeof(out->app));
	out->app_source = !record.app[0]			  ? APP_UNKNOWN
			  : record.flags & REC_WORKER_APP_ADDRESS ? APP_ADDRESS
								  : APP_TITLE;
	return 0;
}

static int counters_decode(const void *raw, size_t bytes, struct event_counters *out)
{
	struct rec_counters record;

	if (bytes != sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, sizeof(record));
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < EVENT_COUNT; i++)
		out->events[i] = (struct request_count){event_names[i], record.events[i]};
	for (int i = 0; i < DROP_REASONS; i++)
		out->losses[i] = (struct request_count){loss_names[i], record.drops[i]};
	out->waits_unasked = record.events[EVENT_WAIT_UNASKED];
	return 0;
}

static int wire_decode(const void *raw, size_t bytes, struct event_wire *out)
{
	static const enum event_wire_what whats[] = {
		[WIRE_READ] = WIRE_WAS_READ,
		[WIRE_WRITTEN] = WIRE_WAS_WRITTEN,
		[WIRE_CLOSED] = WIRE_WAS_CLOSED,
	};
	struct rec_wire_bytes record;

	if (bytes < sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, sizeof(record));
	if (record.what < WIRE_READ || record.what > WIRE_CLOSED ||
	    record.bytes > sizeof(out->data) ||
	    bytes != sizeof(record) + ((record.bytes + 7) & ~7U))
		return -EBADMSG;
	out->conn = record.conn;
	out->turn = record.id;
	out->offset = record.offset;
	out->what = whats[record.what];
	out->bytes = record.bytes;
	memcpy(out->data, (const char *)raw + sizeof(record), record.bytes);
	return 0;
}

int decode_record(const void *record, size_t bytes, struct event *out)
{
	struct rec_header header;

	if (bytes < sizeof(header))
		return -EBADMSG;
	memcpy(&header, record, sizeof(header));
	if (header.size < sizeof(header) || header.size > bytes)
		return -EBADMSG;
	if (header.version != REC_VERSION)
		return -EPROTONOSUPPORT;
	out->pid = header.tgid;
	out->tid = header.tid;
	out->time_ns = header.time_ns;
	switch (header.kind) {
	case REC_REQUEST:
		out->kind = EVENT_IS_REQUEST;
		return request_decode(record, header.size, &out->request);
	case REC_BLOCK:
		out->kind = EVENT_IS_BLOCK;
		return block_decode(record, header.size, &out->block);
	case REC_PROCESS:
		out->kind = EVENT_IS_PROCESS;
		return process_decode(record, header.size, &out->process);
	case REC_WORKER:
		out->kind = EVENT_IS_WORKER;
		return worker_decode(record, header.size, &out->worker);
	case REC_COUNTERS:
		out->kind = EVENT_IS_COUNTERS;
		return counters_decode(record, header.size, &out->counters);
	case REC_CODE:
		out->kind = EVENT_IS_CODE;
		return decode_code(record, header.size, &out->code);
	case REC_SAMPLE:
		out->kind = EVENT_IS_SAMPLE;
		return decode_sample(record, header.size, &out->sample);
	case REC_WIRE:
		out->kind = EVENT_IS_WIRE;
		return wire_decode(record, header.size, &out->wire);
	default:
		return -EPROTONOSUPPORT;
	}
}

const char *decode_stream_loss(void)
{
	return loss_names[DROP_STREAM];
}
