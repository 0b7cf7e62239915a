/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talk: one line each on stderr, "wsgiscope: …". Data never goes this way, nor the other round.
 * A failure is an error, once, where the operation is known, with what to try.
 */
#ifndef WSGISCOPE_LOG_H
#define WSGISCOPE_LOG_H

#include <stdarg.h>

enum log_level {
	LOG_LEVEL_NONE,	 /* nothing at all: for fuzzing */
	LOG_LEVEL_ERROR, /* the operation failed */
	LOG_LEVEL_WARN,	 /* it goes on, less well */
	LOG_LEVEL_INFO,	 /* what a script waits for: "attached to …"; shown unless lowered */
	LOG_LEVEL_DEBUG, /* -v: which path was taken, libbpf's warnings */
	LOG_LEVEL_TRACE, /* -vv: libbpf's own debug talk */
};

/* The lowest importance that is still shown; LOG_LEVEL_INFO at the start. */
void log_level_set(enum log_level level);

/* What -v given so many times means. */
enum log_level log_level_of(int verbose);

/*
 * A line without its newline. Control characters in the result are shown as \xNN, so that a
 * hostile name cannot steer the terminal. A warning that repeats the last one is counted, not
 * shown; the count comes with the next other line.
 */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says how often the last warning was repeated, if it was: before the program ends. */
void log_end(void);

/*
 * For libbpf_set_print(): libbpf's talk is for who debugs us, so all of it comes one level down. A
 * text of many lines, as the verifier's, goes out line by line: the first one and its end.
 */
enum libbpf_print_level;
int log_libbpf(enum libbpf_print_level level, const char *format, va_list args);

#endif
