/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the vocabulary of the outputs. What is a name in JSON is append-only.
 */
#include "words.h"

#include <inttypes.h>
#include <string.h>

const char *outcome_name(enum request_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_EXCEPTION:
		return "exception";
	case OUTCOME_DISCONNECT:
		return "disconnect";
	case OUTCOME_UNCLOSED:
		return "unclosed";
	default:
		return "ok";
	}
}

const char *family_name(enum request_family family)
{
	switch (family) {
	case FAMILY_INET:
		return "inet";
	case FAMILY_INET6:
		return "inet6";
	case FAMILY_UNIX:
		return "unix";
	case FAMILY_OTHER:
		return "other";
	default:
		return NULL;
	}
}

const char *mode_name(enum request_mode mode)
{
	return mode == REQUEST_WIRE ? "wire" : "marker";
}

const char *state_name(enum request_state state)
{
	static const char *const names[REQUEST_STATES] = {
		[REQUEST_CPU] = "cpu",
		[REQUEST_RUNNABLE] = "runnable",
		[REQUEST_GIL] = "gil",
		[REQUEST_SOCKET_READ] = "socket_read",
		[REQUEST_SOCKET_WRITE] = "socket_write",
		[REQUEST_FILE] = "file",
		[REQUEST_LOCK] = "lock",
		[REQUEST_SLEEP] = "sleep",
		[REQUEST_OTHER] = "other",
	};

	return names[state];
}

const struct note_words note_words[] = {
	{NOTE_RETURNED_BYTES, "returned_bytes", "returned bytes, not a list of bytes"},
	{NOTE_RETURNED_STR, "returned_str", "returned str, not a list of bytes"},
	{NOTE_FILE_WRAPPER, "file_wrapper", "wsgi.file_wrapper, blocks unseen"},
	{NOTE_WRITE_CALLABLE, "write_callable", "used write()"},
	{NOTE_END_INFERRED, "end_inferred", "end is when the server let go"},
	{NOTE_WRITES_UNSEEN, "writes_unseen", "connection not known, writes unseen"},
	{NOTE_WRITES_CUT, "writes_cut", "was still writing"},
	{NOTE_TEXT_CUT, "text_cut", "long text cut"},
	{NOTE_TEXT_UNREADABLE, "text_unreadable", "text unreadable"},
	{NOTE_NESTED, "nested", "a mark() inside a mark()"},
	{NOTE_NO_START, "no_start", "start unseen"},
	{NOTE_CLOSED_EARLY, "closed_early", "closed before its end"},
	{NOTE_ID_REUSED, "id_reused", "end unseen, another took its id or connection"},
	{NOTE_STATES_MIXED, "states_mixed",
	 "took turns with others on its thread, or ended on another: states unseen"},
	{NOTE_GIL_UNSEEN, "gil_unseen", "where the GIL lies is not known: waits for it are lock"},
	{NOTE_PIPELINED, "pipelined", "came with the one before it, begins at its end"},
	{0, NULL, NULL},
};

/* Whether there is a record all the same, with less in it: then nothing is missing from the count
 * of requests. */
static const struct loss_words {
	const char *name;
	bool recorded;
	const char *advice;
} loss_words[] = {
	{"ring_full", false, "the ring was full: give --ring-size more"},
	{"requests_full", false, "too many at once: give --max-in-flight more"},
	{"bad_mark", false, "a mark pointed at nothing that makes sense"},
	{"marker_version", false,
	 "marker of another version: install the one that came with this program"},
	{"bad_string", true, "a text could not be read, its request is shown without it"},
	{"thread_state", false, "the kernel had no memory for a thread's state"},
	{"no_start", true, "ended, but began before the trace did or when too many were open"},
	{"id_reused", true, "its id or connection was taken by another"},
	{"fd_unreadable", true, "the connection could not be found"},
	{"sweep_race", false, "changed while it was being taken"},
	{"stream", false, "records that could not be decoded"},
	{"in_flight", false, "had not ended when the trace did"},
	{"statsd_unsent", true, "datagrams that StatsD's host refused or the network did not take"},
	{"wait_unsampled", true, "waits of threads that had not been seen to run before"},
	{"code_lost", true, "functions whose process ended before they could be named"},
	{"wire_unread", true, "bytes of a connection could not be copied"},
	{"wire_tls", false, "encrypted connections (TLS): the marker would tell of their requests"},
	{"wire_http2", false, "connections that speak HTTP/2"},
	{"wire_upgraded", false, "connections that became something else than HTTP"},
	{"wire_foreign", false,
	 "turns of connections that do not begin with a request, as of those open before"},
	{"wire_partial", false, "requests that broke off before their head was whole"},
	{"wire_stray", false, "turns of connections that answered a request not seen"},
	{"wire_unsplit", true, "answers that could not be told from the one before"},
	{"wire_full", false, "too many requests at once on connections"},
	{"wire_open", false, "were being answered when the trace ended"},
	{"unwritten", false, "did not fit into the recording: its disk was full"},
	{"unwritten_parts", true, "blocks and stacks that did not fit into the recording"},
	{"stacks_full", true, "samples given up, too many waited for their request's end"},
	{"code_stale", true, "frames that may have the name of code freed before them"},
	{"blocks_full", false, "blocks given up, too many waited for their request's end"},
	{NULL, false, NULL},
};

static const struct loss_words *loss_find(const char *name)
{
	const struct loss_words *words = loss_words;

	while (words->name && strcmp(words->name, name))
		words++;
	return words;
}

const char *loss_advice(const char *name)
{
	const struct loss_words *words = loss_find(name);

	return words->name ? words->advice : "";
}

bool loss_is_recorded(const char *name)
{
	return loss_find(name)->recorded;
}

static void events_print(FILE *out, const char *prefix, const struct request_totals *totals)
{
	fprintf(out, "%srequests: %" PRIu64 ", shown: %" PRIu64, prefix, totals->requests,
		totals->shown);
	for (const struct request_count *event = totals->events; totals->counted && event->name;
	     event++)
		fprintf(out, "%s%s %" PRIu64, event == totals->events ? "; seen: " : ", ",
			event->name, event->value);
	fputc('\n', out);
}

void totals_print(FILE *out, const char *prefix, const struct request_totals *totals)
{
	bool any = false;

	events_print(out, prefix, totals);
	for (const struct request_count *loss = totals->losses; loss->name; loss++) {
		if (!loss->value)
			continue;
		fprintf(out, "%s%s: %s %" PRIu64 " (%s)\n", prefix,
			loss_is_recorded(loss->name) ? "incomplete" : "lost", loss->name,
			loss->value, loss_advice(loss->name));
		any |= !loss_is_recorded(loss->name);
	}
	if (!totals->counted)
		fprintf(out, "%slost: not known (the counts at the end were not reached)\n",
			prefix);
	else if (!any)
		fprintf(out, "%slost: nothing\n", prefix);
}
