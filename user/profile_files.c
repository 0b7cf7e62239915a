/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the directory and the names in it. Files are made anew, never followed, never written over:
 * whoever may write to the directory cannot turn us to another place.
 */
#include "profile_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "output.h"
#include "profile_about.h"
#include "profile_format.h"
#include "request.h"

#define PATH_BYTES_MAX 100
#define TRIES	       1000

struct profile_files {
	const struct profile_format *format;
	bool by_line;
	uint64_t max, written, unwritten;
	uint64_t number; /* the last that told two files of one name apart */
	int fd;
	char *directory; /* owned */
};

int profile_files_open(const char *directory, const struct profile_format *format, bool by_line,
		       uint64_t max, struct profile_files **out)
{
	struct profile_files *files = calloc(1, sizeof(*files));
	int error = -ENOMEM;

	if (files)
		files->directory = strdup(directory);
	if (!files || !files->directory) {
		free(files);
		log_error("cannot open %s: %s", directory, strerror(-error));
		return error;
	}
	files->format = format;
	files->by_line = by_line;
	files->max = max;
	files->number = 1;
	/* For the owner only: paths can be private. */
	if (mkdir(directory, 0700) && errno != EEXIST)
		goto fail;
	files->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->fd < 0)
		goto fail;
	*out = files;
	return 0;
fail:
	error = -errno;
	log_error("cannot use the directory %s: %s", directory, strerror(errno));
	free(files->directory);
	free(files);
	return error;
}

void profile_files_close(struct profile_files *files)
{
	if (!files)
		return;
	close(files->fd);
	free(files->directory);
	free(files);
}

bool profile_files_by_line(const struct profile_files *files)
{
	return files->by_line;
}

uint64_t profile_files_written(const struct profile_files *files)
{
	return files->written;
}

uint64_t profile_files_unwritten(const struct profile_files *files)
{
	return files->unwritten;
}

/* Letters, digits, - and _ as they are; a slash as a dot, but neither first nor after another; all
 * else as _. Returns the new end. */
static size_t word_put(char *out, size_t at, struct request_text text, size_t max)
{
	size_t begin = at;

	for (size_t i = 0; i < text.bytes && at - begin < max; i++) {
		char c = text.ptr[i];

		if (c == '/') {
			if (at > begin && out[at - 1] != '.')
				out[at++] = '.';
		} else if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			   (c >= 'a' && c <= 'z') || c == '-' || c == '_') {
			out[at++] = c;
		} else {
			out[at++] = '_';
		}
	}
	while (at > begin && out[at - 1] == '.')
		at--;
	return at;
}

void profile_name(const struct request *request, char out[PROFILE_NAME_BYTES])
{
	size_t method, at = word_put(out, 0, request->method, 16);

	if (!at)
		out[at++] = '_';
	out[at++] = '.';
	method = at;
	at = word_put(out, at, request->path, PATH_BYTES_MAX);
	if (at == method) {
		memcpy(out + at, "root", 4); /* as Werkzeug has it */
		at += 4;
	}
	if (request->application_ns == REQUEST_UNSEEN)
		at += (size_t)snprintf(out + at, PROFILE_NAME_BYTES - at, ".unended");
	else
		at += (size_t)snprintf(out + at, PROFILE_NAME_BYTES - at, ".%" PRId64 "ms",
				       request->application_ns / 1000000);
	snprintf(out + at, PROFILE_NAME_BYTES - at, ".%" PRId64, request->time_ns / 1000000000);
}

/* A file that was not there: name.ending, else name.NUMBER.ending, from 2 on. fd or -errno. */
static int file_create(struct profile_files *files, const char *name,
		       char path[PROFILE_NAME_BYTES + 64])
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	for (int i = 0; i < TRIES; i++) {
		char number[24] = "";
		int fd;

		if (i)
			snprintf(number, sizeof(number), ".%" PRIu64, ++files->number);
		snprintf(path, PROFILE_NAME_BYTES + 64, "%s%s.%s", name, number,
			 files->format->ending);
		fd = openat(files->fd, path, flags, 0666);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

/* Closes fd. 0 or -errno. */
static int file_write(const struct profile_files *files, int fd, const struct profile *profile,
		      const struct profile_about *about)
{
	struct output *output = NULL;
	int error = output_open(fd, -1, &output), flush_error;

	if (!error) {
		error = files->format->write(profile, about, output_stream(output));
		flush_error = output_flush(output);
		error = error ? error : flush_error;
	}
	output_close(output);
	if (close(fd) && !error)
		error = -errno;
	return error;
}

int profile_files_write(struct profile_files *files, const struct request *request,
			const struct profile *profile, const struct profile_about *about)
{
	char name[PROFILE_NAME_BYTES], path[PROFILE_NAME_BYTES + 64];
	struct profile_about mine = *about;
	int error, fd;

	if (files->written >= files->max) {
		files->unwritten++;
		return 0;
	}
	profile_name(request, name);
	mine.title = name;
	mine.time_ns = request->time_ns;
	mine.duration_ns = request->application_ns == REQUEST_UNSEEN ? 0 : request->application_ns;
	mine.requests[0] = 1;
	fd = file_create(files, name, path);
	error = fd < 0 ? fd : file_write(files, fd, profile, &mine);
	if (error) {
		if (fd >= 0)
			unlinkat(files->fd, path, 0);
		log_error("cannot write %s/%s: %s", files->directory, path, strerror(-error));
		return error;
	}
	files->written++;
	return 0;
}
