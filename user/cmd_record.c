/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record: the live ring, written to a file as it came.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "commands.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "options.h"
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

struct recorder {
	const char *path;
	struct recording *recording;
	uint64_t records;
	int error; /* the file's first */
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

static int recorder_record(void *context, const void *record, size_t bytes)
{
	struct recorder *recorder = context;

	if (recorder->error)
		return recorder->error;
	recorder->records++;
	return recorder_failed(recorder, recording_write(recorder->recording, record, bytes));
}

static int recorder_batch(void *context)
{
	struct recorder *recorder = context;

	if (recorder->error)
		return recorder->error;
	return recorder_failed(recorder, recording_flush(recorder->recording));
}

static int record_run(const struct config *config, struct loop *loop, struct source *source,
		      struct recording *recording)
{
	struct recorder recorder = {.path = config->output, .recording = recording};
	struct loop_client client = {recorder_record, recorder_batch, &recorder};
	int error;

	if (recorder_failed(&recorder, recording_begin(recording, &source->clock)))
		return recorder.error;
	error = loop_run(loop, source, &client, config->duration_s);
	recorder_batch(&recorder);
	if (!recorder.error)
		log_info("%" PRIu64 " records written to %s", recorder.records, config->output);
	return error ? error : recorder.error;
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
