/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream of our own over a descriptor (fopencookie), because stdio forgets which error it met,
 * and because a write to a full pipe would hold up SIGINT and SIGTERM, which we take by signalfd.
 */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
/* After the run was told to end, so long a reader may stand still before we go. */
#define PATIENCE_MS 1000

struct output {
	FILE *stream;
	int fd, stop_fd;
	bool may_block; /* a pipe, a socket, a terminal */
	int error;	/* the first -errno */
};

/* Waits until a write of up to PIPE_BUF bytes will not block. 0, -ECANCELED, -errno. */
static int output_wait(const struct output *output)
{
	struct pollfd fds[2] = {
		{.fd = output->fd, .events = POLLOUT},
		{.fd = output->stop_fd, .events = POLLIN},
	};
	int timeout = -1;

	for (;;) {
		int ready = poll(fds, 2, timeout);

		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready < 0)
			continue;
		if (fds[0].revents)
			return 0; /* writable, or the write will say what is wrong */
		if (!ready)
			return -ECANCELED;
		timeout = PATIENCE_MS;
		fds[1].fd = -1;
	}
}

static ssize_t output_write(void *cookie, const char *data, size_t bytes)
{
	struct output *output = cookie;
	size_t done = 0;

	while (done < bytes && !output->error) {
		size_t part = bytes - done;
		ssize_t written;

		if (output->may_block) {
			output->error = output_wait(output);
			part = part < PIPE_BUF ? part : PIPE_BUF;
		}
		if (output->error)
			break;
		written = write(output->fd, data + done, part);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			output->error = -errno;
		done += written > 0 ? (size_t)written : 0;
	}
	if (!output->error)
		return (ssize_t)bytes;
	errno = -output->error;
	return 0;
}

int output_open(int fd, int stop_fd, struct output **out)
{
	cookie_io_functions_t functions = {.write = output_write};
	struct output *output = calloc(1, sizeof(*output));
	struct stat stat;

	if (!output)
		return -ENOMEM;
	output->fd = fd;
	output->stop_fd = stop_fd;
	output->may_block = fstat(fd, &stat) || !S_ISREG(stat.st_mode);
	output->stream = fopencookie(output, "w", functions);
	if (!output->stream) {
		free(output);
		return -ENOMEM;
	}
	setvbuf(output->stream, NULL, _IOFBF, BUFFER_BYTES);
	__fsetlocking(output->stream, FSETLOCKING_BYCALLER); /* there is one thread */
	*out = output;
	return 0;
}

FILE *output_stream(const struct output *output)
{
	return output->stream;
}

int output_flush(struct output *output)
{
	fflush(output->stream);
	return output->error;
}

void output_close(struct output *output)
{
	if (!output)
		return;
	fclose(output->stream);
	free(output);
}
