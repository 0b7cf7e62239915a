/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the grammar of a settings file: lines of words, a table of what the first word can be. The
 * first fault ends it, said with line and column (in bytes, from 1).
 */
#include "settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "histogram.h"
#include "log.h"
#include "nearest.h"

#define NS_PLACES      9
#define TIME_BOUND_MIN 1000 /* ns: below the clock's own cost there is nothing to see */

struct parser {
	struct settings *settings;
	const char *name; /* of the file */
	const char *line, *end, *at;
	unsigned int line_number;
	unsigned int given; /* bits: the rows of the table that have been given */
};

struct word {
	const char *text;
	size_t bytes;
};

/* Always -EINVAL. where: in the line. */
static int parser_fault(const struct parser *parser, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int parser_fault(const struct parser *parser, const char *where, const char *format, ...)
{
	char message[256];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	log_error("%s:%u:%zu: %s", parser->name, parser->line_number,
		  (size_t)(where - parser->line) + 1, message);
	return -EINVAL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line; of no bytes where there is none. A # at a word's start ends a line. */
static struct word word_next(struct parser *parser)
{
	struct word word;

	while (parser->at < parser->end && is_space(*parser->at))
		parser->at++;
	if (parser->at < parser->end && *parser->at == '#')
		parser->end = parser->at;
	word.text = parser->at;
	while (parser->at < parser->end && !is_space(*parser->at))
		parser->at++;
	word.bytes = (size_t)(parser->at - word.text);
	return word;
}

static bool word_is(struct word word, const char *name)
{
	return word.bytes == strlen(name) && !memcmp(word.text, name, word.bytes);
}

/* As %.*s wants it; the log escapes what is not text. */
static int word_shown(struct word word)
{
	return word.bytes < 60 ? (int)word.bytes : 60;
}

/* A decimal number in units of 10^-places, exact. False: no such number, or too large. */
static bool decimal_read(struct word word, unsigned int places, int64_t *out)
{
	bool point = false, digits = false;
	int64_t number = 0;

	for (size_t i = 0; i < word.bytes; i++) {
		char c = word.text[i];

		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9' || (point && !places))
			return false;
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, c - '0', &number))
			return false;
		digits = true;
		places -= point;
	}
	while (digits && places--) {
		if (__builtin_mul_overflow(number, 10, &number))
			return false;
	}
	*out = number;
	return digits;
}

static int number_parse(struct parser *parser, unsigned int least, unsigned int greatest,
			unsigned int *out)
{
	struct word word = word_next(parser);
	int64_t number;

	if (!word.bytes)
		return parser_fault(parser, word.text, "a number is missing, %u to %u", least,
				    greatest);
	if (!decimal_read(word, 0, &number) || number < least || number > greatest)
		return parser_fault(parser, word.text, "'%.*s' is no whole number from %u to %u",
				    word_shown(word), word.text, least, greatest);
	*out = (unsigned int)number;
	return 0;
}

static int series_parse(struct parser *parser)
{
	return number_parse(parser, SETTINGS_SERIES_MIN, SETTINGS_SERIES_MAX,
			    &parser->settings->series_max);
}

static int segment_values_parse(struct parser *parser)
{
	return number_parse(parser, 1, SETTINGS_SEGMENT_VALUES_MAX,
			    &parser->settings->segment_values);
}

static bool is_name(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];

		if (c != '_' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z'))
			return false;
	}
	return bytes > 0;
}

/* text: what is between two slashes. */
static int segment_check(const struct parser *parser, const char *text, size_t bytes, bool last)
{
	bool braces = memchr(text, '{', bytes) || memchr(text, '}', bytes);
	size_t inside = bytes >= 2 ? bytes - 2 : 0;

	if (!braces)
		return 0;
	if (bytes >= 5 && !memcmp(text + bytes - 4, "...}", 4)) {
		if (!last)
			return parser_fault(parser, text, "a {name...} can only be the last");
		inside -= 3;
	}
	if (*text != '{' || text[bytes - 1] != '}' || !is_name(text + 1, inside))
		return parser_fault(parser, text,
				    "a {name}, of letters, digits and _, stands for all that is "
				    "between two slashes");
	return 0;
}

static int pattern_check(const struct parser *parser, struct word word)
{
	const char *segment = word.text, *end = word.text + word.bytes;

	if (!word.bytes)
		return parser_fault(parser, word.text, "a pattern is missing, like /issue/{n}");
	if (*word.text != '/')
		return parser_fault(parser, word.text, "a pattern begins with a slash");
	if (word.bytes > SETTINGS_PATTERN_BYTES)
		return parser_fault(parser, word.text + SETTINGS_PATTERN_BYTES,
				    "the pattern is longer than %d bytes", SETTINGS_PATTERN_BYTES);
	if (!escape_is_plain(word.text, word.bytes))
		return parser_fault(parser, word.text,
				    "the pattern has characters that cannot be shown");
	while (segment < end) {
		const char *begin = segment + 1; /* past its slash */
		const char *slash = memchr(begin, '/', (size_t)(end - begin));
		int error;

		segment = slash ? slash : end;
		error = segment_check(parser, begin, (size_t)(segment - begin), !slash);
		if (error)
			return error;
	}
	return 0;
}

