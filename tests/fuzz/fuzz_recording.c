/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as a recording, through the whole of replay: file, loop, pipeline, sinks;
 * and through that of a profile, in a format and with options that the bytes choose.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "loop.h"
#include "pipeline.h"
#include "profile_format.h"
#include "profile_output.h"
#include "profile_run.h"
#include "sink.h"
#include "source.h"

static void replay(const char *path)
{
	const struct config config = {.blocks = true};
	struct source *source = NULL;
	struct loop *loop = NULL;
	struct pipeline_outputs outputs = {
		.sinks = {&sink_text, &sink_json},
		.out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC),
		.stop_fd = -1,
	};
	struct pipeline *pipeline;

	if (outputs.out_fd < 0 || loop_new(&loop))
		abort();
	if (!source_file_open(path, &source)) {
		if (!pipeline_new(&config, source, &outputs, &pipeline)) {
			pipeline_run(pipeline, loop, source);
			pipeline_free(pipeline);
		}
		source->ops->close(source);
	}
	loop_free(loop);
	close(outputs.out_fd);
}

static void profile(const char *path, size_t bytes)
{
	static const struct profile_format *const formats[] = {
		&format_text,	    &format_folded, &format_svg,
		&format_speedscope, &format_pprof,  &format_pstats,
	};
	const struct profile_format *format = formats[bytes % 6];
	const struct config config = {
		.output = "/dev/null",
		.wall = true,
		.native = bytes & 8,
		.outside = (bytes & 48) == 48,
		.by = bytes & 64 ? "route" : NULL,
		.lines = bytes & 128,
		.input = path,
		.against = path,
	};
	struct profile_output *output = NULL;
	struct source *source = NULL;
	struct loop *loop = NULL;

	if (format->diffs && bytes & 256) {
		profile_run_diff(&config, format);
		return;
	}
	if (loop_new(&loop) || profile_output_open(&config, format, &output))
		abort();
	if (!source_file_open(path, &source)) {
		profile_run(&config, format, loop, source, output);
		source->ops->close(source);
	}
	profile_output_close(output);
	loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	log_level_set(LOG_LEVEL_NONE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	replay(path);
	profile(path, bytes);
	close(fd);
	return 0;
}
