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
	uint64_t records;
	uint64_t stream_losses;
	int error;		      /* the first */
	struct rec_counters counters; /* the last that came, if its size is set */
	struct rec_request made;
	struct event event;
};

static int recorder_failed(struct recorder *recorder, int error)
{
	if (error && !recorder->error) {
		recorder->error = error;
		log_error("cannot write %s: %s; what was written until then can be replayed",
			  recorder->path, strerror(-error));
	}
	return recorder->error;
}

static int record_put(struct recorder *recorder, const void *record, size_t bytes)
{
	recorder->records++;
	return recorder_failed(recorder, recording_write(recorder->recording, record, bytes));
}

static int request_made(void *context, const struct event *event)
{
	struct recorder *recorder = context;

	return record_put(recorder, &recorder->made, encode_made(event, &recorder->made));
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

int recorder_begin(struct recorder *recorder, const struct source_clock *clock)
{
	return recorder_failed(recorder, recording_begin(recorder->recording, clock));
}

static int counters_put(struct recorder *recorder)
{
	struct rec_counters counters = recorder->counters;

	encode_losses(recorder->wire, &counters);
	counters.drops[DROP_STREAM] += recorder->stream_losses;
	return record_put(recorder, &counters, sizeof(counters));
}

/* Whether a record is written as it is; what it says of connections has then been taken in. */
static int record_judge(struct recorder *recorder, const void *record, size_t bytes, bool *keep)
{
	const struct event *event = &recorder->event;

	*keep = true;
	if (decode_record(record, bytes, &recorder->event)) {
		*keep = false; /* it could be of a connection */
		recorder->stream_losses++;
		return 0;
	}
	if (event->kind == EVENT_IS_WORKER || event->kind == EVENT_IS_PROCESS)
		assembler_learn(recorder->assembler, event);
	if (event->kind == EVENT_IS_WIRE ||
	    (event->kind == EVENT_IS_REQUEST && event->request.turn.is_turn))
		*keep = false;
	return recorder_failed(recorder, wire_event(recorder->wire, event));
}

int recorder_record(void *context, const void *record, size_t bytes)
{
	struct recorder *recorder = context;
	struct rec_header header = {0};
	bool keep = true;

	if (recorder->error)
		return recorder->error;
	memcpy(&header, record, bytes < sizeof(header) ? bytes : sizeof(header));
	switch (header.kind) {
	case REC_COUNTERS:
		if (bytes != sizeof(recorder->counters))
			break;
		memcpy(&recorder->counters, record, bytes);
		return counters_put(recorder);
	case REC_REQUEST:
	case REC_PROCESS:
	case REC_WORKER:
	case REC_WIRE:
		record_judge(recorder, record, bytes, &keep);
	}
	if (recorder->error || !keep)
		return recorder->error;
	return record_put(recorder, record, bytes);
}

int recorder_batch(void *context)
{
	struct recorder *recorder = context;

	if (recorder->error)
		return recorder->error;
	return recorder_failed(recorder, recording_flush(recorder->recording));
}

int recorder_end(struct recorder *recorder, int error)
{
	if (!recorder->error)
		recorder_failed(recorder, wire_end(recorder->wire));
	/* Of a source that failed the last counts are missing, and the file is to show it. */
	if (!recorder->error && !error && recorder->counters.h.size)
		counters_put(recorder);
	recorder_batch(recorder);
	if (!recorder->error)
		log_info("%" PRIu64 " records written to %s", recorder->records, recorder->path);
	return recorder->error;
}
