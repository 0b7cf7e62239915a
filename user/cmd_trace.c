/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace: the live ring, shown as text or JSON, and passed on to StatsD.
 */
#include <stddef.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "loop.h"
#include "options.h"
#include "pipeline.h"
#include "show_options.h"
#include "sink.h"
#include "source.h"

static const struct option_row trace_rows[] = {
	ROW_PID,    ROW_DURATION, ROW_COUNT,	 ROW_JSON,	ROW_MIN_MS,	   ROW_PATH,
	ROW_BLOCKS, ROW_STATSD,	  ROW_DOGSTATSD, ROW_RING_SIZE, ROW_MAX_IN_FLIGHT, {0},
};

static const struct option_command trace_command = {
	.verb = "trace",
	.summary = "Shows a line per request of live WSGI workers, as it ends.",
	.rows = trace_rows,
};

static const struct config trace_defaults = {
	.ring_bytes = RING_BYTES_DEFAULT,
	.max_in_flight = MAX_IN_FLIGHT_DEFAULT,
	.collections = true,
};

static int trace_run(const struct config *config, struct loop *loop, struct source *source)
{
	const struct pipeline_outputs outputs = {
		.sinks = {config->json ? &sink_json : &sink_text,
			  config->statsd ? &sink_statsd : NULL,
			  config->dogstatsd ? &sink_dogstatsd : NULL},
		.out_fd = STDOUT_FILENO,
		.stop_fd = loop_stop_fd(loop),
	};
	struct pipeline *pipeline;
	int error = pipeline_new(config, source, &outputs, &pipeline);

	if (error)
		return error;
	error = pipeline_run(pipeline, loop, source);
	pipeline_free(pipeline);
	return error;
}

int cmd_trace(int argc, char **argv)
{
	struct config config = trace_defaults;
	struct source *source = NULL;
	struct loop *loop = NULL;
	int status, error;

	if (!options_parse(&trace_command, argc, argv, &config, &status))
		return status;
	error = loop_new(&loop);
	if (!error)
		error = source_ring_open(&config, &source);
	if (!error)
		error = trace_run(&config, loop, source);
	if (source)
		source->ops->close(source);
	loop_free(loop);
	return error ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}
