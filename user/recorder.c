/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way of a record into a recording. What connections show is judged here as the pipeline
 * would (wire.c), and the requests are written in its place. Must not know what a request means.
 */
#include "recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "assemble.h"
#include "decode.h"
#include "encode.h"
#include "log.h"
#include "servers/server.h"
#include "source.h"
#include "wire.h"

struct recorder {
	const char *path;
	struct recording *recording;
	struct assembler *assembler; /* knows whose server a process is */
	struct wire *wire;
	uint64_t records, requests; /* of all records: requests */
	uint64_t stream_losses;
	int error;		      /* the file's first; what comes then is counted alone */
	int wire_error;		      /* -ENOMEM: not all that connections show is known */
	bool counted;		      /* the last record was of counters */
	struct rec_counters counters; /* the last that came, if its size is set */
	struct rec_request made;
	struct event event;
};

static void file_note(struct recorder *recorder, int error)
{
	if (!recorder->error)
		recorder->error = error;
}

static void wire_note(struct recorder *recorder, int error)
{
	if (!recorder->wire_error)
		recorder->wire_error = error;
}

static void record_put(struct recorder *recorder, const void *record, size_t bytes)
{
	const struct rec_header *header = record;
	int error = recording_write(recorder->recording, record, bytes);

	if (error == -EBADMSG) {
		recorder->stream_losses++;
		return;
	}
	recorder->records++;
	recorder->requests += header->kind == REC_REQUEST;
	file_note(recorder, error);
}

static int request_made(void *context, const struct event *event)
{
	struct recorder *recorder = context;

	record_put(recorder, &recorder->made, encode_made(event, &recorder->made));
	return 0;
}

static const struct server *server_of(void *context, uint32_t pid)
{
	const struct recorder *recorder = context;

	return server_named(assembler_server(recorder->assembler, pid));
}

int recorder_new(struct recording *recording, const char *path, struct recorder **out)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	const struct wire_user user = {request_made, server_of, recorder};
	int error = recorder ? assembler_new(0, &recorder->assembler) : -ENOMEM;

	if (!error)
		error = wire_new(&user, &recorder->wire);
	if (error) {
		log_error("cannot record: %s", strerror(-error));
		recorder_free(recorder);
		return error;
	}
	recorder->recording = recording;
	recorder->path = path;
	*out = recorder;
	return 0;
}

void recorder_free(struct recorder *recorder)
{
	if (!recorder)
		return;
	wire_free(recorder->wire);
	assembler_free(recorder->assembler);
	free(recorder);
}

void recorder_begin(struct recorder *recorder, const struct source_clock *clock)
{
	file_note(recorder, recording_begin(recorder->recording, clock));
}

/* The last that came, with the recorder's own. */
static struct rec_counters counters_now(const struct recorder *recorder)
{
	struct rec_counters counters = recorder->counters;

	encode_losses(recorder->wire, &counters);
	counters.drops[DROP_STREAM] += recorder->stream_losses;
	return counters;
}

static void counters_put(struct recorder *recorder)
{
	const struct rec_counters counters = counters_now(recorder);

	record_put(recorder, &counters, sizeof(counters));
}

/* Whether a record is written as it is; what it says of connections has then been taken in. */
static bool record_judge(struct recorder *recorder, const void *record, size_t bytes)
{
	const struct event *event = &recorder->event;

	if (decode_record(record, bytes, &recorder->event)) {
		recorder->stream_losses++;
		return false; /* it could be of a connection */
	}
	if (event->kind == EVENT_IS_WORKER || event->kind == EVENT_IS_PROCESS)
		assembler_learn(recorder->assembler, event);
	wire_note(recorder, wire_event(recorder->wire, event));
	return event->kind != EVENT_IS_WIRE &&
	       !(event->kind == EVENT_IS_REQUEST && event->request.turn.is_turn);
}

int recorder_record(void *context, const void *record, size_t bytes)
{
	struct recorder *recorder = context;
	struct rec_header header = {0};

	memcpy(&header, record, bytes < sizeof(header) ? bytes : sizeof(header));
	recorder->counted = header.kind == REC_COUNTERS;
	switch (header.kind) {
	case REC_COUNTERS:
		if (bytes != sizeof(recorder->counters))
			break;
		memcpy(&recorder->counters, record, bytes);
		counters_put(recorder);
		return 0;
	case REC_REQUEST:
	case REC_PROCESS:
	case REC_WORKER:
	case REC_WIRE:
		if (!record_judge(recorder, record, bytes))
			return 0;
	}
	record_put(recorder, record, bytes);
	return 0;
}

int recorder_batch(void *context)
{
	struct recorder *recorder = context;

	file_note(recorder, recording_flush(recorder->recording));
	return recorder->error ? recorder->error : recorder->wire_error;
}

/* What is in the file, and what is not: both together are what there was. */
static void unwritten_say(struct recorder *recorder)
{
	struct rec_counters counters = counters_now(recorder);
	uint64_t lost;
	int error;

	if (!recorder->counted) /* the source has failed, too */
		counters.h.size = 0;
	error = recording_settle(recorder->recording, &counters);
	lost = counters.drops[DROP_UNWRITTEN];
	log_error("cannot write %s: %s; %" PRIu64
		  " requests are in it and can be replayed, %" PRIu64 " did not fit%s",
		  recorder->path, strerror(-recorder->error), recorder->requests - lost, lost,
		  error ? ", nor did the counts" : "");
}

int recorder_end(struct recorder *recorder, int error)
{
	wire_note(recorder, wire_end(recorder->wire));
	/* Of a source that failed the last counts are missing, and the file is to show it. */
	if (!error && !recorder->wire_error && recorder->counters.h.size)
		counters_put(recorder);
	recorder_batch(recorder);
	if (recorder->error)
		unwritten_say(recorder);
	else if (recorder->wire_error)
		log_error("cannot keep what connections show: %s; what is in %s can be replayed",
			  strerror(-recorder->wire_error), recorder->path);
	else
		log_info("%" PRIu64 " records written to %s", recorder->records, recorder->path);
	return recorder->error ? recorder->error : recorder->wire_error;
}
