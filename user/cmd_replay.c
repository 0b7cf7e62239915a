/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay: a recording, shown as trace would have shown it, or as flame.
 */
#include <stddef.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
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
static const struct option_row replay_rows[] = {
	ROW_COUNT, ROW_JSON, ROW_MIN_MS, ROW_PATH, ROW_BLOCKS,
	ROW_FORMAT, ROW_PROFILE_OUTPUT, ROW_OFF_CPU, ROW_WALL, ROW_NATIVE, ROW_LINES, ROW_ROUTE,
	ROW_METHOD, ROW_STATUS, ROW_SLOWER_THAN, ROW_OUTSIDE, ROW_BY, ROW_EACH, ROW_MAX_FILES, {0},
};
/* clang-format on */

static const struct option_command replay_command = {
	.verb = "replay",
	.summary = "Shows a recording as trace would have shown it, or its profile. Needs no "
		   "privilege.",
	.rows = replay_rows,
	.operand = "FILE",
	.operand_offset = offsetof(struct config, input),
};

static const struct config replay_defaults = {.max_files = MAX_FILES_DEFAULT};

static int requests_replay(const struct config *config, struct loop *loop, struct source *source)
{
	const struct pipeline_outputs outputs = {
		.sinks = {config->json ? &sink_json : &sink_text},
		.out_fd = STDOUT_FILENO,
		.stop_fd = loop_stop_fd(loop),
	};

	return pipeline_show(config, loop, source, &outputs);
}

static int profile_replay(const struct config *config, const struct profile_format *format,
			  struct loop *loop, struct source *source)
{
	const struct sink *const sinks[PIPELINE_SINKS_MAX] = {&sink_totals};
	struct profile_output *output = NULL;
	int error;

	if (config->each)
		return profile_run_each(config, format, loop, source, sinks);
	error = profile_output_open(config, format, &output);
	if (!error)
		error = profile_run(config, format, loop, source, output);
	profile_output_close(output);
	return error;
}

static int replay_run(const struct config *config, const struct profile_format *format)
{
	struct source *source = NULL;
	struct loop *loop = NULL;
	int error = loop_new(&loop);

	if (!error)
		error = source_file_open(config->input, &source);
	if (!error)
		error = format ? profile_replay(config, format, loop, source)
			       : requests_replay(config, loop, source);
	if (source)
		source->ops->close(source);
	loop_free(loop);
	return error;
}

int cmd_replay(int argc, char **argv)
{
	const struct profile_format *format = NULL;
	struct config config = replay_defaults;
	int status;

	if (!options_parse(&replay_command, argc, argv, &config, &status))
		return status;
	if ((config.format || config.output || config.each) &&
	    !profile_options_check(&config, &format_svg, &format))
		return EXIT_STATUS_USAGE;
	if (!format && !profile_options_unused(&config))
		return EXIT_STATUS_USAGE;
	return replay_run(&config, format) ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}
