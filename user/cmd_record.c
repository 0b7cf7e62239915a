/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: the live ring, written to a file; how is recorder.c's.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "commands.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "recorder.h"
#include "show_options.h"
#include "source.h"

/* clang-format off */
static const struct option_row record_rows[] = {
	ROW_OUTPUT, ROW_PID, ROW_MODE, ROW_DURATION, ROW_BLOCKS,
	{.name = "samples", .type = OPTION_FLAG, .offset = offsetof(struct config, samples),
	 .help = "also stacks, for profiles: where threads run"},
	ROW_SAMPLE_HZ, ROW_OFF_CPU, ROW_WALL, ROW_NATIVE, ROW_RING_SIZE, ROW_MAX_IN_FLIGHT, {0},
};
/* clang-format on */

static const struct option_command record_command = {
	.verb = "record",
	.summary = "Writes what live WSGI workers do to a file, for replay.",
	.rows = record_rows,
};

static const struct config record_defaults = {
	.ring_bytes = RING_BYTES_DEFAULT,
	.max_in_flight = MAX_IN_FLIGHT_DEFAULT,
	.collections = true,
	.sample_hz = SAMPLE_HZ_DEFAULT,
	.samples_all = true, /* a replay may ask for them */
};

static int record_run(const struct config *config, struct loop *loop, struct source *source,
		      struct recording *recording)
{
	struct recorder *recorder;
	struct loop_client client = {recorder_record, recorder_batch, NULL};
	int error = recorder_new(recording, config->output, &recorder), end_error;

	if (error)
		return error;
	client.context = recorder;
	recorder_begin(recorder, &source->clock);
	error = loop_run(loop, source, &client, config->duration_s);
	end_error = recorder_end(recorder, error);
	recorder_free(recorder);
	return error ? error : end_error;
}

int cmd_record(int argc, char **argv)
{
	struct config config = record_defaults;
	struct recording *recording = NULL;
	struct source *source = NULL;
	struct loop *loop = NULL;
	int status, error, close_error;

	if (!options_parse(&record_command, argc, argv, &config, &status))
		return status;
	config.samples |= config.off_cpu || config.wall || config.native;
	error = loop_new(&loop);
	if (error)
		return EXIT_STATUS_FAILED;
	error = recording_create(config.output, &recording);
	if (error)
		log_error("cannot create %s: %s", config.output, strerror(-error));
	if (!error)
		error = source_ring_open(&config, &source);
	if (!error)
		error = record_run(&config, loop, source, recording);
	if (source)
		source->ops->close(source);
	close_error = recording_close(recording);
	if (!error && close_error)
		log_error("cannot write %s: %s", config.output, strerror(-close_error));
	loop_free(loop);
	return error || close_error ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}
