/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve: the live ring, added up, and shown to Prometheus and StatsD.
 */
#include <stddef.h>
#include <stdio.h>

#include "address.h"
#include "commands.h"
#include "config.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "pipeline.h"
#include "privilege.h"
#include "serve.h"
#include "show_options.h"
#include "sink.h"
#include "sinks/words.h"
#include "source.h"

static const struct option_row serve_rows[] = {
	{.name = "listen",
	 .type = OPTION_ADDRESS,
	 .offset = offsetof(struct config, listen),
	 .argument = "HOST:PORT",
	 .help = "where to answer (127.0.0.1:9748); port 0: any"},
	{.name = "config",
	 .type = OPTION_STRING,
	 .offset = offsetof(struct config, settings),
	 .argument = "FILE",
	 .help = "patterns of paths, limits, buckets; SIGHUP reads it again"},
	ROW_PID,
	ROW_MODE,
	ROW_DURATION,
	{.name = "gc",
	 .type = OPTION_FLAG,
	 .offset = offsetof(struct config, collections),
	 .help = "also garbage collections: each further process costs more to attach"},
	ROW_STATSD,
	ROW_DOGSTATSD,
	ROW_RING_SIZE,
	ROW_MAX_IN_FLIGHT,
	{0},
};

static const struct option_command serve_command = {
	.verb = "serve",
	.summary = "Answers Prometheus with what all live WSGI workers do.",
	.rows = serve_rows,
};

static const struct config serve_defaults = {
	.listen = "127.0.0.1:9748",
	.leaves = true,
	.ring_bytes = RING_BYTES_DEFAULT,
	.max_in_flight = MAX_IN_FLIGHT_DEFAULT,
};

/* All that a running daemon consists of. */
struct daemon {
	struct loop *loop;
	struct serve *serve;
	struct http *http;
	struct source *source;
	struct pipeline *pipeline;
};

/* What can be wrong with the command line is found before anything is attached. */
static int daemon_open(const struct config *config, struct daemon *daemon)
{
	struct address address;
	int error = serve_new(config, daemon->loop, &daemon->serve);

	if (!error)
		error = address_resolve("--listen", config->listen, &address);
	if (!error && !address_is_loopback(&address))
		log_warn("--listen %s: others than this machine can read the paths and numbers of "
			 "every application here, and nobody is asked for a password",
			 config->listen);
	if (!error)
		error = http_open(&address, serve_pages, daemon->serve, &daemon->http);
	if (!error)
		error = source_ring_open(config, &daemon->source);
	return error;
}

static int daemon_run(const struct config *config, struct daemon *daemon)
{
	const struct pipeline_outputs outputs = {
		.sinks = {config->statsd ? &sink_statsd : NULL,
			  config->dogstatsd ? &sink_dogstatsd : NULL},
		.out_fd = -1,
		.stop_fd = -1,
		.aggregate = serve_aggregate(daemon->serve),
		.threads = serve_threads(daemon->serve),
	};
	int error = pipeline_new(config, daemon->source, &outputs, &daemon->pipeline);

	if (!error)
		error = serve_begin(daemon->serve, daemon->source, daemon->pipeline);
	if (!error)
		error = privilege_drop();
	if (!error)
		error = http_serve(daemon->http, daemon->loop);
	if (!error)
		error = pipeline_run(daemon->pipeline, daemon->loop, daemon->source);
	if (daemon->pipeline)
		totals_print(stderr, "wsgiscope: ", pipeline_totals(daemon->pipeline));
	return error;
}

static void daemon_close(struct daemon *daemon)
{
	http_close(daemon->http);
	pipeline_free(daemon->pipeline);
	if (daemon->source)
		daemon->source->ops->close(daemon->source);
	serve_free(daemon->serve);
	loop_free(daemon->loop);
}

int serve_launched(int argc, char **argv, const struct config_launch *launch)
{
	struct config config = config_launched(&serve_defaults, launch);
	struct daemon daemon = {0};
	int status, error;

	if (!options_parse(&serve_command, argc, argv, &config, &status))
		return status;
	error = loop_new(&daemon.loop);
	if (!error)
		error = daemon_open(&config, &daemon);
	if (!error)
		error = daemon_run(&config, &daemon);
	daemon_close(&daemon);
	return error ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}

int cmd_serve(int argc, char **argv)
{
	return serve_launched(argc, argv, NULL);
}
