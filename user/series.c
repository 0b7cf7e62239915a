/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the sums of one label set, and the rules by which a request goes into them. This runs for
 * every request of a host: no call into the system but to grow a distribution, which ends soon.
 */
#include "series.h"

#include <stdlib.h>
#include <string.h>

#include "labels.h"
#include "text_buffer.h"

#define TRACEPARENT_BYTES 55 /* of version 00 */
/* A bucket keeps its exemplar so long: nobody scrapes more often, and reading one takes time. */
#define EXEMPLAR_AGE_NS INT64_C(1000000000)

const char *const series_queue_names[SERIES_QUEUES] = {
	[SERIES_QUEUE_HEADER] = "x-request-start",
	[SERIES_QUEUE_SOCKET] = "socket",
};

struct series *series_new(const struct labels *labels)
{
	struct series *series = calloc(1, sizeof(*series));
	struct text_buffer text = {0};

	if (!series)
		return NULL;
	labels_write(labels, &text);
	if (text.failed) {
		text_buffer_free(&text);
		free(series);
		return NULL;
	}
	series->label_bytes = text.bytes;
	series->labels = realloc(text.text, text.bytes + 1); /* give back what is not used */
	if (!series->labels)
		series->labels = text.text;
	return series;
}

void series_free(struct series *series)
{
	if (!series)
		return;
	for (int i = 0; i < SERIES_HISTOGRAMS; i++)
		histogram_free(&series->histograms[i]);
	free(series->exemplars);
	free(series->labels);
	free(series);
}

enum settings_histogram series_settings(enum series_histogram histogram)
{
	switch (histogram) {
	case SERIES_DURATION:
		return SETTINGS_DURATION;
	case SERIES_OUTPUT_TIME:
		return SETTINGS_OUTPUT_TIME;
	case SERIES_BODY_SIZE:
		return SETTINGS_BODY_SIZE;
	case SERIES_BLOCKS:
		return SETTINGS_BLOCKS;
	default:
		return SETTINGS_QUEUE_TIME;
	}
}

/* A sum that is full stays full: a worker that lies must not make a counter go back. */
static void total_add(uint64_t *total, int64_t value)
{
	if (value > 0 && __builtin_add_overflow(*total, (uint64_t)value, total))
		*total = UINT64_MAX;
}

static void value_add(struct series *series, enum series_histogram which, int64_t value,
		      enum series_unseen unseen, struct series_counts *counts)
{
	if (value == REQUEST_UNSEEN)
		counts->unseen[unseen]++;
	else if (histogram_add(&series->histograms[which], value))
		counts->memory++;
}

static void queue_add(struct series *series, const struct request *request,
		      struct series_counts *counts)
{
	int source = SERIES_QUEUE_HEADER;

	if (request->queue_source &&
	    !strcmp(request->queue_source, series_queue_names[SERIES_QUEUE_SOCKET]))
		source = SERIES_QUEUE_SOCKET;
	value_add(series, SERIES_QUEUE_TIME + source, request->queue_ns, UNSEEN_QUEUE_TIME, counts);
}

static void writes_add(struct series *series, const struct request *request,
		       struct series_counts *counts)
{
	struct series_writes *writes = &series->writes[request->family];

	if (request->write_calls == REQUEST_UNSEEN) {
		counts->unseen[UNSEEN_WRITES]++;
		return;
	}
	total_add(&writes->calls, request->write_calls);
	total_add(&writes->bytes, request->write_bytes);
	total_add(&writes->ns, request->write_ns);
}

static void states_add(struct series *series, const struct request *request,
		       struct series_counts *counts)
{
	if (request->gc_ns != REQUEST_UNSEEN) {
		series->gc_seen = true;
		total_add(&series->gc_ns, request->gc_ns);
		total_add(&series->gc_count, request->gc_count);
	}
	if (request->states_ns[REQUEST_CPU] == REQUEST_UNSEEN) {
		counts->unseen[UNSEEN_STATES]++;
		return;
	}
	counts->unseen[UNSEEN_GIL] += request->states_ns[REQUEST_GIL] == REQUEST_UNSEEN;
	for (int i = 0; i < REQUEST_STATES; i++) {
		if (request->states_ns[i] == REQUEST_UNSEEN)
			continue;
		series->states_seen |= 1U << i;
		total_add(&series->states_ns[i], request->states_ns[i]);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of lower-case hex digits to bytes. False: they are none. */
static bool hex_read(const char *text, size_t pairs, unsigned char *out)
{
	for (size_t i = 0; i < pairs; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* W3C Trace Context: version-trace-parent-flags, "00-…32…-…16…-01". False where it is not that,
 * or where the trace is not sampled: then there is nothing that an exemplar could lead to. */
static bool trace_read(struct request_text text, unsigned char trace_id[16])
{
	static const unsigned char none[16];
	unsigned char version, parent[8], flags;

	if (!text.ptr || text.bytes < TRACEPARENT_BYTES || text.ptr[2] != '-' ||
	    text.ptr[35] != '-' || text.ptr[52] != '-')
		return false;
	if (!hex_read(text.ptr, 1, &version) || !hex_read(text.ptr + 3, 16, trace_id) ||
	    !hex_read(text.ptr + 36, 8, parent) || !hex_read(text.ptr + 53, 1, &flags))
		return false;
	if (version == 0xff ||
	    (text.bytes > TRACEPARENT_BYTES && (!version || text.ptr[TRACEPARENT_BYTES] != '-')))
		return false;
	return memcmp(trace_id, none, 16) && memcmp(parent, none, 8) && flags & 1;
}

static void exemplar_set(struct series *series, const struct request *request,
			 const struct settings_bounds *bounds, struct series_counts *counts)
{
	struct exemplar exemplar = {.value = request->application_ns};
	size_t bucket = 0;

	if (exemplar.value == REQUEST_UNSEEN ||
	    __builtin_add_overflow(request->time_ns, exemplar.value, &exemplar.time_ns))
		return;
	while (bucket < bounds->count && exemplar.value > bounds->bound[bucket])
		bucket++;
	if (series->exemplars && series->exemplars[bucket].time_ns &&
	    exemplar.time_ns - series->exemplars[bucket].time_ns < EXEMPLAR_AGE_NS)
		return;
	if (!trace_read(request->traceparent, exemplar.trace_id))
		return;
	if (!series->exemplars) {
		series->exemplars = calloc(bounds->count + 1, sizeof(*series->exemplars));
		if (!series->exemplars) {
			counts->memory++;
			return;
		}
	}
	series->exemplars[bucket] = exemplar;
}

void series_add(struct series *series, const struct request *request,
		const struct settings_bounds *bounds, struct series_counts *counts)
{
	if (!series->requests++)
		series->created_ns = request->time_ns;
	value_add(series, SERIES_DURATION, request->application_ns, UNSEEN_APPLICATION_TIME,
		  counts);
	value_add(series, SERIES_OUTPUT_TIME, request->output_ns, UNSEEN_OUTPUT_TIME, counts);
	value_add(series, SERIES_BODY_SIZE, request->bytes, UNSEEN_BODY_SIZE, counts);
	value_add(series, SERIES_BLOCKS, request->blocks, UNSEEN_BLOCKS, counts);
	queue_add(series, request, counts);
	writes_add(series, request, counts);
	states_add(series, request, counts);
	counts->unseen[UNSEEN_STATUS] +=
		request->wire_status == REQUEST_UNSEEN && request->status == REQUEST_UNSEEN;
	if (request->traceparent.ptr)
		exemplar_set(series, request, bounds, counts);
}
