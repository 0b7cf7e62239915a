/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the reading of an Accept header as far as it concerns two formats (RFC 9110, 12.5.1). What
 * cannot be read is passed over: who asks for nonsense gets Prometheus' own format.
 */
#include "exposition.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define WEIGHT_MAX 1000 /* q=1.0 */

/* One entry between commas. */
struct range {
	const char *at, *end;
};

/* The next piece up to stop, without the spaces around it; *rest goes behind it. */
static struct range piece_next(struct range *rest, char stop)
{
	const char *to = memchr(rest->at, stop, (size_t)(rest->end - rest->at));
	struct range piece = {rest->at, to ? to : rest->end};

	rest->at = to ? to + 1 : rest->end;
	while (piece.at < piece.end && isspace((unsigned char)*piece.at))
		piece.at++;
	while (piece.at < piece.end && isspace((unsigned char)piece.end[-1]))
		piece.end--;
	return piece;
}

static bool piece_is(struct range piece, const char *word)
{
	size_t bytes = (size_t)(piece.end - piece.at);

	return bytes == strlen(word) && !strncasecmp(piece.at, word, bytes);
}

/* q=0.75 in thousandths; -1: this is no weight. */
static int weight_read(struct range piece)
{
	int weight = 0, unit = WEIGHT_MAX;

	if (piece.end - piece.at < 3 || strncasecmp(piece.at, "q=", 2))
		return -1;
	for (piece.at += 2; piece.at < piece.end && unit; piece.at++) {
		if (*piece.at == '.')
			continue;
		if (!isdigit((unsigned char)*piece.at))
			return -1;
		weight += (*piece.at - '0') * unit;
		unit /= 10;
	}
	return weight < WEIGHT_MAX ? weight : WEIGHT_MAX;
}

/* What an entry gives to each of the formats, if it is more. */
static void entry_weigh(struct range entry, int *open_metrics, int *prometheus)
{
	struct range type = piece_next(&entry, ';');
	bool is_open = piece_is(type, "application/openmetrics-text");
	bool is_plain =
		piece_is(type, "text/plain") || piece_is(type, "text/*") || piece_is(type, "*/*");
	int weight = WEIGHT_MAX;

	while (entry.at < entry.end) {
		struct range piece = piece_next(&entry, ';');
		int read = weight_read(piece);

		if (read >= 0)
			weight = read;
		else if (is_open && piece.end - piece.at > 8 &&
			 !strncasecmp(piece.at, "version=", 8))
			is_open = piece_is(piece, "version=1.0.0");
	}
	if (is_open && weight > *open_metrics)
		*open_metrics = weight;
	if (is_plain && weight > *prometheus)
		*prometheus = weight;
}

enum exposition_format exposition_choose(const char *accept)
{
	int open_metrics = 0, prometheus = 0;
	struct range rest = {accept, accept ? accept + strlen(accept) : NULL};

	while (accept && rest.at < rest.end)
		entry_weigh(piece_next(&rest, ','), &open_metrics, &prometheus);
	return open_metrics && open_metrics >= prometheus ? EXPOSITION_OPENMETRICS
							  : EXPOSITION_PROMETHEUS;
}

const char *exposition_content_type(enum exposition_format format)
{
	return format == EXPOSITION_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}
