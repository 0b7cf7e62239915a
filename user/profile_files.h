/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory with one profile a request, as many as are allowed, each named
 *
 *	METHOD.path.to.it.DURATIONms.TIME.ENDING	GET.issue.42.512ms.1795341600.svg
 *
 * with what is neither letter nor digit replaced, since a client chose it.
 */
#ifndef WSGISCOPE_PROFILE_FILES_H
#define WSGISCOPE_PROFILE_FILES_H

#include <stdbool.h>
#include <stdint.h>

struct profile;
struct profile_about;
struct profile_files;
struct profile_format;
struct request;

#define PROFILE_NAME_BYTES 200

/* Makes the directory where there is none. 0 or -errno, message printed. */
int profile_files_open(const char *directory, const struct profile_format *format, bool by_line,
		       uint64_t max, struct profile_files **out);
void profile_files_close(struct profile_files *files); /* NULL is fine */

/* Whether the profiles to be written tell lines apart. */
bool profile_files_by_line(const struct profile_files *files);

/* A finished profile of a request. 0, also where there are enough files (counted); -errno with the
 * message printed. */
int profile_files_write(struct profile_files *files, const struct request *request,
			const struct profile *profile, const struct profile_about *about);

/* Profiles written, and not written because there were enough files. */
uint64_t profile_files_written(const struct profile_files *files);
uint64_t profile_files_unwritten(const struct profile_files *files);

/* A file's name but its ending, terminated: letters, digits, - _ and . alone, no dot first. */
void profile_name(const struct request *request, char out[PROFILE_NAME_BYTES]);

#endif
