/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the rules by which an event becomes a request, one function for each group of its fields. A
 * number is shown only where it was seen and can be: the worker's own words are weighed here.
 */
#include "assemble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "path_group.h"
#include "queue_time.h"
#include "worker_table.h"

/* Beyond it a count or a time is a lie (2^53 ns are 104 days), and a JSON reader loses digits. */
#define SEEN_MAX (UINT64_C(1) << 53)
/* The marker stamps the end before the kernel stamps the record; the clocks are the same one. */
#define CLOCK_SLACK_NS 1000000
/* Of the sum of the states, beside a per cent of it. */
#define STATES_SLACK_NS 10000

struct assembler {
	int64_t realtime_offset_ns;
	struct worker_table *workers;
	/* Of the last request. */
	char path[EVENT_TEXT_BYTES];
	char path_group[PATH_GROUP_BYTES];
	char peer[EVENT_PEER_BYTES];
};

int assembler_new(int64_t realtime_offset_ns, struct assembler **out)
{
	struct assembler *assembler = calloc(1, sizeof(*assembler));

	if (!assembler)
		return -ENOMEM;
	assembler->realtime_offset_ns = realtime_offset_ns;
	assembler->workers = worker_table_new();
	if (!assembler->workers) {
		free(assembler);
		return -ENOMEM;
	}
	*out = assembler;
	return 0;
}

void assembler_free(struct assembler *assembler)
{
	if (!assembler)
		return;
	worker_table_free(assembler->workers);
	free(assembler);
}

void assembler_learn(struct assembler *assembler, const struct event *event)
{
	const struct event_worker *worker = &event->worker;
	struct worker_names names = {0};

	if (event->kind == EVENT_IS_WORKER) {
		names = (struct worker_names){worker->server, worker->app, worker->app_source};
		worker_table_set(assembler->workers, event->pid, &names);
		return;
	}
	/* A process that exits is not forgotten: its last requests may still come. */
	switch (event->process.what) {
	case PROCESS_FORKED:
		names = worker_table_get(assembler->workers, event->pid);
		worker_table_set(assembler->workers, event->process.other, &names);
		break;
	case PROCESS_EXECED:
		worker_table_set(assembler->workers, event->pid, &names);
		break;
	default:
		break;
	}
}

static int64_t seen(uint64_t value)
{
	return value <= SEEN_MAX ? (int64_t)value : REQUEST_UNSEEN;
}

/* later - earlier, where that can be. */
static int64_t span(uint64_t earlier, uint64_t later)
{
	return earlier && later >= earlier ? seen(later - earlier) : REQUEST_UNSEEN;
}

static int64_t realtime(const struct assembler *assembler, uint64_t monotonic_ns)
{
	int64_t sum;

	if (monotonic_ns > INT64_MAX ||
	    __builtin_add_overflow((int64_t)monotonic_ns, assembler->realtime_offset_ns, &sum) ||
	    sum < 0)
		return 0;
	return sum;
}

/* The worker's clock is the kernel's: a time of after the record was made, or of long before it,
 * was not read from that clock. */
static bool time_possible(const struct event *event, uint64_t ns)
{
	return ns && ns <= event->time_ns + CLOCK_SLACK_NS &&
	       (ns >= event->time_ns || event->time_ns - ns <= SEEN_MAX);
}

/* The front end's header where there is one, else what the kernel saw. */
static void queue_fill(const struct event_request *from, struct request *out)
{
	struct request_text header = from->queue.text;

	if (header.ptr && !from->queue.cut)
		out->queue_ns = queue_time_parse(header.ptr, header.bytes, out->time_ns);
	if (out->queue_ns != REQUEST_UNSEEN) {
		out->queue_source = "x-request-start";
		return;
	}
	if (from->queue_ns && from->queue_ns <= SEEN_MAX) {
		out->queue_ns = (int64_t)from->queue_ns;
		out->queue_source = "socket";
	}
}

static void times_fill(const struct assembler *assembler, const struct event *event,
		       struct request *out)
{
	const struct event_request *from = &event->request;
	bool start_known = time_possible(event, from->start_ns);

