/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as one record, through the decoder, the assembler and both sinks. The
 * input is copied to a heap block of its exact size, so that reading past it is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assemble.h"
#include "config.h"
#include "decode.h"
#include "filter.h"
#include "request.h"
#include "sink.h"

static void show(const struct sink *sink, const struct event *event, struct assembler *assembler)
{
	const struct config config = {.blocks = true, .min_ms = 0.001, .path_glob = "/*[a-z]*"};
	FILE *out = fopen("/dev/null", "w");
	struct request_block block;
	struct request request;
	void *state = NULL;

	if (!out || sink->open(&config, out, &state))
		abort();
	if (event->kind == EVENT_IS_REQUEST) {
		assembler_request(assembler, event, &request);
		filter_passes(&config, &request);
		if (sink->on_request(state, &request))
			abort();
	} else if (event->kind == EVENT_IS_BLOCK) {
		assembler_block(assembler, event, &block);
		if (sink->on_block(state, &block))
			abort();
	}
	sink->close(state);
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct event event;
	struct assembler *assembler;
	void *record = malloc(bytes ? bytes : 1);

	if (!record || assembler_new(1795341600000000000, &assembler))
		abort();
	memcpy(record, data, bytes);
	if (!decode_record(record, bytes, &event)) {
		if (event.kind == EVENT_IS_WORKER || event.kind == EVENT_IS_PROCESS)
			assembler_learn(assembler, &event);
		show(&sink_text, &event, assembler);
		show(&sink_json, &event, assembler);
	}
	assembler_free(assembler);
	free(record);
	return 0;
}
