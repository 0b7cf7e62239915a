/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the metrics of requests: their names, and how a label set's sums become samples. A
 * distribution or a state that no request of a set had is not there, rather than 0.
 *
 * A bucket's count is exact: its bound is one of those that the histograms have inside. What a
 * reader makes of the buckets (histogram_quantile) is as coarse as they are.
 */
#include "exposition.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "aggregate.h"
#include "aggregate_series.h"
#include "exposition_self.h"
#include "labels.h"
#include "metric_writer.h"
#include "sinks/words.h"

#define NS_PLACES 9

static const struct metric requests_metric = {
	"wsgi_requests", METRIC_COUNTER, NULL,
	"Requests, each exactly once, whatever could be seen of it."};

/* In the order of the page. */
static const struct histogram_metric {
	struct metric metric;
	enum series_histogram histogram;
	int sources; /* rows of series_queue_names, or 1 without a label */
	unsigned int places;
} histogram_metrics[] = {
	{{"http_server_request_duration_seconds", METRIC_HISTOGRAM, "seconds",
	  "Application time: from the call of the WSGI application until close() has returned."},
	 SERIES_DURATION,
	 1,
	 NS_PLACES},
	{{"http_server_response_body_size_bytes", METRIC_HISTOGRAM, "bytes",
	  "Bytes of the body that the application gave to the server."},
	 SERIES_BODY_SIZE,
	 1,
	 0},
	{{"wsgi_output_time_seconds", METRIC_HISTOGRAM, "seconds",
	  "Time that the server took for the blocks of the body, summed over a request."},
	 SERIES_OUTPUT_TIME,
	 1,
	 NS_PLACES},
	{{"wsgi_output_blocks", METRIC_HISTOGRAM, NULL, "Blocks of the body."},
	 SERIES_BLOCKS,
	 1,
	 0},
	{{"wsgi_queue_time_seconds", METRIC_HISTOGRAM, "seconds",
	  "Time before the application was called, by where that was seen."},
	 SERIES_QUEUE_TIME,
	 SERIES_QUEUES,
	 NS_PLACES},
};

static const struct metric write_calls_metric = {
	"wsgi_write_calls", METRIC_COUNTER, NULL,
	"Socket-write system calls of requests, by the socket's family."};
static const struct metric write_bytes_metric = {
	"wsgi_write_bytes", METRIC_COUNTER, "bytes",
	"Bytes that the socket-write system calls of requests took."};
static const struct metric write_time_metric = {
	"wsgi_write_time_seconds", METRIC_COUNTER, "seconds",
	"Time inside the socket-write system calls of requests."};
static const struct metric states_metric = {"wsgi_request_state_seconds", METRIC_COUNTER, "seconds",
					    "Application time by state; the states add up to it."};
static const struct metric gc_time_metric = {
	"wsgi_gc_time_seconds", METRIC_COUNTER, "seconds",
	"Time in Python's garbage collections inside requests; it is in the states as well."};
static const struct metric gc_count_metric = {"wsgi_gc_collections", METRIC_COUNTER, NULL,
					      "Python's garbage collections inside requests."};

/* One scrape. */
struct page {
	struct metric_writer writer;
	const struct aggregate *aggregate;
	const struct settings *settings;
	/* le="…" of each bound of the histogram at hand, and of +Inf, one after the other. */
	struct text_buffer le_text;
	struct metric_labels le[SETTINGS_BOUNDS_MAX + 1];
};

static const struct metric_labels no_labels = {"", 0};

static struct metric_labels labels_of(const struct series *series)
{
	return (struct metric_labels){series->labels, series->label_bytes};
}

static void value_put(struct page *page, uint64_t value, unsigned int places)
{
	text_put_decimal(page->writer.out, value, places);
	text_put(page->writer.out, "\n", 1);
}

/* Written for the count of requests and for distributions. The other counters of a label set begin
 * with its count: a line each would only be a time series more. */
static void created_put(struct page *page, const char *name, const struct series *series,
			struct metric_labels labels)
{
	if (!page->writer.open_metrics || series->created_ns <= 0)
		return;
	metric_line(&page->writer, name, "_created", labels, no_labels);
	value_put(page, (uint64_t)series->created_ns, NS_PLACES);
}

static void requests_put(struct page *page)
{
	metric_begin(&page->writer, &requests_metric);
	for (size_t i = 0; i < aggregate_sets(page->aggregate); i++) {
		const struct series *series = aggregate_set(page->aggregate, i);

		metric_sample(&page->writer, &requests_metric, labels_of(series), series->requests,
			      0);
		created_put(page, requests_metric.name, series, labels_of(series));
	}
}

