/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a profile goes: its format, the file or stdout, and what is said when it is there. For the
 * verbs that make profiles.
 */
#ifndef WSGISCOPE_PROFILE_OUTPUT_H
#define WSGISCOPE_PROFILE_OUTPUT_H

#include <stdbool.h>

struct config;
struct profile;
struct profile_about;
struct profile_format;
struct profile_output;

/*
 * The options of profiles, as a whole: the format by its name, else by the file's ending, else
 * fallback. True: *format is it. False: what is wrong was printed.
 */
bool profile_options_check(const struct config *config, const struct profile_format *fallback,
			   const struct profile_format **format);

/* Where no profile was asked for: true where none of its own options was given either (filters of
 * requests are everyone's). False: printed. */
bool profile_options_unused(const struct config *config);

/* The file of config->output, created (or found) before anything is attached; stdout where there
 * is none. 0 or -errno, message printed. */
int profile_output_open(const struct config *config, const struct profile_format *format,
			struct profile_output **out);

/* Writes a finished profile, and its notes to stderr, unless the format has just shown them on
 * stdout. stop_fd as in output_open(). 0 or -errno, message printed. */
int profile_output_write(struct profile_output *output, int stop_fd, const struct profile *profile,
			 const struct profile_about *about);

/* A file that was not there before and was never written goes again. NULL is fine. */
void profile_output_close(struct profile_output *output);

#endif
