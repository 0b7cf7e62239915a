/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways to write a profile: one file a format in sinks/, one row of the table here. A format
 * includes neither abi.h nor another format, and takes every text for hostile.
 */
#ifndef WSGISCOPE_PROFILE_FORMAT_H
#define WSGISCOPE_PROFILE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct profile;
struct profile_about;

struct profile_format {
	const char *name;   /* for --format */
	const char *ending; /* of a file, without its dot */
	bool is_binary;	    /* not for a terminal */
	bool by_line;	    /* always tells lines apart; others with --lines */
	bool diffs;	    /* can show two sides */
	bool has_notes;	    /* shows the footer itself */
	/* A finished profile. 0 or -errno; what becomes of the stream is the caller's. */
	int (*write)(const struct profile *profile, const struct profile_about *about, FILE *out);
};

/* By its name. NULL: there is no such format. */
const struct profile_format *profile_format_named(const char *name);

/* By the ending of a file's name: that of its row, or its name; a .gz behind it is ignored. */
const struct profile_format *profile_format_of_file(const char *path);

/* All names with ", " between them, terminated, cut at bytes. */
void profile_format_names(char *out, size_t bytes);

extern const struct profile_format format_text, format_folded, format_svg, format_speedscope,
	format_pprof, format_pstats;

#endif
