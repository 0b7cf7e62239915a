/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the order of such a run: profiler, pipeline, and what is written and said at the end.
 */
#include "profile_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "loop.h"
#include "pipeline.h"
#include "profile.h"
#include "profile_about.h"
#include "profile_files.h"
#include "profile_format.h"
#include "profile_output.h"
#include "profiler.h"
#include "sink.h"
#include "source.h"

/* What a run gathers for its end. */
struct gathered {
	struct profile *profile;
	struct profile_about about;
	char *notes; /* owned */
	size_t notes_bytes;
	FILE *notes_stream;
};

static int memory_answer(int error)
{
	if (error)
		log_error("cannot make a profile: %s", strerror(-error));
	return error;
}

static int gathered_open(struct gathered *gathered, bool by_line)
{
	int error = profile_new(by_line, &gathered->profile);

	if (!error) {
		gathered->notes_stream = open_memstream(&gathered->notes, &gathered->notes_bytes);
		error = gathered->notes_stream ? 0 : -ENOMEM;
	}
	return memory_answer(error);
}

static void gathered_close(struct gathered *gathered)
{
	if (gathered->notes_stream)
		fclose(gathered->notes_stream);
	free(gathered->notes);
	profile_free(gathered->profile);
}

/* Takes in a source, to one side. */
static int gathered_fill(struct gathered *gathered, const struct config *config, struct loop *loop,
			 struct source *source, unsigned int side)
{
	struct pipeline_outputs outputs = {
		.sinks = {&sink_totals},
		.out_fd = STDOUT_FILENO,
		.stop_fd = loop_stop_fd(loop),
	};
	struct profiler *profiler = NULL;
	int error = memory_answer(profiler_new(config, source->clock.realtime_offset_ns,
					       gathered->profile, side, NULL, &profiler));

	outputs.profiler = profiler;
	if (!error)
		error = pipeline_show(config, loop, source, &outputs);
	if (!error) {
		profiler_describe(profiler, &gathered->about);
		profiler_notes(profiler, gathered->notes_stream);
	}
	profiler_free(profiler);
	return error;
}

static int gathered_write(struct gathered *gathered, struct loop *loop,
			  struct profile_output *output)
{
	int error = profile_finish(gathered->profile);

	if (!error && fclose(gathered->notes_stream))
		error = -ENOMEM;
	gathered->notes_stream = NULL;
	if (error)
		return memory_answer(error);
	gathered->about.notes = gathered->notes;
	return profile_output_write(output, loop_stop_fd(loop), gathered->profile,
				    &gathered->about);
}

int profile_run(const struct config *config, const struct profile_format *format, struct loop *loop,
		struct source *source, struct profile_output *output)
{
	struct gathered gathered = {0};
	int error = gathered_open(&gathered, format->by_line || config->lines);

	if (!error)
		error = gathered_fill(&gathered, config, loop, source, 0);
	if (!error)
		error = gathered_write(&gathered, loop, output);
	gathered_close(&gathered);
	return error;
}

static void each_say(const struct profiler *profiler, const struct profile_files *files,
		     const char *directory)
{
	char *text = NULL, *line, *rest;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory) {
		memory_answer(-ENOMEM);
		return;
	}
	profiler_notes(profiler, memory);
	if (!fclose(memory)) {
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			log_info("%s", line);
	}
	free(text);
	log_info("%" PRIu64 " profiles written to %s", profile_files_written(files), directory);
}

int profile_run_each(const struct config *config, const struct profile_format *format,
		     struct loop *loop, struct source *source,
		     const struct sink *const sinks[PIPELINE_SINKS_MAX])
{
	struct pipeline_outputs outputs = {
		.out_fd = STDOUT_FILENO,
		.stop_fd = loop_stop_fd(loop),
	};
	struct profile_files *files = NULL;
	struct profiler *profiler = NULL;
	int error = profile_files_open(config->each, format, format->by_line || config->lines,
				       config->max_files, &files);

	if (!error)
		error = memory_answer(profiler_new(config, source->clock.realtime_offset_ns, NULL,
						   0, files, &profiler));
	if (!error) {
		memcpy(outputs.sinks, sinks, sizeof(outputs.sinks));
		outputs.profiler = profiler;
		error = pipeline_show(config, loop, source, &outputs);
		each_say(profiler, files, config->each);
	}
	profiler_free(profiler);
	profile_files_close(files);
	return error;
}

static int diff_side(struct gathered *gathered, const struct config *config, unsigned int side)
{
	static const char *const names[PROFILE_SIDES] = {"before", "after"};
	const char *path = side ? config->input : config->against;
	struct source *source = NULL;
	struct loop *loop = NULL;
	int error = loop_new(&loop); /* a loop ends with its source */

	if (!error)
		error = source_file_open(path, &source);
	if (!error) {
		fprintf(gathered->notes_stream, "%s: %s\n", names[side], path);
		error = gathered_fill(gathered, config, loop, source, side);
	}
	if (source)
		source->ops->close(source);
	loop_free(loop);
	return error;
}

int profile_run_diff(const struct config *config, const struct profile_format *format)
{
	struct gathered gathered = {.about = {.is_diff = true}};
	struct profile_output *output = NULL;
	struct loop *loop = NULL;
	int error = gathered_open(&gathered, format->by_line || config->lines);

	if (!error)
		error = profile_output_open(config, format, &output);
	for (unsigned int side = 0; side < PROFILE_SIDES && !error; side++)
		error = diff_side(&gathered, config, side);
	if (!error)
		error = loop_new(&loop);
	if (!error)
		error = gathered_write(&gathered, loop, output);
	loop_free(loop);
	profile_output_close(output);
	gathered_close(&gathered);
	return error;
}
