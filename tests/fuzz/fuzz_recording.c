/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes as a recording, through the whole of replay: file, loop, pipeline, sinks.
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
#include "sink.h"
#include "source.h"

static void replay(const char *path, const struct sink *sink)
{
	const struct config config = {.blocks = true};
	struct source *source = NULL;
	struct loop *loop = NULL;
	struct pipeline_outputs outputs = {
		.sinks = {sink},
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	log_level_set(LOG_LEVEL_NONE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	replay(path, &sink_text);
	replay(path, &sink_json);
	close(fd);
	return 0;
}
