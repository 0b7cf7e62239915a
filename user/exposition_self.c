/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the names of those metrics. What the moment does not know is not there, rather than 0.
 */
#include "exposition_self.h"

#include <stddef.h>
#include <string.h>

#include "aggregate.h"
#include "aggregate_series.h"
#include "capacity.h"
#include "labels.h"
#include "metric_writer.h"
#include "sinks/words.h"

#define NS_PLACES    9
#define RATIO_PLACES 6

static const struct metric_labels no_labels = {"", 0};

/* name="value", in scratch. */
static struct metric_labels label_of(struct text_buffer *scratch, const char *name,
				     const char *value, size_t bytes)
{
	text_buffer_clear(scratch);
	label_write(scratch, 0, name, value, bytes);
	return (struct metric_labels){scratch->text, scratch->bytes};
}

/* --- the threads of applications ---------------------------------------------------------- */

static const struct pool_metric {
	struct metric metric;
	size_t offset; /* of a uint64_t of struct capacity_view */
	unsigned int places;
} pool_metrics[] = {
	{{"http_server_active_requests", METRIC_GAUGE, NULL, "Requests in flight."},
	 offsetof(struct capacity_view, active),
	 0},
	{{"wsgi_oldest_request_age_seconds", METRIC_GAUGE, "seconds",
	  "Age of the oldest request in flight, 0 where there is none."},
	 offsetof(struct capacity_view, oldest_ns),
	 NS_PLACES},
	{{"wsgi_request_threads", METRIC_GAUGE, NULL,
	  "Threads that have served a request and still live."},
	 offsetof(struct capacity_view, threads),
	 0},
	{{"wsgi_processes", METRIC_GAUGE, NULL, "Processes that are watched."},
	 offsetof(struct capacity_view, processes),
	 0},
};

static const struct metric ratio_metric = {
	"wsgi_capacity_utilization_ratio", METRIC_GAUGE, "ratio",
	"Time that requests were in the application in the last 60 s, those in flight included, "
	"by the time that its request threads were there."};

_Static_assert(AGGREGATE_WINDOW_S == 60, "the text above says so");

static void ratios_put(struct metric_writer *writer, const struct capacity_view *views,
		       size_t count, struct text_buffer *scratch)
{
	metric_begin(writer, &ratio_metric);
	for (size_t i = 0; i < count; i++) {
		const struct label_value *name = &views[i].application;
		double ratio = views[i].ratio;

		if (ratio < 0)
			continue;
		metric_sample(writer, &ratio_metric,
			      label_of(scratch, "application", name->text, name->bytes),
			      (uint64_t)(ratio < 1e6 ? ratio * 1e6 + 0.5 : 1e12), RATIO_PLACES);
	}
}

void exposition_pools(struct metric_writer *writer, const struct aggregate *aggregate,
		      const struct aggregate_moment *moment)
{
	struct capacity_view views[CAPACITY_VIEWS_MAX];
	struct text_buffer scratch = {0};
	size_t count;

	if (!moment->pools)
		return;
	count = capacity_views(aggregate_capacity(aggregate), moment, views);
	for (size_t i = 0; i < sizeof(pool_metrics) / sizeof(pool_metrics[0]); i++) {
		const struct pool_metric *from = &pool_metrics[i];

		metric_begin(writer, &from->metric);
		for (size_t k = 0; k < count; k++) {
			const struct label_value *name = &views[k].application;
			uint64_t value;

			memcpy(&value, (const char *)&views[k] + from->offset, sizeof(value));
			metric_sample(writer, &from->metric,
				      label_of(&scratch, "application", name->text, name->bytes),
				      value, from->places);
		}
	}
	ratios_put(writer, views, count, &scratch);
	writer->out->failed |= scratch.failed;
	text_buffer_free(&scratch);
}

/* --- wsgiscope itself ------------------------------------------------------------------------ */

static const struct self_metric {
	struct metric metric;
	size_t offset; /* of an int64_t of struct aggregate_moment */
	unsigned int places;
} self_metrics[] = {
	{{"wsgiscope_attached_processes", METRIC_GAUGE, NULL, "Processes that are watched."},
	 offsetof(struct aggregate_moment, attached_processes),
	 0},
	{{"wsgiscope_ring_bytes", METRIC_GAUGE, "bytes",
	  "Size of the ring buffer between the kernel and wsgiscope."},
	 offsetof(struct aggregate_moment, ring_bytes),
	 0},
	{{"wsgiscope_ring_used_bytes", METRIC_GAUGE, "bytes",
	  "Bytes in the ring buffer that wait to be read."},
	 offsetof(struct aggregate_moment, ring_used_bytes),
	 0},
	{{"process_start_time_seconds", METRIC_GAUGE, "seconds",
	  "When wsgiscope was started, since the epoch."},
	 offsetof(struct aggregate_moment, start_time_ns),
	 NS_PLACES},
	{{"process_cpu_seconds", METRIC_COUNTER, "seconds",
	  "User and system CPU time of wsgiscope itself."},
	 offsetof(struct aggregate_moment, cpu_ns),
	 NS_PLACES},
	{{"process_resident_memory_bytes", METRIC_GAUGE, "bytes",
	  "Resident memory of wsgiscope itself."},
	 offsetof(struct aggregate_moment, resident_bytes),
	 0},
};

static const struct metric build_metric = {"wsgiscope_build", METRIC_INFO, NULL,
					   "The version of wsgiscope."};