static void le_fill(struct page *page, const struct settings_bounds *bounds, unsigned int places)
{
	size_t begin[SETTINGS_BOUNDS_MAX + 2];

	text_buffer_clear(&page->le_text);
	for (size_t i = 0; i <= bounds->count; i++) {
		begin[i] = page->le_text.bytes;
		text_put_word(&page->le_text, "le=\"");
		if (i < bounds->count)
			metric_bound(&page->le_text, bounds->bound[i], places);
		else
			text_put_word(&page->le_text, "+Inf");
		text_put_word(&page->le_text, "\"");
	}
	begin[bounds->count + 1] = page->le_text.bytes;
	for (size_t i = 0; i <= bounds->count; i++)
		page->le[i] = page->le_text.text
				      ? (struct metric_labels){page->le_text.text + begin[i],
							       begin[i + 1] - begin[i]}
				      : no_labels; /* no memory: the page ends with that */
}

static void exemplar_put(struct text_buffer *out, const struct exemplar *exemplar)
{
	static const char hex[] = "0123456789abcdef";
	char id[32];

	for (size_t i = 0; i < sizeof(exemplar->trace_id); i++) {
		id[2 * i] = hex[exemplar->trace_id[i] >> 4];
		id[2 * i + 1] = hex[exemplar->trace_id[i] & 15];
	}
	text_put_word(out, " # {trace_id=\"");
	text_put(out, id, sizeof(id));
	text_put_word(out, "\"} ");
	text_put_decimal(out, (uint64_t)exemplar->value, NS_PLACES);
	text_put(out, " ", 1);
	text_put_decimal(out, (uint64_t)exemplar->time_ns, NS_PLACES);
}

/* A sum of units of 10^-places. Past 2^63 of them somebody has lied, and digits do not matter. */
static void sum_put(struct text_buffer *out, double sum, unsigned int places)
{
	char text[32];

	if (sum < 0x1p63) {
		text_put_decimal(out, (uint64_t)sum, places);
		return;
	}
	snprintf(text, sizeof(text), "%.17g", places ? sum / 1e9 : sum);
	text_put_word(out, text);
}

static void histogram_put(struct page *page, const struct histogram_metric *from,
			  const struct series *series, const struct histogram *histogram,
			  struct metric_labels base)
{
	const struct settings_bounds *bounds =
		&page->settings->bounds[series_settings(from->histogram)];
	const struct exemplar *exemplars = NULL;
	struct text_buffer *out = page->writer.out;
	uint64_t counts[SETTINGS_BOUNDS_MAX + 1];

	if (page->writer.open_metrics && from->histogram == SERIES_DURATION)
		exemplars = series->exemplars;
	histogram_cumulate(histogram, bounds->bound, bounds->count, counts);
	counts[bounds->count] = histogram->count;
	for (size_t i = 0; i <= bounds->count; i++) {
		metric_line(&page->writer, from->metric.name, "_bucket", base, page->le[i]);
		text_put_number(out, counts[i]);
		if (exemplars && exemplars[i].time_ns > 0)
			exemplar_put(out, &exemplars[i]);
		text_put(out, "\n", 1);
	}
	metric_line(&page->writer, from->metric.name, "_count", base, no_labels);
	value_put(page, histogram->count, 0);
	metric_line(&page->writer, from->metric.name, "_sum", base, no_labels);
	sum_put(out, histogram->sum, from->places);
	text_put(out, "\n", 1);
}

/* The set's labels and, where there are several sources, which one. */
static void source_put(struct page *page, const struct histogram_metric *from,
		       const struct series *series, int source, struct text_buffer *scratch)
{
	const struct histogram *histogram = &series->histograms[from->histogram + source];
	struct metric_labels base = labels_of(series);

	if (!histogram->count)
		return;
	if (from->sources > 1) {
		const char *name = series_queue_names[source];

		text_buffer_clear(scratch);
		text_put(scratch, base.text, base.bytes);
		label_write(scratch, 0, "source", name, strlen(name));
		base = (struct metric_labels){scratch->text, scratch->bytes};
		page->writer.out->failed |= scratch->failed;
	}
	histogram_put(page, from, series, histogram, base);
	created_put(page, from->metric.name, series, base);
}

