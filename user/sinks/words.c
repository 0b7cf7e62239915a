/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the vocabulary of the outputs. What is a name in JSON is append-only.
 */
#include "words.h"

#include <inttypes.h>
#include <stdbool.h>
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
	{0, NULL, NULL},
};

static const struct loss_words {
	const char *name, *advice;
} loss_words[] = {
	{"ring_full", "the ring was full: give --ring-size more"},
	{"requests_full", "too many at once: give --max-in-flight more"},
	{"bad_mark", "a mark pointed at nothing that makes sense"},
	{"marker_version",
	 "marker of another version: install the one that came with this program"},
	{"bad_string", "a text could not be read, its request is shown without it"},
	{"thread_state", "the kernel had no memory for a thread's state"},
	{"no_start", "ended, but began before the trace did"},
	{"id_reused", "its id or connection was taken by another"},
	{"fd_unreadable", "the connection could not be found"},
	{"sweep_race", "changed while it was being taken"},
	{"stream", "records that could not be decoded"},
	{"in_flight", "had not ended when the trace did"},
	{"blocks_full", "blocks given up, too many waited for their request's end"},
	{NULL, NULL},
};

const char *loss_advice(const char *name)
{
	for (const struct loss_words *words = loss_words; words->name; words++) {
		if (!strcmp(words->name, name))
			return words->advice;
	}
	return "";
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
		fprintf(out, "%slost: %s %" PRIu64 " (%s)\n", prefix, loss->name, loss->value,
			loss_advice(loss->name));
		any = true;
	}
	if (!totals->counted)
		fprintf(out, "%slost: not known (the counts at the end were not reached)\n",
			prefix);
	else if (!any)
		fprintf(out, "%slost: nothing\n", prefix);
}
