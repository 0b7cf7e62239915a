/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace: the live ring, shown as text or JSON and passed on to StatsD, and beside it profiles of
 * slow requests.
 */
#include <stddef.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "pipeline.h"
#include "profile_format.h"
#include "profile_output.h"
#include "profile_run.h"
#include "show_options.h"
#include "sink.h"
#include "source.h"

/* clang-format off */
static const struct option_row trace_rows[] = {
	ROW_PID, ROW_MODE, ROW_DURATION, ROW_COUNT, ROW_JSON, ROW_MIN_MS, ROW_PATH, ROW_BLOCKS,
	{.name = "stacks", .type = OPTION_STRING, .offset = offsetof(struct config, each),
	 .argument = "DIRECTORY", .help = "also a profile a request, in files of this directory"},
	{.name = "top-frame", .type = OPTION_FLAG, .offset = offsetof(struct config, top_frame),
	 .help = "also the application's function in which each request was most"},
	ROW_SLOWER_THAN, ROW_FORMAT, ROW_MAX_FILES, ROW_STATSD, ROW_DOGSTATSD, ROW_RING_SIZE,
	ROW_MAX_IN_FLIGHT, {0},
};
/* clang-format on */

static const struct option_command trace_command = {
	.verb = "trace",
	.summary = "Shows a line per request of live WSGI workers, as it ends.",
	.rows = trace_rows,
};

static const struct config trace_defaults = {
	.ring_bytes = RING_BYTES_DEFAULT,
	.max_in_flight = MAX_IN_FLIGHT_DEFAULT,
	.collections = true,
	.sample_hz = SAMPLE_HZ_DEFAULT,
	.max_files = MAX_FILES_DEFAULT,
};

/* Of a slow request it is not known beforehand whether it computes or waits: both are sampled. */
static bool stacks_check(struct config *config, const struct profile_format **format)
{
	config->samples = config->wall = config->each != NULL || config->top_frame;
	if (config->each)
		return profile_options_check(config, &format_svg, format);
	if (config->format || config->slower_ms > 0) {
		log_error("--slower-than and --format are of --stacks; --min-ms is for lines");
		return false;
	}
	return true;
}

static int trace_run(const struct config *config, const struct profile_format *format,
		     struct loop *loop, struct source *source)
{
	const struct pipeline_outputs outputs = {
		.sinks = {config->json ? &sink_json : &sink_text,
			  config->statsd ? &sink_statsd : NULL,
			  config->dogstatsd ? &sink_dogstatsd : NULL},
		.out_fd = STDOUT_FILENO,
		.stop_fd = loop_stop_fd(loop),
	};

	return config->each ? profile_run_each(config, format, loop, source, outputs.sinks)
			    : pipeline_show(config, loop, source, &outputs);
}

int trace_launched(int argc, char **argv, const struct config_launch *launch)
{
	struct config config = config_launched(&trace_defaults, launch);
	const struct profile_format *format = NULL;
	struct source *source = NULL;
	struct loop *loop = NULL;
	int status, error;

	if (!options_parse(&trace_command, argc, argv, &config, &status))
		return status;
	if (!stacks_check(&config, &format))
		return EXIT_STATUS_USAGE;
	error = loop_new(&loop);
	if (!error)
		error = source_ring_open(&config, &source);
	if (!error)
		error = trace_run(&config, format, loop, source);
	if (source)
		source->ops->close(source);
	loop_free(loop);
	return error ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}

int cmd_trace(int argc, char **argv)
{
	return trace_launched(argc, argv, NULL);
}