	out->time_ns = realtime(assembler, start_known ? from->start_ns : event->time_ns);
	out->application_ns = REQUEST_UNSEEN;
	out->first_byte_ns = REQUEST_UNSEEN;
	out->queue_ns = REQUEST_UNSEEN;
	if (!start_known)
		return;
	queue_fill(from, out);
	if (time_possible(event, from->end_ns))
		out->application_ns = span(from->start_ns, from->end_ns);
	if (!from->conn_unknown)
		out->first_byte_ns = span(from->start_ns, from->writes.first_ns);
}

/* Seen on a socket alone. */
static bool is_wire(const struct event_request *from)
{
	return from->turn.made || from->turn.is_turn;
}

/* Output time, blocks and bytes: what the marker could not see or had no time to say is unseen. */
static void output_fill(const struct event_request *from, struct request *out)
{
	out->output_ns = REQUEST_UNSEEN;
	out->blocks = REQUEST_UNSEEN;
	out->bytes = REQUEST_UNSEEN;
	if (from->no_end || from->blocks_unseen || is_wire(from))
		return;
	out->bytes = seen(from->bytes);
	if (from->is_bytes || from->is_str) {
		out->blocks = 1; /* how the server takes it apart is not seen */
		return;
	}
	out->blocks = seen(from->blocks);
	if (out->application_ns != REQUEST_UNSEEN &&
	    from->output_ns <= (uint64_t)out->application_ns)
		out->output_ns = (int64_t)from->output_ns;
}

static int64_t status_seen(unsigned int status, unsigned int max)
{
	return status >= 100 && status <= max ? (int64_t)status : REQUEST_UNSEEN;
}

static void writes_fill(const struct event_request *from, struct request *out)
{
	out->request_bytes = from->reads.bytes ? seen(from->reads.bytes) : REQUEST_UNSEEN;
	out->write_calls = REQUEST_UNSEEN;
	out->write_bytes = REQUEST_UNSEEN;
	out->write_ns = REQUEST_UNSEEN;
	out->wire_status = REQUEST_UNSEEN;
	out->family = FAMILY_UNSEEN;
	if (from->conn_unknown)
		return;
	out->write_calls = seen(from->writes.calls);
	out->write_bytes = seen(from->writes.bytes);
	out->write_ns = seen(from->writes.time_ns);
	out->wire_status = status_seen(from->writes.status, 599);
	out->family = from->writes.family;
}

static void states_unsee(struct request *out)
{
	for (int i = 0; i < REQUEST_STATES; i++)
		out->states_ns[i] = REQUEST_UNSEEN;
	out->client_read_ns = REQUEST_UNSEEN;
	out->peer_ns = REQUEST_UNSEEN;
	out->gc_ns = REQUEST_UNSEEN;
	out->gc_count = REQUEST_UNSEEN;
}

/* The kernel side cuts the states at the worker's own stamps, so that they add up to the
 * application time. Where they do not, the stamps were no times. */
static bool states_possible(const struct event_states *states, int64_t application_ns)
{
	uint64_t sum = 0, whole = (uint64_t)application_ns;

	for (int i = 0; i < REQUEST_STATES; i++) {
		if (states->ns[i] > SEEN_MAX)
			return false;
		if (i != REQUEST_GIL || !states->gil_unseen)
			sum += states->ns[i];
	}
	return (sum > whole ? sum - whole : whole - sum) <= STATES_SLACK_NS + whole / 100;
}

/* A time inside another one, which was cut at the request's end and this was not. */
static int64_t part(uint64_t ns, int64_t whole)
{
	if (ns > (uint64_t)whole + CLOCK_SLACK_NS)
		return REQUEST_UNSEEN;
	return ns < (uint64_t)whole ? (int64_t)ns : whole;
}

static void states_fill(struct assembler *assembler, const struct event_request *from,
			struct request *out)
{
	const struct event_states *states = &from->states;

