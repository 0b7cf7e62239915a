/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A recording as the page that Prometheus would get: metrics [--openmetrics] [--config FILE]
 * RECORDING. What only a live source knows is made up here, always the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregate.h"
#include "assemble.h"
#include "decode.h"
#include "exposition.h"
#include "settings.h"
#include "source.h"
#include "text_buffer.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

struct replay {
	struct assembler *assembler;
	struct aggregate *aggregate;
	struct event event;
	struct event_counters counters;
};

static int replay_record(void *context, const void *record, size_t bytes)
{
	struct replay *replay = context;
	struct request request;

	if (decode_record(record, bytes, &replay->event))
		return 0;
	switch (replay->event.kind) {
	case EVENT_IS_REQUEST:
		assembler_request(replay->assembler, &replay->event, &request);
		aggregate_request(replay->aggregate, &request);
		return 0;
	case EVENT_IS_BLOCK:
		return 0;
	case EVENT_IS_COUNTERS:
		replay->counters = replay->event.counters;
		return 0;
	default:
		assembler_learn(replay->assembler, &replay->event);
		return 0;
	}
}

/* 0 or -errno. */
static int replay_run(struct replay *replay, const char *path, const struct settings *settings)
{
	struct source *source;
	int error = source_file_open(path, &source);

	if (error)
		return error;
	error = assembler_new(source->clock.realtime_offset_ns, &replay->assembler);
	if (!error)
		error = aggregate_new(settings, &replay->aggregate);
	while (!error && (error = source->ops->dispatch(source, replay_record, replay)) > 0)
		error = 0;
	source->ops->close(source);
	return error;
}

/* Two ticks of ten seconds: the first application is busy half of the time. */
static void page_write(struct replay *replay, enum exposition_format format,
		       struct text_buffer *page)
{
	struct aggregate_pool pools[] = {
		{.application = {"shop \"one\"\n", 11}, .processes = 3, .threads = 4},
		{.processes = 1},
	};
	struct aggregate_moment moment = {
		.now_ns = 1000 * S,
		.pools = pools,
		.pool_count = sizeof(pools) / sizeof(pools[0]),
		.attached_processes = 4,
		.start_time_ns = INT64_C(1795341600) * (int64_t)S,
		.cpu_ns = 1234567890,
		.resident_bytes = 8 << 20,
		.ring_bytes = 1 << 20,
		.ring_used_bytes = REQUEST_UNSEEN,
		.events = replay->counters.events,
		.losses = replay->counters.losses,
	};

	aggregate_tick(replay->aggregate, &moment);
	moment.now_ns += 10 * S;
	pools[0].active = 2;
	pools[0].oldest_ns = 12500 * MS;
	pools[0].in_flight_ns = 20 * S;
	if (exposition_write(replay->aggregate, &moment, format, page))
		abort();
}

int main(int argc, char **argv)
{
	enum exposition_format format = EXPOSITION_PROMETHEUS;
	struct settings *settings = NULL;
	struct text_buffer page = {0};
	struct replay replay = {0};
	int error = 0, at = 1;

	for (; at < argc - 1; at++) {
		if (!strcmp(argv[at], "--openmetrics"))
			format = EXPOSITION_OPENMETRICS;
		else if (!strcmp(argv[at], "--config") && !settings)
			error = settings_read(argv[++at], &settings);
	}
	if (!error && !settings)
		error = settings_default(&settings);
	if (error || at >= argc || replay_run(&replay, argv[at], settings))
		return 1;
	page_write(&replay, format, &page);
	fwrite(page.text, 1, page.bytes, stdout);
	text_buffer_free(&page);
	aggregate_free(replay.aggregate);
	assembler_free(replay.assembler);
	settings_free(settings);
	return fflush(stdout) ? 1 : 0;
}
