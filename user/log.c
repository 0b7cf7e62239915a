/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the level and what was last warned of. One write per line, so that lines of several
 * processes on one terminal do not mix. Knows nothing of what is being said.
 */
#include "log.h"

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024
#define LINES_KEPT     100 /* of a text of more */

static struct {
	enum log_level level;
	char last_warning[LINE_MAX_BYTES];
	unsigned long repeats;
} log_state = {.level = LOG_LEVEL_INFO};

void log_level_set(enum log_level level)
{
	log_state.level = level;
}

enum log_level log_level_of(int verbose)
{
	if (verbose <= 0)
		return LOG_LEVEL_INFO;
	return verbose == 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_TRACE;
}

static const char *level_prefix(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_WARN:
		return "warning: ";
	case LOG_LEVEL_DEBUG:
	case LOG_LEVEL_TRACE:
		return "debug: ";
	default:
		return "";
	}
}

/* Control characters as \xNN. Bytes from 0x80 up are let through: file names in UTF-8 are fine. */
static void line_write(enum log_level level, const char *text)
{
	char line[4 * LINE_MAX_BYTES + 64];
	size_t used = (size_t)snprintf(line, sizeof(line), "wsgiscope: %s", level_prefix(level));

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			used += (size_t)snprintf(line + used, sizeof(line) - used, "\\x%02x", c);
		else
			line[used++] = (char)c;
	}
	line[used++] = '\n';
	fwrite(line, 1, used, stderr);
	fflush(stderr);
}

static void repeats_flush(void)
{
	char text[64];

	if (log_state.repeats) {
		snprintf(text, sizeof(text), "(the last warning %lu more times)",
			 log_state.repeats);
		line_write(LOG_LEVEL_WARN, text);
	}
	log_state.repeats = 0;
}

static void log_line(enum log_level level, const char *format, va_list args)
{
	char text[LINE_MAX_BYTES];
	size_t bytes;

	if (level > log_state.level)
		return;
	vsnprintf(text, sizeof(text), format, args);
	for (bytes = strlen(text); bytes && text[bytes - 1] == '\n'; bytes--)
		text[bytes - 1] = '\0';
	if (!bytes)
		return;
	if (level == LOG_LEVEL_WARN && !strcmp(text, log_state.last_warning)) {
		log_state.repeats++;
		return;
	}
	repeats_flush();
	if (level == LOG_LEVEL_WARN)
		memcpy(log_state.last_warning, text, bytes + 1);
	line_write(level, text);
}

static void line_say(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(level, format, args);
	va_end(args);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_LEVEL_ERROR, format, args);
	va_end(args);
}

void log_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_LEVEL_WARN, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_LEVEL_INFO, format, args);
	va_end(args);
}

void log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_LEVEL_DEBUG, format, args);
	va_end(args);
}

void log_end(void)
{
	repeats_flush();
}

/* Of a text of many lines, as the verifier's: its end says why. */
static void lines_say(enum log_level level, char *text)
{
	size_t count = 0, skipped = 0;
	char *next;

	for (const char *at = text; (at = strchr(at, '\n')); at++)
		count++;
	if (count > LINES_KEPT)
		skipped = count - LINES_KEPT;
	for (size_t number = 0; text; text = next, number++) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		if (!number || number > skipped)
			line_say(level, "%s", text);
		else if (number == skipped)
			line_say(level, "(%zu lines before this are left out)", skipped);
	}
}

int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	enum log_level ours = level == LIBBPF_DEBUG ? LOG_LEVEL_TRACE : LOG_LEVEL_DEBUG;
	char *text;

	if (ours > log_state.level || vasprintf(&text, format, args) < 0)
		return 0;
	lines_say(ours, text);
	free(text);
	return 0;
}