	states_unsee(out);
	if (!states->seen || states->mixed || out->application_ns == REQUEST_UNSEEN ||
	    !states_possible(states, out->application_ns))
		return;
	for (int i = 0; i < REQUEST_STATES; i++)
		if (i != REQUEST_GIL || !states->gil_unseen)
			out->states_ns[i] = (int64_t)states->ns[i];
	out->notes |= states->gil_unseen ? NOTE_GIL_UNSEEN : 0;
	out->client_read_ns = part(states->client_read_ns, out->states_ns[REQUEST_SOCKET_READ]);
	if (states->peer[0]) {
		memcpy(assembler->peer, states->peer, sizeof(assembler->peer));
		out->peer = (struct request_text){assembler->peer, strlen(assembler->peer)};
		out->peer_ns = part(states->peer_ns, out->states_ns[REQUEST_SOCKET_READ]);
	}
	if (states->gc_seen) {
		out->gc_ns = part(states->gc_ns, out->application_ns);
		out->gc_count = seen(states->gc_count);
	}
}

static bool text_is(struct request_text text, const char *word)
{
	return text.ptr && text.bytes == strlen(word) && !memcmp(text.ptr, word, text.bytes);
}

/* An error that the client's going gives to a write. */
static bool is_disconnect_error(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN || error == ETIMEDOUT;
}

/* What servers raise out of a write to a client that is gone: uWSGI OSError, the others these. */
static bool is_disconnect_exception(struct request_text type)
{
	static const char *const names[] = {
		"OSError",
		"IOError",
		"BrokenPipeError",
		"ConnectionError",
		"TimeoutError",
		"ConnectionResetError",
		"ConnectionAbortedError",
		"ClientDisconnected",
		"error",
		"timeout",
	};
	const char *dot = type.ptr ? memrchr(type.ptr, '.', type.bytes) : NULL;

	if (dot)
		type = (struct request_text){dot + 1, type.bytes - (size_t)(dot + 1 - type.ptr)};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (text_is(type, names[i]))
			return true;
	}
	return false;
}

/* close() before the end, where there was a body to be taken to its end. */
static bool is_closed_early(const struct event_request *from)
{
	return !is_wire(from) && from->closed && !from->exhausted && !from->raised_iter &&
	       !from->is_bytes && !from->is_str && !from->is_file_wrapper && !from->blocks_unseen;
}

/* What a socket shows: no answer, one that broke off, a client that would not take it. */
static enum request_outcome outcome_of_wire(const struct event_request *from)
{
	if (is_disconnect_error(from->writes.error))
		return OUTCOME_DISCONNECT;
	return from->no_end || from->turn.truncated ? OUTCOME_UNCLOSED : OUTCOME_OK;
}

static enum request_outcome outcome_of(const struct event_request *from)
{
	bool raised = from->raised_call || from->raised_iter || from->raised_close;
	bool gone = !from->conn_unknown && is_disconnect_error(from->writes.error);
	bool bodiless =
		text_is(from->method.text, "HEAD") || from->status == 204 || from->status == 304;

	if (is_wire(from))
		return outcome_of_wire(from);
	/* The socket failed, and what came out of the application is that failure handed on. */
	if (gone && !from->raised_close && is_disconnect_exception(from->exception.text))
		return OUTCOME_DISCONNECT;
	if (raised)
		return OUTCOME_EXCEPTION;
	if (gone || (is_closed_early(from) && !bodiless))
		return OUTCOME_DISCONNECT;
	/* uWSGI polls before it writes on: it may see that the client went without a failing write,
	 * and drops the iterable in the middle of a block. */
	if (from->unclosed && from->write_short && !from->conn_unknown)
		return OUTCOME_DISCONNECT;
	if (from->unclosed || from->no_end)
		return OUTCOME_UNCLOSED;
	return OUTCOME_OK;
}

