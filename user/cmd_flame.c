/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flame: what the code of live workers was doing, as a profile; and the comparison of two
 * recordings.
 */
#include <stddef.h>

#include "commands.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "profile_format.h"
#include "profile_output.h"
#include "profile_run.h"
#include "show_options.h"
#include "sink.h"
#include "source.h"

/* clang-format off */
static const struct option_row flame_rows[] = {
	ROW_PID, ROW_MODE, ROW_DURATION, ROW_SAMPLE_HZ, ROW_OFF_CPU, ROW_WALL, ROW_NATIVE,
	ROW_PROFILE_OUTPUT, ROW_FORMAT, ROW_LINES, ROW_ROUTE, ROW_PATH, ROW_METHOD, ROW_STATUS,
	ROW_SLOWER_THAN, ROW_OUTSIDE, ROW_BY, ROW_EACH, ROW_MAX_FILES,
	{.name = "diff", .type = OPTION_STRING, .offset = offsetof(struct config, against),
	 .argument = "BEFORE", .help = "compares the recording BEFORE with the one AFTER"},
	ROW_RING_SIZE, ROW_MAX_IN_FLIGHT, {0},
};
/* clang-format on */

static const struct option_command flame_command = {
	.verb = "flame",
	.summary = "Shows what the code of live WSGI workers does: a profile of their requests.",
	.rows = flame_rows,
	.operand = "AFTER",
	.operand_offset = offsetof(struct config, input),
	.operand_optional = true,
};

static const struct config flame_defaults = {
	.ring_bytes = RING_BYTES_DEFAULT,
	.max_in_flight = MAX_IN_FLIGHT_DEFAULT,
	.samples = true,
	.sample_hz = SAMPLE_HZ_DEFAULT,
	.max_files = MAX_FILES_DEFAULT,
};

static bool operands_check(const struct config *config)
{
	if (config->against && !config->input)
		log_error("--diff BEFORE AFTER: two recordings are compared");
	else if (!config->against && config->input)
		log_error("%s: a recording is shown by: wsgiscope replay --format FORMAT %s",
			  config->input, config->input);
	else if (config->against && config->each)
		log_error("--diff and --each: a comparison is one profile");
	else
		return true;
	return false;
}

static int flame_run(const struct config *config, const struct profile_format *format)
{
	const struct sink *const sinks[PIPELINE_SINKS_MAX] = {&sink_totals};
	struct profile_output *output = NULL;
	struct source *source = NULL;
	struct loop *loop = NULL;
	int error = loop_new(&loop);

	if (!error && !config->each)
		error = profile_output_open(config, format, &output);
	if (!error)
		error = source_ring_open(config, &source);
	if (!error && config->each)
		error = profile_run_each(config, format, loop, source, sinks);
	else if (!error)
		error = profile_run(config, format, loop, source, output);
	if (source)
		source->ops->close(source);
	profile_output_close(output);
	loop_free(loop);
	return error;
}

int flame_launched(int argc, char **argv, const struct config_launch *launch)
{
	struct config config = config_launched(&flame_defaults, launch);
	const struct profile_format *format;
	int status, error;

	if (!options_parse(&flame_command, argc, argv, &config, &status))
		return status;
	if (!operands_check(&config) ||
	    !profile_options_check(&config, config.each ? &format_svg : &format_text, &format))
		return EXIT_STATUS_USAGE;
	error = config.against ? profile_run_diff(&config, format) : flame_run(&config, format);
	return error ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}

int cmd_flame(int argc, char **argv)
{
	return flame_launched(argc, argv, NULL);
}