static int path_parse(struct parser *parser)
{
	struct settings *settings = parser->settings;
	struct word word = word_next(parser);
	struct settings_pattern *patterns;
	int error = pattern_check(parser, word);

	if (error)
		return error;
	if (settings->pattern_count == SETTINGS_PATTERNS_MAX)
		return parser_fault(parser, word.text, "more than %d patterns",
				    SETTINGS_PATTERNS_MAX);
	patterns = realloc(settings->patterns, (settings->pattern_count + 1) * sizeof(*patterns));
	if (!patterns)
		return -ENOMEM;
	settings->patterns = patterns;
	patterns += settings->pattern_count++;
	*patterns = (struct settings_pattern){.bytes = word.bytes};
	memcpy(patterns->text, word.text, word.bytes);
	return 0;
}

/* In the order of enum settings_histogram. */
static const struct histogram_row {
	const char *name;
	unsigned int places;
} histogram_rows[SETTINGS_HISTOGRAMS] = {
	{"duration", NS_PLACES},
	{"output-time", NS_PLACES},
	{"queue-time", NS_PLACES},
	{"body-size", 0},
	{"blocks", 0},
};

static int bound_parse(const struct parser *parser, struct word word, unsigned int places,
		       struct settings_bounds *bounds)
{
	int64_t bound;

	if (!decimal_read(word, places, &bound))
		return parser_fault(parser, word.text, "'%.*s' is no number%s", word_shown(word),
				    word.text, places ? " of seconds, to the nanosecond" : "");
	if (places && bound < TIME_BOUND_MIN)
		return parser_fault(parser, word.text, "a bound of less than 0.000001 s");
	if (!histogram_is_bound(bound))
		return parser_fault(parser, word.text,
				    "'%.*s' has more than two significant digits", word_shown(word),
				    word.text);
	if (bounds->count && bound <= bounds->bound[bounds->count - 1])
		return parser_fault(parser, word.text, "bounds must rise");
	if (bounds->count == SETTINGS_BOUNDS_MAX)
		return parser_fault(parser, word.text, "more than %d bounds", SETTINGS_BOUNDS_MAX);
	bounds->bound[bounds->count++] = bound;
	return 0;
}

static int buckets_parse(struct parser *parser)
{
	struct word word = word_next(parser);
	struct settings_bounds bounds = {0};
	size_t row = 0;
	int error = 0;

	while (row < SETTINGS_HISTOGRAMS && !word_is(word, histogram_rows[row].name))
		row++;
	if (row == SETTINGS_HISTOGRAMS)
		return parser_fault(parser, word.text,
				    "the buckets of duration, output-time, queue-time, body-size "
				    "or blocks");
	for (word = word_next(parser); word.bytes && !error; word = word_next(parser))
		error = bound_parse(parser, word, histogram_rows[row].places, &bounds);
	if (error)
		return error;
	if (!bounds.count)
		return parser_fault(parser, word.text, "the bounds are missing");
	parser->settings->bounds[row] = bounds;
	return 0;
}

static const struct setting {
	const char *name;
	bool once;
	int (*parse)(struct parser *parser);
} setting_table[] = {
	{"path", false, path_parse},
	{"segment-values", true, segment_values_parse},
	{"series", true, series_parse},
	{"buckets", false, buckets_parse},
};

#define SETTING_COUNT (sizeof(setting_table) / sizeof(setting_table[0]))

/* Which row of the table; SETTING_COUNT, with the message printed: none. */
static size_t setting_find(const struct parser *parser, struct word word)
{
	const char *names[SETTING_COUNT], *nearest;
	char typed[32];
	size_t i;

	for (i = 0; i < SETTING_COUNT; i++) {
		names[i] = setting_table[i].name;
		if (word_is(word, names[i]))
			return i;
	}
	snprintf(typed, sizeof(typed), "%.*s", word_shown(word), word.text);
	nearest = nearest_name(typed, names, SETTING_COUNT);
	parser_fault(parser, word.text, "unknown setting '%.*s'%s%s%s", word_shown(word), word.text,
		     nearest ? ": did you mean '"
			     : "; there are path, segment-values, series, buckets",
		     nearest ? nearest : "", nearest ? "'?" : "");
	return SETTING_COUNT;
}

static int line_parse(struct parser *parser)
{
	struct word word = word_next(parser);
	size_t row;
	int error;

	if (!word.bytes)
		return 0;
	row = setting_find(parser, word);
	if (row == SETTING_COUNT)
		return -EINVAL;
	if (setting_table[row].once && parser->given & 1U << row)
		return parser_fault(parser, word.text, "%s is given a second time",
				    setting_table[row].name);
	parser->given |= 1U << row;
	error = setting_table[row].parse(parser);
	if (error)
		return error;
	word = word_next(parser);
	if (word.bytes)
		return parser_fault(parser, word.text, "'%.*s' is one word too many",
				    word_shown(word), word.text);
	return 0;
}

int settings_parse(const char *name, const char *text, size_t bytes, struct settings **out)
{
	struct parser parser = {.name = name, .line = text};
	const char *end = text + bytes;
	int error = settings_default(&parser.settings);

	while (!error && parser.line < end) {
		const char *newline = memchr(parser.line, '\n', (size_t)(end - parser.line));

		parser.line_number++;
		parser.at = parser.line;
		parser.end = newline ? newline : end;
		error = line_parse(&parser);
		parser.line = newline ? newline + 1 : end;
	}
	if (error) {
		if (error != -EINVAL) /* which has been said */
			log_error("cannot keep the settings of %s: %s", name, strerror(-error));
		settings_free(parser.settings);
		return error;
	}
	*out = parser.settings;
	return 0;
}