static uint32_t notes_of(const struct event_request *from)
{
	const struct event_text *texts[] = {
		&from->method,	    &from->script, &from->path,	 &from->queue,
		&from->traceparent, &from->app,	   &from->route, &from->exception,
	};
	uint32_t notes = 0;

	notes |= from->is_bytes ? NOTE_RETURNED_BYTES : 0;
	notes |= from->is_str ? NOTE_RETURNED_STR : 0;
	notes |= from->is_file_wrapper ? NOTE_FILE_WRAPPER : 0;
	notes |= from->used_write ? NOTE_WRITE_CALLABLE : 0;
	notes |= from->end_inferred ? NOTE_END_INFERRED : 0;
	notes |= from->conn_unknown ? NOTE_WRITES_UNSEEN : 0;
	notes |= from->writes_cut ? NOTE_WRITES_CUT : 0;
	notes |= from->nested ? NOTE_NESTED : 0;
	notes |= from->no_start ? NOTE_NO_START : 0;
	notes |= from->text_unread ? NOTE_TEXT_UNREADABLE : 0;
	notes |= is_closed_early(from) || from->turn.truncated ? NOTE_CLOSED_EARLY : 0;
	notes |= from->turn.pipelined ? NOTE_PIPELINED : 0;
	notes |= from->id_reused ? NOTE_ID_REUSED : 0;
	notes |= from->states.mixed ? NOTE_STATES_MIXED : 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		notes |= texts[i]->cut ? NOTE_TEXT_CUT : 0;
		notes |= texts[i]->failed ? NOTE_TEXT_UNREADABLE : 0;
	}
	return notes;
}

/* SCRIPT_NAME + PATH_INFO; absent where the worker's path could not be had. */
static void path_fill(struct assembler *assembler, const struct event_request *from,
		      struct request *out)
{
	struct request_text script = from->script.text, path = from->path.text;
	size_t group_bytes;

	if (!path.ptr)
		return;
	if (script.ptr)
		memcpy(assembler->path, script.ptr, script.bytes);
	else
		script.bytes = 0;
	memcpy(assembler->path + script.bytes, path.ptr, path.bytes);
	out->path = (struct request_text){assembler->path, script.bytes + path.bytes};
	if (out->route.ptr)
		return;
	group_bytes = path_group(out->path.ptr, out->path.bytes, assembler->path_group);
	out->path_group = (struct request_text){assembler->path_group, group_bytes};
}

/* Its own name, given to mark(), else what is known of the process. */
static void names_fill(const struct assembler *assembler, const struct event *event,
		       struct request *out)
{
	struct worker_names names = worker_table_get(assembler->workers, event->pid);

	out->server = names.server;
	out->app = event->request.app.text;
	out->app_source = out->app.ptr ? APP_MARK : names.app_source;
	if (!out->app.ptr && names.app)
		out->app = (struct request_text){names.app, strlen(names.app)};
}

void assembler_request(struct assembler *assembler, const struct event *event, struct request *out)
{
	const struct event_request *from = &event->request;

	*out = (struct request){
		.id = from->id,
		.pid = event->pid,
		.tid = event->tid,
		.mode = REQUEST_MARKER,
		.outcome = outcome_of(from),
		.notes = notes_of(from),
		.method = from->method.text,
		.route = from->route.text,
		.traceparent = from->traceparent.text,
		.status = status_seen(from->status, 999),
	};
	if (from->raised_call || from->raised_iter || from->raised_close)
		out->exception = from->exception.text;
	if (is_wire(from)) {
		out->mode = REQUEST_WIRE;
		out->status = status_seen(from->writes.status, 599);
	}
	names_fill(assembler, event, out);
	times_fill(assembler, event, out);
	output_fill(from, out);
	writes_fill(from, out);
	states_fill(assembler, from, out);
	path_fill(assembler, from, out);
}

const char *assembler_server(const struct assembler *assembler, uint32_t pid)
{
	return worker_table_get(assembler->workers, pid).server;
}

static uint64_t clamp(uint64_t value)
{
	return value <= SEEN_MAX ? value : SEEN_MAX;
}

void assembler_block(const struct assembler *assembler, const struct event *event,
		     struct request_block *out)
{
	*out = (struct request_block){
		.id = event->block.id,
		.pid = event->pid,
		.tid = event->tid,
		.time_ns = realtime(assembler, event->time_ns),
		.index = event->block.index,
		.bytes = clamp(event->block.bytes),
		.app_ns = clamp(event->block.app_ns),
		.output_ns = clamp(event->block.output_ns),
	};
}
