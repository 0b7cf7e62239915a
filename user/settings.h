/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of `serve` (--config FILE): a text of lines, one setting each. Knows its
 * grammar and limits, nothing of what they are used for.
 *
 *	# a comment
 *	path /issue/{n}			a pattern; the first that matches gives the path group
 *	path /static/{file...}		{name...}, only at the end: one segment or more
 *	segment-values 50		a position of a path that shows more values becomes {name}
 *	series 2000			label sets a metric at most; the rest is "other"
 *	buckets duration 0.005 0.01 1	upper bounds, rising: duration, output-time, queue-time (s),
 *					body-size (bytes), blocks
 *
 * A {name} stands for one whole segment. A bound has at most two significant digits, so that it is
 * one of the bounds that the histograms have inside and its count is exact.
 */
#ifndef WSGISCOPE_SETTINGS_H
#define WSGISCOPE_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#define SETTINGS_BYTES_MAX	    (256 * 1024) /* of the file */
#define SETTINGS_PATTERNS_MAX	    256
#define SETTINGS_PATTERN_BYTES	    192
#define SETTINGS_SEGMENT_VALUES	    50 /* the default, as the others below */
#define SETTINGS_SEGMENT_VALUES_MAX 10000
#define SETTINGS_SERIES		    2000
#define SETTINGS_SERIES_MIN	    16
#define SETTINGS_SERIES_MAX	    100000
#define SETTINGS_BOUNDS_MAX	    32

enum settings_histogram {
	SETTINGS_DURATION,    /* ns */
	SETTINGS_OUTPUT_TIME, /* ns */
	SETTINGS_QUEUE_TIME,  /* ns */
	SETTINGS_BODY_SIZE,   /* bytes */
	SETTINGS_BLOCKS,
	SETTINGS_HISTOGRAMS,
};

struct settings_bounds {
	size_t count; /* at least 1 */
	int64_t bound[SETTINGS_BOUNDS_MAX];
};

struct settings_pattern {
	size_t bytes;
	char text[SETTINGS_PATTERN_BYTES + 1]; /* starts with a slash; terminated */
};

struct settings {
	size_t pattern_count;
	struct settings_pattern *patterns; /* owned; in the file's order */
	unsigned int segment_values;
	unsigned int series_max;
	struct settings_bounds bounds[SETTINGS_HISTOGRAMS];
};

/* What holds where no file is given. 0 or -ENOMEM. *out goes to settings_free(). */
int settings_default(struct settings **out);

/*
 * Reads a file. 0 or -errno, *out untouched then; the message, with file, line and column where it
 * is the text that is wrong, is printed.
 */
int settings_read(const char *path, struct settings **out);

/* The same for a text; name is the file's in messages. -EINVAL: the text is wrong. */
int settings_parse(const char *name, const char *text, size_t bytes, struct settings **out);

void settings_free(struct settings *settings); /* NULL is fine */

#endif
