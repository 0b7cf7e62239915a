/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the table of label sets, and which one a request is counted in. Where there is no room for
 * another set, the request goes to the one that has "other" for its path group and all else right,
 * for which an eighth of the room is kept; and where that is full as well, to the one in which all
 * is "other", which is always there. A set never goes away: its counters would go back.
 */
#include "aggregate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate_series.h"
#include "capacity.h"
#include "key_table.h"
#include "labels.h"
#include "path_shape.h"
#include "recent.h"

#define STATUS_NOT_FOUND 404

struct aggregate {
	const struct settings *settings; /* borrowed */
	struct key_table *table;	 /* of struct series, owned */
	struct series *rest;		 /* all labels "other"; not in the table */
	struct path_shape *paths;
	struct recent *recent;
	struct capacity *capacity;
	uint64_t requests;
	uint64_t other[AGGREGATE_OTHERS];
	struct series_counts counts;
	/* Of the request at hand: too large for every call's stack. */
	struct labels labels;
	char group[PATH_GROUP_BYTES];
	struct path_trail trail;
	char key[LABELS_KEY_BYTES];
};

/* Sets with a path group of their own; the rest of the room is for those with "other". */
static size_t sets_named_max(const struct settings *settings)
{
	return settings->series_max - settings->series_max / 8;
}

int aggregate_new(const struct settings *settings, struct aggregate **out)
{
	struct aggregate *aggregate = calloc(1, sizeof(*aggregate));

	if (!aggregate)
		return -ENOMEM;
	aggregate->settings = settings;
	aggregate->table = key_table_new(settings->series_max - 1);
	aggregate->paths = path_shape_new(settings);
	aggregate->recent = recent_new();
	aggregate->capacity = capacity_new();
	labels_rest(&aggregate->labels);
	aggregate->rest = series_new(&aggregate->labels);
	if (!aggregate->table || !aggregate->paths || !aggregate->recent || !aggregate->capacity ||
	    !aggregate->rest) {
		aggregate_free(aggregate);
		return -ENOMEM;
	}
	*out = aggregate;
	return 0;
}

void aggregate_free(struct aggregate *aggregate)
{
	if (!aggregate)
		return;
	for (size_t i = 0; aggregate->table && i < key_table_count(aggregate->table); i++)
		series_free(key_table_at(aggregate->table, i));
	key_table_free(aggregate->table);
	series_free(aggregate->rest);
	path_shape_free(aggregate->paths);
	recent_free(aggregate->recent);
	capacity_free(aggregate->capacity);
	free(aggregate);
}

/* The exemplars lie by the bounds that were; the counts do not. */
static void exemplars_drop(struct series *series)
{
	free(series->exemplars);
	series->exemplars = NULL;
}

void aggregate_settings(struct aggregate *aggregate, const struct settings *settings)
{
	aggregate->settings = settings;
	path_shape_settings(aggregate->paths, settings);
	key_table_limit(aggregate->table, settings->series_max - 1);
	for (size_t i = 0; i < key_table_count(aggregate->table); i++)
		exemplars_drop(key_table_at(aggregate->table, i));
	exemplars_drop(aggregate->rest);
}

/* What stands where the framework told no route: a pattern, or the shape of the path. */
static struct request_text group_of(struct aggregate *aggregate, const struct request *request)
{
	int64_t status = request->wire_status > 0 ? request->wire_status : request->status;
	size_t bytes;

	if (!request->path.ptr || !request->path_group.ptr)
		return request->path_group;
	bytes = path_shape_of(aggregate->paths, request->path.ptr, request->path.bytes,
			      request->path_group.ptr, request->path_group.bytes,
			      status != STATUS_NOT_FOUND, aggregate->group, &aggregate->trail);
	return (struct request_text){aggregate->group, bytes};
}

/* The set of the labels at hand: found, or made while there are fewer than limit; else NULL and
 * *error says why. */
static struct series *set_get(struct aggregate *aggregate, size_t limit, int *error)
{
	size_t bytes = labels_key(&aggregate->labels, aggregate->key);
	struct series *series = key_table_get(aggregate->table, aggregate->key, bytes);

