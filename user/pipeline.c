/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the state of one run. A record that cannot be decoded is counted as lost and left behind;
 * only the output, or a sink's memory, can end a run as failed.
 */
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate.h"
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
#include "request_threads.h"
#include "servers/server.h"
#include "sink.h"
#include "source.h"
#include "top_frame.h"
#include "wire.h"

struct pipeline_sink {
	const struct sink *sink;
	void *state;
};

struct pipeline {
	const struct config *config;
	struct pipeline_sink sinks[PIPELINE_SINKS_MAX];
	size_t sink_count;
	struct aggregate *aggregate;	 /* NULL: none */
	struct request_threads *threads; /* NULL: none */
	int out_fd;
	struct output *output; /* NULL: nothing is printed */
	struct assembler *assembler;
	struct wire *wire;
	struct top_frames *tops;    /* NULL: not asked for */
	struct block_store *blocks; /* NULL: not asked for */
	struct profiler *profiler;  /* borrowed; NULL: samples are not asked for */
	struct event event;
	struct event_counters counters; /* the last that came */
	struct event_counters shown;	/* what totals points at */
	struct request_totals totals;
	uint64_t now_ns; /* of pipeline_catch_up() */
	uint64_t stream_losses;
	bool enough; /* no more requests are shown */
};

static int block_show(void *context, const struct request_block *block)
{
	struct pipeline *pipeline = context;
	int error = 0;

	for (size_t i = 0; i < pipeline->sink_count && !error; i++) {
		const struct pipeline_sink *to = &pipeline->sinks[i];

		if (to->sink->on_block)
			error = to->sink->on_block(to->state, block);
	}
	return error;
}

static int request_show(void *context, const struct request *request)
{
	struct pipeline *pipeline = context;
	int error = 0;

	if (pipeline->aggregate)
		aggregate_request(pipeline->aggregate, request);
	for (size_t i = 0; i < pipeline->sink_count && !error; i++)
		error = pipeline->sinks[i].sink->on_request(pipeline->sinks[i].state, request);
	if (error)
		return error;
	pipeline->totals.shown++;
	return pipeline->totals.shown == pipeline->config->count ? -ECANCELED : 0;
}

/* What the profiler has not said itself: it says what became of files. */
static int profiler_answer(int error)
{
	if (error == -ENOMEM)
		log_error("cannot keep the samples: %s", strerror(-error));
	return error;
}

