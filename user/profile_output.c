/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the output file. An older one keeps its contents until there is something to put in their
 * place.
 */
#include "profile_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "filter.h"
#include "log.h"
#include "output.h"
#include "profile_about.h"
#include "profile_format.h"

struct profile_output {
	const struct profile_format *format;
	const char *path; /* NULL: stdout */
	int fd;
	bool is_new, written;
};

static bool format_find(const struct config *config, const struct profile_format *fallback,
			const struct profile_format **format)
{
	char names[128];

	profile_format_names(names, sizeof(names));
	*format = fallback;
	if (config->format) {
		*format = profile_format_named(config->format);
		if (!*format)
			log_error("--format %s: no such format; there are: %s", config->format,
				  names);
	} else if (config->output) {
		*format = profile_format_of_file(config->output);
		if (!*format)
			log_error("-o %s: no format has this ending: give --format, one of %s",
				  config->output, names);
	}
	return *format != NULL;
}

static bool refuse(const char *why)
{
	log_error("%s", why);
	return false;
}

bool profile_options_check(const struct config *config, const struct profile_format *fallback,
			   const struct profile_format **format)
{
	if (config->by && strcmp(config->by, "route"))
		return refuse("--by: only route is known");
	if (config->off_cpu && config->wall)
		return refuse("--off-cpu and --wall: choose one; --wall has both");
	if (config->outside && (config->route || config->path_glob || config->method ||
				config->status || config->slower_ms > 0))
		return refuse("--outside is for threads that serve no request: it goes with no "
			      "filter of requests");
	if (config->outside && config->each)
		return refuse("--outside and --each: what is outside of requests has no request");
	if (config->each && config->output)
		return refuse("--each and -o: the directory takes all profiles");
	if (config->status && !filter_status_valid(config->status))
		return refuse("--status takes three digits, or a digit and xx: 404 or 5xx");
	if (!format_find(config, fallback, format))
		return false;
	if (config->against && !(*format)->diffs)
		return refuse("--diff can be shown as text, folded or svg");
	if ((*format)->is_binary && !config->output && !config->each && isatty(STDOUT_FILENO))
		return refuse("this format is not for a terminal: give -o FILE");
	return true;
}

bool profile_options_unused(const struct config *config)
{
	if (config->slower_ms > 0 || config->outside || config->by || config->lines ||
	    config->off_cpu || config->wall || config->native)
		return refuse("this is of a profile: say which by --format, -o or --each");
	return true;
}

int profile_output_open(const struct config *config, const struct profile_format *format,
			struct profile_output **out)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
	struct profile_output *output = calloc(1, sizeof(*output));
	int error = output ? 0 : -ENOMEM;

	if (error)
		goto out;
	output->format = format;
	output->path = config->output;
	output->fd = STDOUT_FILENO;
	if (!output->path)
		goto out;
	output->fd = open(output->path, flags | O_EXCL, 0666);
	output->is_new = output->fd >= 0;
	if (output->fd < 0 && errno == EEXIST)
		output->fd = open(output->path, flags, 0666);
	error = output->fd < 0 ? -errno : 0;
out:
	if (error) {
		log_error("cannot create %s: %s", config->output, strerror(-error));
		profile_output_close(output);
		return error;
	}
	*out = output;
	return 0;
}

static void notes_say(const char *notes)
{
	while (*notes) {
		size_t bytes = strcspn(notes, "\n");

		log_info("%.*s", (int)bytes, notes);
		notes += bytes + (notes[bytes] == '\n');
	}
}

/* Empties an older file of before; others have no length. */
static int file_empty(const struct profile_output *output)
{
	struct stat stat;

	if (!output->path || output->is_new)
		return 0;
	if (fstat(output->fd, &stat))
		return -errno;
	return S_ISREG(stat.st_mode) && ftruncate(output->fd, 0) ? -errno : 0;
}

int profile_output_write(struct profile_output *output, int stop_fd, const struct profile *profile,
			 const struct profile_about *about)
{
	const char *name = output->path ? output->path : "stdout";
	struct output *stream = NULL;
	int error = file_empty(output), flush_error = 0;

	if (!error)
		error = output_open(output->fd, stop_fd, &stream);
	if (!error) {
		error = output->format->write(profile, about, output_stream(stream));
		flush_error = output_flush(stream);
	}
	output_close(stream);
	if (flush_error == -EPIPE && !output->path) /* who read has read enough */
		return 0;
	error = error ? error : flush_error;
	if (error) {
		log_error("cannot write the profile to %s: %s", name, strerror(-error));
		return error;
	}
	output->written = true;
	if (!output->format->has_notes || output->path)
		notes_say(about->notes);
	if (output->path)
		log_info("%s written to %s", output->format->name, output->path);
	return 0;
}

void profile_output_close(struct profile_output *output)
{
	if (!output)
		return;
	if (output->is_new && !output->written)
		unlink(output->path);
	if (output->path && output->fd >= 0)
		close(output->fd);
	free(output);
}
