/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as one record, through the decoder, the assembler and both sinks with
 * their totals, and the profiler. The input is copied to a heap block of its exact size, so that
 * reading past it is seen; what the assembler lets through of the states must hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assemble.h"
#include "config.h"
#include "decode.h"
#include "filter.h"
#include "log.h"
#include "profile.h"
#include "profiler.h"
#include "request.h"
#include "sink.h"

static void ensure(bool holds)
{
	if (!holds)
		abort();
}

/* A part of a whole, or unseen. */
static bool is_part(int64_t part, int64_t whole)
{
	return part == REQUEST_UNSEEN || (part >= 0 && part <= whole);
}

/* All states or none, which add up to the application time, and parts that lie within them. */
static void check_states(const struct request *request)
{
	const int64_t *states = request->states_ns;
	int64_t sum = 0, read_ns = states[REQUEST_SOCKET_READ];

	if (states[REQUEST_CPU] == REQUEST_UNSEEN) {
		for (int i = 0; i < REQUEST_STATES; i++)
			ensure(states[i] == REQUEST_UNSEEN);
		ensure(!request->peer.ptr && request->client_read_ns == REQUEST_UNSEEN &&
		       request->peer_ns == REQUEST_UNSEEN && request->gc_ns == REQUEST_UNSEEN &&
		       request->gc_count == REQUEST_UNSEEN);
		return;
	}
	for (int i = 0; i < REQUEST_STATES; i++) {
		ensure(states[i] >= 0 || (i == REQUEST_GIL && request->notes & NOTE_GIL_UNSEEN));
		sum += states[i] > 0 ? states[i] : 0;
	}
	ensure(llabs(sum - request->application_ns) <= 10000 + request->application_ns / 100);
	ensure(is_part(request->client_read_ns, read_ns) && is_part(request->peer_ns, read_ns) &&
	       is_part(request->gc_ns, request->application_ns));
	ensure(!request->peer.ptr || request->peer.bytes > 0);
}

static void show(const struct sink *sink, const struct event *event, struct assembler *assembler)
{
	const struct config config = {.blocks = true, .min_ms = 0.001, .path_glob = "/*[a-z]*"};
	const struct request_count none = {NULL, 0};
	const struct request_totals totals = {.events = &none, .losses = &none, .counted = true};
	FILE *out = fopen("/dev/null", "w");
	struct request_block block;
	struct request request;
	void *state = NULL;

	if (!out || sink->open(&config, out, &state))
		abort();
	if (event->kind == EVENT_IS_REQUEST) {
		assembler_request(assembler, event, &request);
		check_states(&request);
		filter_passes(&config, &request);
		if (sink->on_request(state, &request))
			abort();
	} else if (event->kind == EVENT_IS_BLOCK) {
		assembler_block(assembler, event, &block);
		if (sink->on_block(state, &block))
			abort();
	}
	if (sink->on_end(state, &totals))
		abort();
	sink->close(state);
	fclose(out);
}

/* A sample is booked as a whole, or not at all. */
static void profile_check(const struct event *event)
{
	const struct config config = {.outside = true, .wall = true, .native = true};
	struct profiler *profiler;
	struct profile *profile;
	uint64_t booked;

	if (profile_new(true, &profile) || profiler_new(&config, 0, profile, 0, NULL, &profiler) ||
	    profiler_event(profiler, event) || profiler_end(profiler) || profile_finish(profile))
		abort();
	booked = profile->nodes[0].total[0].ns;
	ensure(event->kind == EVENT_IS_SAMPLE || !booked);
	ensure(!booked || booked == event->sample.weight_ns);
	ensure(profile->node_count <= EVENT_FRAMES_MAX + 4);
	profiler_free(profiler);
	profile_free(profile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct event event;
	struct assembler *assembler;
	void *record = malloc(bytes ? bytes : 1);

	log_level_set(LOG_LEVEL_NONE);
	if (!record || assembler_new(1795341600000000000, &assembler))
		abort();
	memcpy(record, data, bytes);
	if (!decode_record(record, bytes, &event)) {
		if (event.kind == EVENT_IS_WORKER || event.kind == EVENT_IS_PROCESS)
			assembler_learn(assembler, &event);
		profile_check(&event);
		show(&sink_text, &event, assembler);
		show(&sink_json, &event, assembler);
	}
	assembler_free(assembler);
	free(record);
	return 0;
}