	*error = 0;
	if (series)
		return series;
	*error = -ENOSPC;
	if (key_table_count(aggregate->table) >= limit)
		return NULL;
	*error = -ENOMEM;
	series = series_new(&aggregate->labels);
	if (!series)
		return NULL;
	series->pool = capacity_pool(aggregate->capacity, &aggregate->labels.application);
	*error = key_table_add(aggregate->table, aggregate->key, bytes, series);
	if (!*error)
		return series;
	series_free(series);
	return NULL;
}

/* The set of a request, by the long way. *exact: every label is what the request says. */
static struct series *set_of(struct aggregate *aggregate, const struct request *request,
			     bool *exact)
{
	const struct settings *settings = aggregate->settings;
	struct series *series;
	int error;

	aggregate->trail.count = 0;
	labels_fill(&aggregate->labels, request,
		    request->route.ptr ? request->route : group_of(aggregate, request));
	aggregate->other[OTHER_LENGTH] += aggregate->labels.cut;
	series = set_get(aggregate, sets_named_max(settings), &error);
	*exact = series && !aggregate->labels.cut;
	if (series)
		return series;
	if (error == -ENOSPC) {
		labels_make_other(&aggregate->labels);
		series = set_get(aggregate, settings->series_max - 1, &error);
		if (series) {
			aggregate->other[OTHER_GROUP]++;
			return series;
		}
	}
	aggregate->other[error == -ENOSPC ? OTHER_ALL : OTHER_MEMORY]++;
	return aggregate->rest;
}

/* The same, by the short way where there is one. What is counted on the long way ("other") must
 * go it every time. */
static struct series *set_find(struct aggregate *aggregate, const struct request *request)
{
	struct recent_entry *entry;
	struct series *series;
	bool found, exact;

	entry = recent_get(aggregate->recent, request, aggregate->settings->pattern_count > 0,
			   path_shape_changes(aggregate->paths), &found);
	if (found) {
		path_shape_again(&entry->trail);
		return entry->series;
	}
	series = set_of(aggregate, request, &exact);
	if (!entry)
		return series;
	entry->series = exact ? series : NULL;
	entry->changes = path_shape_changes(aggregate->paths);
	entry->trail = aggregate->trail;
	return series;
}

void aggregate_request(struct aggregate *aggregate, const struct request *request)
{
	struct series *series = set_find(aggregate, request);
	struct capacity_pool *pool = series->pool;

	aggregate->requests++;
	series_add(series, request, &aggregate->settings->bounds[SETTINGS_DURATION],
		   &aggregate->counts);
	if (request->application_ns == REQUEST_UNSEEN)
		return;
	if (!pool && series == aggregate->rest) /* its application is that of the labels at hand */
		pool = capacity_pool(aggregate->capacity, &aggregate->labels.application);
	if (pool)
		capacity_add(pool, request->application_ns);
}

uint64_t aggregate_requests(const struct aggregate *aggregate)
{
	return aggregate->requests;
}

void aggregate_tick(struct aggregate *aggregate, const struct aggregate_moment *moment)
{
	capacity_tick(aggregate->capacity, moment);
}

size_t aggregate_sets(const struct aggregate *aggregate)
{
	return key_table_count(aggregate->table) + (aggregate->rest->requests > 0);
}

const struct series *aggregate_set(const struct aggregate *aggregate, size_t index)
{
	return index < key_table_count(aggregate->table) ? key_table_at(aggregate->table, index)
							 : aggregate->rest;
}

const struct settings *aggregate_settings_now(const struct aggregate *aggregate)
{
	return aggregate->settings;
}

const struct capacity *aggregate_capacity(const struct aggregate *aggregate)
{
	return aggregate->capacity;
}

void aggregate_count(const struct aggregate *aggregate, struct aggregate_counts *out)
{
	*out = (struct aggregate_counts){
		.series = aggregate->counts,
		.requests = aggregate->requests,
		.path_overflows = path_shape_overflows(aggregate->paths),
		.label_sets = aggregate_sets(aggregate),
		.label_sets_max = aggregate->settings->series_max,
	};
	memcpy(out->other, aggregate->other, sizeof(out->other));
}
