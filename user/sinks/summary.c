/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the groups, at most SUMMARY_GROUPS_MAX, each with its sums, a distribution of application
 * times and the time in each state. Only what was seen is added: a mean is over those.
 */
#include "summary.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "histogram.h"
#include "key_table.h"
#include "request.h"
#include "words.h"

#define ROWS_SHOWN 40

/* A sum over the requests where the value was seen. */
struct seen_sum {
	double sum;
	uint64_t seen;
};

struct group {
	char *name; /* owned; NULL: "other" */
	size_t name_bytes;
	uint64_t requests, not_ok;
	struct histogram application_ns;
	struct seen_sum output_ns, blocks, bytes, write_calls;
	struct seen_sum states_ns[REQUEST_STATES];
};

struct summary {
	struct key_table *groups; /* of struct group, owned */
	struct group *other;
};

struct summary *summary_new(void)
{
	struct summary *summary = calloc(1, sizeof(*summary));

	if (!summary)
		return NULL;
	summary->groups = key_table_new(SUMMARY_GROUPS_MAX);
	if (!summary->groups) {
		free(summary);
		return NULL;
	}
	return summary;
}

static void group_free(struct group *group)
{
	if (!group)
		return;
	histogram_free(&group->application_ns);
	free(group->name);
	free(group);
}

void summary_free(struct summary *summary)
{
	if (!summary)
		return;
	for (size_t i = 0; i < key_table_count(summary->groups); i++)
		group_free(key_table_at(summary->groups, i));
	key_table_free(summary->groups);
	group_free(summary->other);
	free(summary);
}

static struct group *group_new(struct request_text name)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group || !name.ptr)
		return group;
	group->name = malloc(name.bytes + 1);
	if (!group->name) {
		free(group);
		return NULL;
	}
	memcpy(group->name, name.ptr, name.bytes);
	group->name_bytes = name.bytes;
	return group;
}

/* The group of a name, made where there is room, else "other"; NULL: no memory. */
static struct group *group_get(struct summary *summary, struct request_text name)
{
	struct group *group = key_table_get(summary->groups, name.ptr, name.bytes);
	int error;

	if (group)
		return group;
	if (key_table_count(summary->groups) < SUMMARY_GROUPS_MAX) {
		group = group_new(name);
		error = group ? key_table_add(summary->groups, name.ptr, name.bytes, group)
			      : -ENOMEM;
		if (!error)
			return group;
		group_free(group);
		return NULL;
	}
	if (!summary->other)
		summary->other = group_new((struct request_text){NULL, 0});
	return summary->other;
}

static void seen_add(struct seen_sum *sum, int64_t value)
{
	if (value == REQUEST_UNSEEN)
		return;
	sum->sum += (double)value;
	sum->seen++;
}

int summary_add(struct summary *summary, const struct request *request)
{
	struct request_text name = request->route.ptr ? request->route : request->path_group;
	struct group *group;

	if (!name.ptr)
		name = (struct request_text){"-", 1};
	group = group_get(summary, name);
	if (!group)
		return -ENOMEM;
	if (request->application_ns != REQUEST_UNSEEN &&
	    histogram_add(&group->application_ns, request->application_ns))
		return -ENOMEM;
	group->requests++;
	group->not_ok += request->outcome != OUTCOME_OK;
	seen_add(&group->output_ns, request->output_ns);
	seen_add(&group->blocks, request->blocks);
	seen_add(&group->bytes, request->bytes);
	seen_add(&group->write_calls, request->write_calls);
	for (int i = 0; i < REQUEST_STATES; i++)
		seen_add(&group->states_ns[i], request->states_ns[i]);
	return 0;
}

static int group_compare(const void *a, const void *b)
{
	const struct group *first = *(struct group *const *)a, *second = *(struct group *const *)b;
	double difference = second->application_ns.sum - first->application_ns.sum;
	size_t bytes =
		first->name_bytes < second->name_bytes ? first->name_bytes : second->name_bytes;
	int order;

	if (difference != 0)
		return difference > 0 ? 1 : -1;
	order = memcmp(first->name, second->name, bytes);
	return order ? order
		     : (first->name_bytes > second->name_bytes) -
			       (first->name_bytes < second->name_bytes);
}

static void ms_print(FILE *out, int width, bool seen, double ns)
{
	if (seen)
		fprintf(out, " %*.3f", width, ns / 1e6);
	else
		fprintf(out, " %*s", width, "-");
}

static void sum_print(FILE *out, int width, const struct seen_sum *sum)
{
	if (sum->seen)
		fprintf(out, " %*.0f", width, sum->sum);
	else
		fprintf(out, " %*s", width, "-");
}

