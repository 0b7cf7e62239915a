/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay: a recording, shown as trace would have shown it.
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

static const struct option_row replay_rows[] = {
	ROW_COUNT, ROW_JSON, ROW_MIN_MS, ROW_PATH, ROW_BLOCKS, {0},
};

static const struct option_command replay_command = {
	.verb = "replay",
	.summary = "Shows a recording as trace would have shown it. Needs no privilege.",
	.rows = replay_rows,
	.operand = "FILE",
	.operand_offset = offsetof(struct config, input),
};

static int replay_run(const struct config *config, struct loop *loop, struct source *source)
{
	const struct pipeline_outputs outputs = {
		.sinks = {config->json ? &sink_json : &sink_text},
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

int cmd_replay(int argc, char **argv)
{
	struct config config = {0};
	struct source *source = NULL;
	struct loop *loop = NULL;
	int status, error;

	if (!options_parse(&replay_command, argc, argv, &config, &status))
		return status;
	error = loop_new(&loop);
	if (!error)
		error = source_file_open(config.input, &source);
	if (!error)
		error = replay_run(&config, loop, source);
	if (source)
		source->ops->close(source);
	loop_free(loop);
	return error ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}
