/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the state of one run. A record that cannot be decoded is counted as lost and left behind;
 * only the output, or the sink's memory, can end a run as failed.
 */
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "assemble.h"
#include "block_store.h"
#include "config.h"
#include "decode.h"
#include "filter.h"
#include "log.h"
#include "loop.h"
#include "output.h"
#include "profiler.h"
#include "request.h"
#include "sink.h"

struct pipeline {
	const struct config *config;
	const struct sink *sink;
	void *sink_state;
	struct output *output;
	struct assembler *assembler;
	struct block_store *blocks; /* NULL: not asked for */
	struct profiler *profiler;  /* borrowed; NULL: samples are not asked for */
	struct event event;
	struct event_counters counters; /* the last that came */
	struct request_totals totals;
	uint64_t stream_losses;
	bool enough; /* no more requests are shown */
};

static int block_show(void *context, const struct request_block *block)
{
	struct pipeline *pipeline = context;

	return pipeline->sink->on_block(pipeline->sink_state, block);
}

/* What the profiler has not said itself: it says what became of files. */
static int profiler_answer(int error)
{
	if (error == -ENOMEM)
		log_error("cannot keep the samples: %s", strerror(-error));
	return error;
}

static int request_take(struct pipeline *pipeline)
{
	struct request request;
	bool shown;
	int error = 0;

	pipeline->totals.requests++;
	assembler_request(pipeline->assembler, &pipeline->event, &request);
	shown = filter_passes(pipeline->config, &request);
	if (pipeline->blocks)
		error = block_store_take(pipeline->blocks, request.pid, request.id,
					 shown && pipeline->sink->on_block ? block_show : NULL,
					 pipeline);
	if (!error && pipeline->profiler)
		error = profiler_answer(
			profiler_request(pipeline->profiler, &request,
					 shown && filter_is_slow(pipeline->config, &request)));
	if (error || !shown)
		return error;
	error = pipeline->sink->on_request(pipeline->sink_state, &request);
	if (error)
		return error;
	pipeline->totals.shown++;
	return pipeline->totals.shown == pipeline->config->count ? -ECANCELED : 0;
}

static int block_take(struct pipeline *pipeline)
{
	struct request_block block;

	if (!pipeline->blocks)
		return 0;
	assembler_block(pipeline->assembler, &pipeline->event, &block);
	block_store_add(pipeline->blocks, &block);
	return 0;
}

/* What a sink says of itself; what became of its output is seen when that is flushed. */
static int sink_answer(struct pipeline *pipeline, int error)
{
	if (error)
		pipeline->enough = true;
	if (error && error != -EPIPE && error != -ECANCELED)
		log_error("cannot show a request: %s", strerror(-error));
	return error;
}

static int profiler_take(struct pipeline *pipeline)
{
	if (!pipeline->profiler)
		return 0;
	return profiler_answer(profiler_event(pipeline->profiler, &pipeline->event));
}

static int pipeline_record(void *context, const void *record, size_t bytes)
{
	struct pipeline *pipeline = context;
	int error = decode_record(record, bytes, &pipeline->event);

	if (error) {
		if (pipeline->stream_losses++)
			return 0; /* the first is enough to look for the cause */
		log_debug("a record of %zu bytes could not be decoded: %s", bytes,
			  strerror(-error));
		return 0;
	}
	switch (pipeline->event.kind) {
	case EVENT_IS_REQUEST:
		return pipeline->enough ? 0 : sink_answer(pipeline, request_take(pipeline));
	case EVENT_IS_BLOCK:
		return block_take(pipeline);
	case EVENT_IS_COUNTERS:
		pipeline->counters = pipeline->event.counters;
		pipeline->totals.counted = true;
		return 0;
	case EVENT_IS_PROCESS:
	case EVENT_IS_WORKER:
		assembler_learn(pipeline->assembler, &pipeline->event);
		return profiler_take(pipeline);
	default:
		return profiler_take(pipeline);
	}
}