static const struct metric events_metric = {"wsgiscope_events", METRIC_COUNTER, NULL,
					    "Events that the kernel side saw, by kind."};
static const struct metric dropped_metric = {
	"wsgiscope_dropped", METRIC_COUNTER, NULL,
	"What was lost, by reason: requests, blocks or values that are in no other metric."};
static const struct metric incomplete_metric = {
	"wsgiscope_incomplete", METRIC_COUNTER, NULL,
	"Requests that were counted, but with less known of them, by reason."};
static const struct metric unseen_metric = {
	"wsgiscope_unseen_values", METRIC_COUNTER, NULL,
	"Requests of which a value could not be seen: it is in no sum, and was not taken for 0."};
static const struct metric other_metric = {
	"wsgiscope_other_requests", METRIC_COUNTER, NULL,
	"Requests that were counted under other, by the limit that was reached."};
static const struct metric overflows_metric = {
	"wsgiscope_path_overflows", METRIC_COUNTER, NULL,
	"Values in paths made {name} as no more can be remembered."};
static const struct metric sets_metric = {"wsgiscope_label_sets", METRIC_GAUGE, NULL,
					  "Label sets of requests that there are."};
static const struct metric sets_max_metric = {"wsgiscope_label_sets_max", METRIC_GAUGE, NULL,
					      "Label sets of requests that there can be."};

static const char *const unseen_names[UNSEEN_VALUES] = {
	[UNSEEN_APPLICATION_TIME] = "application_time",
	[UNSEEN_OUTPUT_TIME] = "output_time",
	[UNSEEN_BODY_SIZE] = "body_size",
	[UNSEEN_BLOCKS] = "blocks",
	[UNSEEN_QUEUE_TIME] = "queue_time",
	[UNSEEN_WRITES] = "writes",
	[UNSEEN_STATES] = "states",
	[UNSEEN_GIL] = "gil",
	[UNSEEN_STATUS] = "status",
};

static const char *const other_names[AGGREGATE_OTHERS] = {
	[OTHER_GROUP] = "path_groups",
	[OTHER_ALL] = "label_sets",
	[OTHER_LENGTH] = "label_length",
	[OTHER_MEMORY] = "memory",
};

static void word_sample(struct metric_writer *writer, const struct metric *metric,
			const char *label, const char *word, uint64_t value)
{
	struct text_buffer scratch = {0};

	metric_sample(writer, metric, label_of(&scratch, label, word, strlen(word)), value, 0);
	writer->out->failed |= scratch.failed;
	text_buffer_free(&scratch);
}

/* Those losses that left a record, or those that did not. */
static void losses_put(struct metric_writer *writer, const struct metric *metric,
		       const struct request_count *losses, bool recorded)
{
	for (; losses && losses->name; losses++) {
		if (loss_is_recorded(losses->name) == recorded)
			word_sample(writer, metric, "reason", losses->name, losses->value);
	}
}

static void moment_put(struct metric_writer *writer, const struct aggregate_moment *moment)
{
	for (size_t i = 0; i < sizeof(self_metrics) / sizeof(self_metrics[0]); i++) {
		const struct self_metric *from = &self_metrics[i];
		int64_t value;

		memcpy(&value, (const char *)moment + from->offset, sizeof(value));
		if (value == REQUEST_UNSEEN)
			continue;
		metric_begin(writer, &from->metric);
		metric_sample(writer, &from->metric, no_labels, (uint64_t)value, from->places);
	}
	if (!moment->events)
		return;
	metric_begin(writer, &events_metric);
	for (const struct request_count *event = moment->events; event->name; event++)
		word_sample(writer, &events_metric, "event", event->name, event->value);
}

/* The aggregate's own losses go with those of the moment. */
static void losses_all_put(struct metric_writer *writer, const struct aggregate_moment *moment,
			   const struct aggregate_counts *counts)
{
	metric_begin(writer, &dropped_metric);
	losses_put(writer, &dropped_metric, moment->losses, false);
	word_sample(writer, &dropped_metric, "reason", "aggregate_memory", counts->series.memory);
	metric_begin(writer, &incomplete_metric);
	losses_put(writer, &incomplete_metric, moment->losses, true);
}

void exposition_self(struct metric_writer *writer, const struct aggregate *aggregate,
		     const struct aggregate_moment *moment)
{
	struct aggregate_counts counts;

	aggregate_count(aggregate, &counts);
	metric_begin(writer, &build_metric);
	metric_sample(writer, &build_metric,
		      (struct metric_labels){"version=\"" WSGISCOPE_VERSION "\"",
					     strlen("version=\"" WSGISCOPE_VERSION "\"")},
		      1, 0);
	moment_put(writer, moment);
	losses_all_put(writer, moment, &counts);
	metric_begin(writer, &unseen_metric);
	for (int i = 0; i < UNSEEN_VALUES; i++)
		word_sample(writer, &unseen_metric, "value", unseen_names[i],
			    counts.series.unseen[i]);
	metric_begin(writer, &other_metric);
	for (int i = 0; i < AGGREGATE_OTHERS; i++)
		word_sample(writer, &other_metric, "limit", other_names[i], counts.other[i]);
	metric_begin(writer, &overflows_metric);
	metric_sample(writer, &overflows_metric, no_labels, counts.path_overflows, 0);
	metric_begin(writer, &sets_metric);
	metric_sample(writer, &sets_metric, no_labels, counts.label_sets, 0);
	metric_begin(writer, &sets_max_metric);
	metric_sample(writer, &sets_max_metric, no_labels, counts.label_sets_max, 0);
}