static void histograms_put(struct page *page, const struct histogram_metric *from)
{
	struct text_buffer scratch = {0};

	metric_begin(&page->writer, &from->metric);
	le_fill(page, &page->settings->bounds[series_settings(from->histogram)], from->places);
	page->writer.out->failed |= page->le_text.failed;
	for (size_t i = 0; i < aggregate_sets(page->aggregate) && !page->writer.out->failed; i++) {
		for (int source = 0; source < from->sources; source++)
			source_put(page, from, aggregate_set(page->aggregate, i), source, &scratch);
	}
	text_buffer_free(&scratch);
}

/* name="word", made from two words that need no escape. */
static struct metric_labels word_label(char text[64], const char *name, const char *word)
{
	int bytes = snprintf(text, 64, "%s=\"%s\"", name, word);

	return (struct metric_labels){text, (size_t)bytes};
}

/* A counter of each label set by socket family; offset: of which sum of struct series_writes. */
static void writes_put(struct page *page, const struct metric *metric, size_t offset,
		       unsigned int places)
{
	metric_begin(&page->writer, metric);
	for (size_t i = 0; i < aggregate_sets(page->aggregate); i++) {
		const struct series *series = aggregate_set(page->aggregate, i);

		for (int family = 0; family < SERIES_FAMILIES; family++) {
			const struct series_writes *writes = &series->writes[family];
			const char *name = family_name(family);
			struct metric_labels more = no_labels;
			char text[64];
			uint64_t sum;

			if (!writes->calls)
				continue;
			memcpy(&sum, (const char *)writes + offset, sizeof(sum));
			if (name)
				more = word_label(text, "socket", name);
			metric_line(&page->writer, metric->name, metric_suffix(metric->type),
				    labels_of(series), more);
			value_put(page, sum, places);
		}
	}
}

static void states_put(struct page *page)
{
	struct metric_labels labels[REQUEST_STATES];
	char text[REQUEST_STATES][64];

	for (int state = 0; state < REQUEST_STATES; state++)
		labels[state] = word_label(text[state], "state", state_name(state));
	metric_begin(&page->writer, &states_metric);
	for (size_t i = 0; i < aggregate_sets(page->aggregate); i++) {
		const struct series *series = aggregate_set(page->aggregate, i);

		for (int state = 0; state < REQUEST_STATES; state++) {
			if (!(series->states_seen & 1U << state))
				continue;
			metric_line(&page->writer, states_metric.name, "_total", labels_of(series),
				    labels[state]);
			value_put(page, series->states_ns[state], NS_PLACES);
		}
	}
}

static void gc_put(struct page *page, const struct metric *metric, size_t offset,
		   unsigned int places)
{
	metric_begin(&page->writer, metric);
	for (size_t i = 0; i < aggregate_sets(page->aggregate); i++) {
		const struct series *series = aggregate_set(page->aggregate, i);
		uint64_t sum;

		if (!series->gc_seen)
			continue;
		memcpy(&sum, (const char *)series + offset, sizeof(sum));
		metric_sample(&page->writer, metric, labels_of(series), sum, places);
	}
}

int exposition_write(const struct aggregate *aggregate, const struct aggregate_moment *moment,
		     enum exposition_format format, struct text_buffer *out)
{
	struct page page = {
		.writer = {.out = out, .open_metrics = format == EXPOSITION_OPENMETRICS},
		.aggregate = aggregate,
		.settings = aggregate_settings_now(aggregate),
	};

	requests_put(&page);
	for (size_t i = 0; i < sizeof(histogram_metrics) / sizeof(histogram_metrics[0]); i++)
		histograms_put(&page, &histogram_metrics[i]);
	writes_put(&page, &write_calls_metric, offsetof(struct series_writes, calls), 0);
	writes_put(&page, &write_bytes_metric, offsetof(struct series_writes, bytes), 0);
	writes_put(&page, &write_time_metric, offsetof(struct series_writes, ns), NS_PLACES);
	states_put(&page);
	gc_put(&page, &gc_time_metric, offsetof(struct series, gc_ns), NS_PLACES);
	gc_put(&page, &gc_count_metric, offsetof(struct series, gc_count), 0);
	exposition_pools(&page.writer, aggregate, moment);
	exposition_self(&page.writer, aggregate, moment);
	if (page.writer.open_metrics)
		text_put_word(out, "# EOF\n");
	text_buffer_free(&page.le_text);
	return out->failed ? -ENOMEM : 0;
}