static int pipeline_batch(void *context)
{
	struct pipeline *pipeline = context;
	int error = 0;

	if (pipeline->profiler)
		error = profiler_answer(profiler_settle(pipeline->profiler));
	return error ? error : output_flush(pipeline->output);
}

static void count_add(struct request_count *counts, const char *name, uint64_t value)
{
	while (counts->name && strcmp(counts->name, name))
		counts++;
	counts->name = name;
	counts->value += value;
}

/* The kernel side's losses and our own, in one list. */
static void totals_fill(struct pipeline *pipeline)
{
	struct event_counters *counters = &pipeline->counters;

	count_add(counters->losses, decode_stream_loss(), pipeline->stream_losses);
	if (pipeline->blocks)
		count_add(counters->losses, "blocks_full", block_store_lost(pipeline->blocks));
	pipeline->totals.events = counters->events;
	pipeline->totals.losses = counters->losses;
}

static int pipeline_open(struct pipeline *pipeline, const struct source *source, int out_fd,
			 int stop_fd)
{
	const struct config *config = pipeline->config;
	int error = output_open(out_fd, stop_fd, &pipeline->output);

	if (!error)
		error = assembler_new(source->clock.realtime_offset_ns, &pipeline->assembler);
	if (!error && config->blocks) {
		pipeline->blocks = block_store_new();
		error = pipeline->blocks ? 0 : -ENOMEM;
	}
	if (!error)
		error = pipeline->sink->open(config, output_stream(pipeline->output),
					     &pipeline->sink_state);
	if (error)
		log_error("cannot set up the output: %s", strerror(-error));
	return error;
}

/* The footer, and what became of the output. 0 or -errno, message printed. */
static int pipeline_end(struct pipeline *pipeline)
{
	int error = 0;

	totals_fill(pipeline);
	if (pipeline->profiler)
		error = profiler_answer(profiler_end(pipeline->profiler));
	if (error)
		return error;
	if (pipeline->sink->on_end && !output_flush(pipeline->output)) {
		error = pipeline->sink->on_end(pipeline->sink_state, &pipeline->totals);
		if (error) {
			log_error("cannot make the totals: %s", strerror(-error));
			return error;
		}
	}
	error = output_flush(pipeline->output);
	if (error == -EPIPE) /* who read has read enough */
		return 0;
	if (error == -ECANCELED)
		log_error("nobody reads stdout any more: the rest of the output was dropped");
	else if (error)
		log_error("cannot write to stdout: %s", strerror(-error));
	return error;
}

static void pipeline_free(struct pipeline *pipeline)
{
	if (pipeline->sink_state)
		pipeline->sink->close(pipeline->sink_state);
	block_store_free(pipeline->blocks);
	assembler_free(pipeline->assembler);
	output_close(pipeline->output);
	free(pipeline);
}

int pipeline_run(const struct config *config, struct loop *loop, struct source *source,
		 const struct sink *sink, int out_fd, struct profiler *profiler)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
	struct loop_client client = {pipeline_record, pipeline_batch, pipeline};
	int error = -ENOMEM, end_error;

	if (!pipeline) {
		log_error("cannot set up the output: %s", strerror(-error));
		return error;
	}
	pipeline->config = config;
	pipeline->sink = sink;
	pipeline->profiler = profiler;
	error = pipeline_open(pipeline, source, out_fd, loop_stop_fd(loop));
	if (error)
		goto out;
	loop_watch_peer(loop, out_fd);
	error = loop_run(loop, source, &client, config->duration_s);
	/* What ended the run: the output (said below), or the source (which has said it). */
	if (error == -EPIPE || error == output_flush(pipeline->output))
		error = 0;
	end_error = pipeline_end(pipeline);
	error = error ? error : end_error;
out:
	pipeline_free(pipeline);
	return error;
}