static int request_take(struct pipeline *pipeline, const struct event *event)
{
	struct request request;
	bool shown;
	int error = 0;

	pipeline->totals.requests++;
	assembler_request(pipeline->assembler, event, &request);
	if (pipeline->threads)
		request_threads_ended(pipeline->threads, &request);
	shown = filter_passes(pipeline->config, &request);
	if (pipeline->blocks)
		error = block_store_take(pipeline->blocks, request.pid, request.id,
					 shown ? block_show : NULL, pipeline);
	if (!error && pipeline->profiler)
		error = profiler_answer(
			profiler_request(pipeline->profiler, &request,
					 shown && filter_is_slow(pipeline->config, &request)));
	if (error)
		return error;
	if (pipeline->tops && shown)
		return top_frames_request(pipeline->tops, &request);
	if (pipeline->tops)
		top_frames_drop(pipeline->tops, &request);
	return shown ? request_show(pipeline, &request) : 0;
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

/* One that the marker told of, or that was made of what a connection showed. */
static int request_made(void *context, const struct event *event)
{
	struct pipeline *pipeline = context;

	return pipeline->enough ? 0 : sink_answer(pipeline, request_take(pipeline, event));
}

static const struct server *server_of(void *context, uint32_t pid)
{
	const struct pipeline *pipeline = context;

	return server_named(assembler_server(pipeline->assembler, pid));
}

/* What connections show, as requests; -ENOMEM is said here. */
static int wire_take(struct pipeline *pipeline)
{
	int error = wire_event(pipeline->wire, &pipeline->event);

	if (error == -ENOMEM)
		log_error("cannot keep what connections show: %s", strerror(-error));
	return error;
}

static int profiler_take(struct pipeline *pipeline)
{
	int error = 0;

	if (pipeline->tops)
		error = profiler_answer(top_frames_event(pipeline->tops, &pipeline->event));
	if (!error && pipeline->profiler)
		error = profiler_answer(profiler_event(pipeline->profiler, &pipeline->event));
	return error;
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
	error = wire_take(pipeline);
	if (error)
		return error;
	switch (pipeline->event.kind) {
	case EVENT_IS_REQUEST:
		return pipeline->event.request.turn.is_turn
			       ? 0
			       : request_made(pipeline, &pipeline->event);
	case EVENT_IS_WIRE:
		return 0;
	case EVENT_IS_BLOCK:
		return block_take(pipeline);
	case EVENT_IS_COUNTERS:
		pipeline->counters = pipeline->event.counters;
		pipeline->totals.counted = true;
		return profiler_take(pipeline);
	case EVENT_IS_PROCESS:
	case EVENT_IS_WORKER:
		assembler_learn(pipeline->assembler, &pipeline->event);
		if (pipeline->threads)
			request_threads_learn(pipeline->threads, &pipeline->event);
		return profiler_take(pipeline);
	default:
		return profiler_take(pipeline);
	}
}

/* A request that will come again when it is done with. */
static int flight_record(void *context, const void *record, size_t bytes)
{
	struct pipeline *pipeline = context;
	struct event *event = &pipeline->event;
	const struct event_request *open = &event->request;
	uint64_t until_ns, age_ns;
	struct request request;

	if (decode_record(record, bytes, event) || event->kind != EVENT_IS_REQUEST)
		return 0; /* it is counted when it comes to stay */
	assembler_request(pipeline->assembler, event, &request);
	until_ns = open->end_ns ? open->end_ns : pipeline->now_ns;
	age_ns = until_ns > open->start_ns ? until_ns - open->start_ns : 0;
	if (open->end_ns)
		request_threads_draining(pipeline->threads, &request, age_ns);
	else
		request_threads_open(pipeline->threads, &request, age_ns);
	return 0;
}

int pipeline_catch_up(struct pipeline *pipeline, struct source *source, uint64_t now_ns)
{
	int more = source->ops->dispatch(source, pipeline_record, pipeline);

	if (more < 0)
		return more;
	if (!source->ops->in_flight || !pipeline->threads)
		return 0;
	pipeline->now_ns = now_ns;
	request_threads_begin(pipeline->threads, now_ns);
	return source->ops->in_flight(source, flight_record, pipeline);
}

static int pipeline_batch(void *context)
{
	struct pipeline *pipeline = context;
	int error = 0;

	if (pipeline->tops && !pipeline->enough)
		error = sink_answer(pipeline, top_frames_settle(pipeline->tops));
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		if (pipeline->sinks[i].sink->on_batch)
			pipeline->sinks[i].sink->on_batch(pipeline->sinks[i].state);
	}
	if (!error && pipeline->profiler)
		error = profiler_answer(profiler_settle(pipeline->profiler));
	return !error && pipeline->output ? output_flush(pipeline->output) : error;
}

static void count_add(struct request_count *counts, const char *name, uint64_t value)
{
	while (counts->name && strcmp(counts->name, name))
		counts++;
	counts->name = name;
	counts->value += value;
}

/* The kernel side's losses and our own, in one list. */
const struct request_totals *pipeline_totals(struct pipeline *pipeline)
{
	struct event_counters *shown = &pipeline->shown;

	*shown = pipeline->counters;
	count_add(shown->losses, decode_stream_loss(), pipeline->stream_losses);
	for (int loss = 0; loss < WIRE_LOSSES; loss++)
		count_add(shown->losses, wire_loss_name(loss), wire_lost(pipeline->wire, loss));
	if (wire_relayed(pipeline->wire))
		count_add(shown->events, "relayed", wire_relayed(pipeline->wire));
	if (pipeline->tops)
		count_add(shown->losses, "stacks_full", top_frames_lost(pipeline->tops));
	if (pipeline->blocks)
		count_add(shown->losses, "blocks_full", block_store_lost(pipeline->blocks));
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		const struct pipeline_sink *from = &pipeline->sinks[i];

		if (from->sink->loss)
			count_add(shown->losses, from->sink->loss, from->sink->lost(from->state));
	}
	pipeline->totals.events = shown->events;
	pipeline->totals.losses = shown->losses;
	return &pipeline->totals;
}

static int sinks_open(struct pipeline *pipeline, const struct pipeline_outputs *outputs)
{
	FILE *out = pipeline->output ? output_stream(pipeline->output) : NULL;

	for (size_t i = 0; i < PIPELINE_SINKS_MAX; i++) {
		struct pipeline_sink *next = &pipeline->sinks[pipeline->sink_count];
		int error;

		if (!outputs->sinks[i])
			continue;
		next->sink = outputs->sinks[i];
		error = next->sink->open(pipeline->config, out, &next->state);
		if (error)
			return error;
		pipeline->sink_count++;
	}
	return 0;
}

