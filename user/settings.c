/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the defaults and the way of a settings file into memory, bounded. Its grammar is
 * settings_parse.c's.
 */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define US INT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

/* OpenTelemetry's advice for http.server.request.duration. */
#define BOUNDS_OTEL                                                                                \
	5 * MS, 10 * MS, 25 * MS, 50 * MS, 75 * MS, 100 * MS, 250 * MS, 500 * MS, 750 * MS, 1 * S, \
		2500 * MS, 5 * S, 7500 * MS, 10 * S

/* Output and queue times are mostly shorter: the same, and four before them. */
static const struct settings_bounds bounds_default[SETTINGS_HISTOGRAMS] = {
	[SETTINGS_DURATION] = {14, {BOUNDS_OTEL}},
	[SETTINGS_OUTPUT_TIME] = {18, {100 * US, 500 * US, 1 * MS, 2500 * US, BOUNDS_OTEL}},
	[SETTINGS_QUEUE_TIME] = {18, {100 * US, 500 * US, 1 * MS, 2500 * US, BOUNDS_OTEL}},
	[SETTINGS_BODY_SIZE] = {9,
				{0, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000,
				 1000000000}},
	[SETTINGS_BLOCKS] = {7, {0, 1, 2, 10, 100, 1000, 10000}},
};

int settings_default(struct settings **out)
{
	struct settings *settings = calloc(1, sizeof(*settings));

	if (!settings)
		return -ENOMEM;
	settings->segment_values = SETTINGS_SEGMENT_VALUES;
	settings->series_max = SETTINGS_SERIES;
	memcpy(settings->bounds, bounds_default, sizeof(bounds_default));
	*out = settings;
	return 0;
}

void settings_free(struct settings *settings)
{
	if (!settings)
		return;
	free(settings->patterns);
	free(settings);
}

/* Fills text as far as the file goes. The bytes read, or -errno. */
static ssize_t file_fill(int fd, char *text, size_t room)
{
	size_t used = 0;

	while (used < room) {
		ssize_t got = read(fd, text + used, room - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

/* A file that does not wait for a writer, as a pipe would: a daemon must not stop here. */
static int file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status))
		error = -errno;
	else if (S_ISDIR(status.st_mode))
		error = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		error = -EINVAL;
	if (!error)
		return fd;
	close(fd);
	return error;
}

int settings_read(const char *path, struct settings **out)
{
	char *text = malloc(SETTINGS_BYTES_MAX + 1);
	int fd = text ? file_open(path) : -ENOMEM;
	ssize_t bytes = fd < 0 ? fd : file_fill(fd, text, SETTINGS_BYTES_MAX + 1);
	int error = bytes < 0 ? (int)bytes : 0;

	if (fd >= 0)
		close(fd);
	if (error) {
		log_error("cannot read the settings in %s: %s", path, strerror(-error));
	} else if (bytes > SETTINGS_BYTES_MAX) {
		error = -EFBIG;
		log_error("cannot read the settings in %s: more than %d bytes, which no settings "
			  "are",
			  path, SETTINGS_BYTES_MAX);
	} else {
		error = settings_parse(path, text, (size_t)bytes, out);
	}
	free(text);
	return error;
}
