/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the form of a line. Both formats are the same but for the comments, the family name of a
 * counter and the info type.
 */
#include "metric_writer.h"

#include <string.h>

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
	[METRIC_INFO] = "info",
};

const char *metric_suffix(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "_total";
	case METRIC_INFO:
		return "_info";
	default:
		return "";
	}
}

/* Prometheus' format knows no families: a type is that of the samples' name. */
static void comment_put(struct metric_writer *writer, const char *what, const struct metric *metric,
			const char *text)
{
	struct text_buffer *out = writer->out;

	text_put_word(out, what);
	text_put_word(out, metric->name);
	if (!writer->open_metrics)
		text_put_word(out, metric_suffix(metric->type));
	text_put(out, " ", 1);
	text_put_word(out, text);
	text_put(out, "\n", 1);
}

void metric_begin(struct metric_writer *writer, const struct metric *metric)
{
	bool is_info = metric->type == METRIC_INFO && !writer->open_metrics;

	comment_put(writer, "# HELP ", metric, metric->help);
	comment_put(writer, "# TYPE ", metric,
		    is_info ? type_names[METRIC_GAUGE] : type_names[metric->type]);
	if (writer->open_metrics && metric->unit)
		comment_put(writer, "# UNIT ", metric, metric->unit);
}

static char *put(char *at, const char *text, size_t bytes)
{
	memcpy(at, text, bytes);
	return at + bytes;
}

void metric_line(struct metric_writer *writer, const char *name, const char *suffix,
		 struct metric_labels labels, struct metric_labels more)
{
	size_t name_bytes = strlen(name), suffix_bytes = strlen(suffix);
	char *room =
		text_room(writer->out, name_bytes + suffix_bytes + labels.bytes + more.bytes + 4);
	char *at = room;

	if (!room)
		return;
	at = put(at, name, name_bytes);
	at = put(at, suffix, suffix_bytes);
	if (labels.bytes || more.bytes) {
		*at++ = '{';
		at = put(at, labels.text, labels.bytes);
		if (labels.bytes && more.bytes)
			*at++ = ',';
		at = put(at, more.text, more.bytes);
		*at++ = '}';
	}
	*at++ = ' ';
	writer->out->bytes += (size_t)(at - room);
}

void metric_sample(struct metric_writer *writer, const struct metric *metric,
		   struct metric_labels labels, uint64_t value, unsigned int places)
{
	metric_line(writer, metric->name, metric_suffix(metric->type), labels,
		    (struct metric_labels){"", 0});
	text_put_decimal(writer->out, value, places);
	text_put(writer->out, "\n", 1);
}

void metric_bound(struct text_buffer *out, int64_t bound, unsigned int places)
{
	const size_t begin = out->bytes;
	uint64_t digits = (uint64_t)bound;
	int exponent = -(int)places;

	while (digits >= 100) { /* there are two at most, then zeros */
		digits /= 10;
		exponent++;
	}
	exponent += digits >= 10;
	if (!bound || (exponent < 6 && exponent >= -4)) {
		text_put_decimal(out, (uint64_t)bound, places);
		if (!out->failed && !memchr(out->text + begin, '.', out->bytes - begin))
			text_put(out, ".0", 2);
		return;
	}
	text_put_decimal(out, digits, digits >= 10);
	text_put_word(out, exponent < 0 ? "e-" : "e+");
	exponent = exponent < 0 ? -exponent : exponent;
	text_put_word(out, exponent < 10 ? "0" : "");
	text_put_number(out, (uint64_t)exponent);
}