static int pipeline_open(struct pipeline *pipeline, const struct source *source,
			 const struct pipeline_outputs *outputs)
{
	const struct wire_user user = {request_made, server_of, pipeline};
	int error = 0;

	if (outputs->out_fd >= 0)
		error = output_open(outputs->out_fd, outputs->stop_fd, &pipeline->output);
	if (!error)
		error = assembler_new(source->clock.realtime_offset_ns, &pipeline->assembler);
	if (!error)
		error = wire_new(&user, &pipeline->wire);
	if (!error && pipeline->config->top_frame)
		error = top_frames_new(source->clock.realtime_offset_ns, request_show, pipeline,
				       &pipeline->tops);
	if (!error && pipeline->config->blocks) {
		pipeline->blocks = block_store_new();
		error = pipeline->blocks ? 0 : -ENOMEM;
	}
	if (error)
		log_error("cannot set up the output: %s", strerror(-error));
	return error ? error : sinks_open(pipeline, outputs);
}

int pipeline_new(const struct config *config, const struct source *source,
		 const struct pipeline_outputs *outputs, struct pipeline **out)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
	int error;

	if (!pipeline) {
		log_error("cannot set up the output: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	pipeline->config = config;
	pipeline->out_fd = outputs->out_fd;
	pipeline->aggregate = outputs->aggregate;
	pipeline->threads = outputs->threads;
	pipeline->profiler = outputs->profiler;
	error = pipeline_open(pipeline, source, outputs);
	if (error) {
		pipeline_free(pipeline);
		return error;
	}
	*out = pipeline;
	return 0;
}

/* What became of the output. 0 or -errno, message printed. */
static int output_answer(struct pipeline *pipeline)
{
	int error = pipeline->output ? output_flush(pipeline->output) : 0;

	if (error == -EPIPE) /* who read has read enough */
		return 0;
	if (error == -ECANCELED)
		log_error("nobody reads stdout any more: the rest of the output was dropped");
	else if (error)
		log_error("cannot write to stdout: %s", strerror(-error));
	return error;
}

/* The footers, and what became of the output. 0 or -errno, message printed. */
static int pipeline_end(struct pipeline *pipeline)
{
	int error = pipeline->enough ? 0 : wire_end(pipeline->wire);

	if (!error && pipeline->tops && !pipeline->enough)
		error = sink_answer(pipeline, top_frames_end(pipeline->tops));
	if (error == -ECANCELED || error == -EPIPE)
		error = 0; /* enough was shown, or read */
	if (!error && pipeline->profiler)
		error = profiler_answer(profiler_end(pipeline->profiler));
	if (error)
		return error;
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		const struct pipeline_sink *to = &pipeline->sinks[i];

		if (!to->sink->on_end || (pipeline->output && output_flush(pipeline->output)))
			continue;
		error = to->sink->on_end(to->state, pipeline_totals(pipeline));
		if (error) {
			log_error("cannot make the totals: %s", strerror(-error));
			return error;
		}
	}
	return output_answer(pipeline);
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	for (size_t i = 0; i < pipeline->sink_count; i++)
		pipeline->sinks[i].sink->close(pipeline->sinks[i].state);
	block_store_free(pipeline->blocks);
	wire_free(pipeline->wire);
	top_frames_free(pipeline->tops);
	assembler_free(pipeline->assembler);
	output_close(pipeline->output);
	free(pipeline);
}

int pipeline_run(struct pipeline *pipeline, struct loop *loop, struct source *source)
{
	struct loop_client client = {pipeline_record, pipeline_batch, pipeline};
	int error, end_error;

	if (pipeline->output)
		loop_watch_peer(loop, pipeline->out_fd);
	error = loop_run(loop, source, &client, pipeline->config->duration_s);
	/* What ended the run: the output (said below), or the source (which has said it). */
	if (error == -EPIPE || (pipeline->output && error == output_flush(pipeline->output)))
		error = 0;
	end_error = pipeline_end(pipeline);
	return error ? error : end_error;
}

int pipeline_show(const struct config *config, struct loop *loop, struct source *source,
		  const struct pipeline_outputs *outputs)
{
	struct pipeline *pipeline;
	int error = pipeline_new(config, source, outputs, &pipeline);

	if (error)
		return error;
	error = pipeline_run(pipeline, loop, source);
	pipeline_free(pipeline);
	return error;
}