/* The last column of both tables. */
static void name_print(const struct group *group, FILE *out)
{
	fputs("  ", out);
	if (group->name)
		escape_text(out, group->name, group->name_bytes);
	else
		fprintf(out, "(other: past %d groups)", SUMMARY_GROUPS_MAX);
	fputc('\n', out);
}

static void group_print(const struct group *group, FILE *out)
{
	static const double fractions[] = {0.5, 0.95, 1.0};
	const struct histogram *times = &group->application_ns;
	const struct seen_sum *output = &group->output_ns;

	fprintf(out, "%8" PRIu64 " %6" PRIu64, group->requests, group->not_ok);
	ms_print(out, 9, times->count, histogram_mean(times));
	for (size_t i = 0; i < sizeof(fractions) / sizeof(fractions[0]); i++)
		ms_print(out, 9, times->count, (double)histogram_percentile(times, fractions[i]));
	ms_print(out, 9, output->seen, output->seen ? output->sum / (double)output->seen : 0);
	sum_print(out, 8, &group->blocks);
	sum_print(out, 11, &group->bytes);
	sum_print(out, 8, &group->write_calls);
	name_print(group, out);
}

/* As wide as the state's name, and as "100.0". */
static int state_width(enum request_state state)
{
	size_t name = strlen(state_name(state));

	return name < 5 ? 5 : (int)name;
}

static void states_header_print(FILE *out)
{
	fprintf(out, "\nWhere the application time went, in per cent:\n%8s", "COUNT");
	for (int i = 0; i < REQUEST_STATES; i++) {
		const char *name = state_name(i);

		fprintf(out, " %*s", state_width(i) - (int)strlen(name), "");
		for (; *name; name++)
			fputc(toupper((unsigned char)*name), out);
	}
	fputs("  ROUTE OR PATH GROUP\n", out);
}

/* Nothing for a group without states. */
static void states_print(const struct group *group, FILE *out)
{
	const struct seen_sum *states = group->states_ns;
	double total = 0;

	for (int i = 0; i < REQUEST_STATES; i++)
		total += states[i].sum;
	if (total <= 0)
		return;
	fprintf(out, "%8" PRIu64, states[REQUEST_CPU].seen);
	for (int i = 0; i < REQUEST_STATES; i++) {
		if (states[i].seen)
			fprintf(out, " %*.1f", state_width(i), 100 * states[i].sum / total);
		else
			fprintf(out, " %*s", state_width(i), "-");
	}
	name_print(group, out);
}

/* Of the groups in the table above, those with states. */
static void states_table_print(const struct summary *summary, struct group *const *groups,
			       size_t used, FILE *out)
{
	uint64_t seen = summary->other ? summary->other->states_ns[REQUEST_CPU].seen : 0;

	for (size_t i = 0; i < used; i++)
		seen += groups[i]->states_ns[REQUEST_CPU].seen;
	if (!seen)
		return;
	states_header_print(out);
	for (size_t i = 0; i < used; i++)
		states_print(groups[i], out);
	if (summary->other)
		states_print(summary->other, out);
}

/* The groups, that of the most application time first. The caller frees it; NULL: no memory. */
static struct group **groups_sorted(const struct summary *summary, size_t count)
{
	struct group **groups = calloc(count, sizeof(struct group *));

	if (!groups)
		return NULL;
	for (size_t i = 0; i < count; i++)
		groups[i] = key_table_at(summary->groups, i);
	qsort(groups, count, sizeof(groups[0]), group_compare);
	return groups;
}

int summary_print(const struct summary *summary, FILE *out)
{
	size_t count = key_table_count(summary->groups);
	struct group **groups;

	if (!count)
		return 0;
	groups = groups_sorted(summary, count);
	if (!groups)
		return -ENOMEM;
	fprintf(out, "\n%8s %6s %9s %9s %9s %9s %9s %8s %11s %8s  %s\n", "COUNT", "NOT_OK",
		"APP_MEAN", "APP_P50", "APP_P95", "APP_MAX", "OUT_MEAN", "BLOCKS", "BYTES",
		"WRITES", "ROUTE OR PATH GROUP");
	for (size_t i = 0; i < count && i < ROWS_SHOWN; i++)
		group_print(groups[i], out);
	if (count > ROWS_SHOWN)
		fprintf(out, "%8s and %zu groups more, of less application time\n", "...",
			count - ROWS_SHOWN);
	if (summary->other)
		group_print(summary->other, out);
	states_table_print(summary, groups, count < ROWS_SHOWN ? count : ROWS_SHOWN, out);
	free(groups);
	return 0;
}
