/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A profile for the terminal: the functions that took most, and the way from the outermost frame
 * on along which most was spent. Of two sides: the functions that grew and shrank most, in
 * milliseconds a request where the requests of both are known.
 */
#include "profile_format.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "profile.h"
#include "profile_about.h"
#include "profile_sums.h"
#include "profile_words.h"

#define FUNCTIONS_SHOWN 20
/* The path ends where its next frame would have less than so much of the whole. */
#define PATH_SHARE_MIN 0.05

struct row {
	const struct profile_function *function;
	const struct profile_sum *sum;
	double grown_ns; /* self time, before to after */
};

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static int order_of(double difference)
{
	return (difference > 0) - (difference < 0);
}

static int rank_compare(const struct row *first, const struct row *second)
{
	return first->function->rank > second->function->rank ? 1 : -1;
}

static int self_compare(const void *a, const void *b)
{
	const struct row *first = a, *second = b;
	int order = order_of((double)second->sum->self[0].ns - (double)first->sum->self[0].ns);

	return order ? order : rank_compare(first, second);
}

static int grown_compare(const void *a, const void *b)
{
	const struct row *first = a, *second = b;
	int order = order_of(fabs(second->grown_ns) - fabs(first->grown_ns));

	return order ? order : rank_compare(first, second);
}

static void function_put(FILE *out, const struct profile_function *function)
{
	fputs("  ", out);
	profile_text_put(out, function->name);
	if (function->file.bytes) {
		fputs(" (", out);
		profile_text_put(out, function->file);
		if (function->first_line)
			fprintf(out, ":%u", function->first_line);
		fputc(')', out);
	}
	fputc('\n', out);
}

static void functions_put(FILE *out, const struct profile *profile, struct row *rows, size_t count)
{
	uint64_t whole = profile->nodes[0].total[0].ns;

	qsort(rows, count, sizeof(*rows), self_compare);
	fputs("\nHottest functions:\n   SELF%  TOTAL%    SELF_MS   TOTAL_MS  FUNCTION\n", out);
	for (size_t i = 0; i < count && i < FUNCTIONS_SHOWN && rows[i].sum->self[0].ns; i++) {
		const struct profile_sum *sum = rows[i].sum;

		fprintf(out, "%8.1f%8.1f%11.1f%11.1f", share(sum->self[0].ns, whole),
			share(sum->total[0].ns, whole), (double)sum->self[0].ns / 1e6,
			(double)sum->total[0].ns / 1e6);
		function_put(out, rows[i].function);
	}
}

static uint32_t hottest_child(const struct profile *profile, uint32_t node)
{
	uint32_t best = profile->nodes[node].first_child;

	for (uint32_t child = best; child; child = profile->nodes[child].next_sibling) {
		if (profile->nodes[child].total[0].ns > profile->nodes[best].total[0].ns)
			best = child;
	}
	return best;
}

/* The last of a run of the same function: recursion is one line. */
static uint32_t run_end(const struct profile *profile, uint32_t node, double share_min,
			unsigned int *times)
{
	for (*times = 1;; ++*times) {
		uint32_t child = hottest_child(profile, node);

		if (!child || profile->nodes[child].function != profile->nodes[node].function ||
		    (double)profile->nodes[child].total[0].ns < share_min)
			return node;
		node = child;
	}
}

static void path_put(FILE *out, const struct profile *profile)
{
	uint64_t whole = profile->nodes[0].total[0].ns;
	double share_min = PATH_SHARE_MIN * (double)whole;
	uint32_t node = hottest_child(profile, 0);

	fputs("\nHottest path:\n  TOTAL%  FRAME\n", out);
	while (node && (double)profile->nodes[node].total[0].ns >= share_min) {
		unsigned int times;
		uint32_t end = run_end(profile, node, share_min, &times);

		fprintf(out, "%8.1f  ", share(profile->nodes[node].total[0].ns, whole));
		profile_frame_put(out, profile, node);
		if (times > 1)
			fprintf(out, " and %u times within itself", times - 1);
		fputc('\n', out);
		node = hottest_child(profile, end);
	}
}

/* What a number of nanoseconds is shown as: of one request, where they are counted. */
static double shown_ms(double ns, const struct profile_about *about)
{
	return ns / 1e6 /
	       (double)(about->requests[0] && about->requests[1] ? about->requests[1] : 1);
}

static void changes_put(FILE *out, struct row *rows, size_t count,
			const struct profile_about *about)
{
	double scale = profile_scale(about);

	for (size_t i = 0; i < count; i++)
		rows[i].grown_ns =
			(double)rows[i].sum->self[1].ns - scale * (double)rows[i].sum->self[0].ns;
	qsort(rows, count, sizeof(*rows), grown_compare);
	fprintf(out,
		"\nWhat grew and shrank most, milliseconds%s:\n"
		"       SELF      BEFORE       AFTER       TOTAL  FUNCTION\n",
		about->requests[0] && about->requests[1] ? " a request" : "");
	for (size_t i = 0; i < count && i < FUNCTIONS_SHOWN; i++) {
		const struct profile_sum *sum = rows[i].sum;

		if (rows[i].grown_ns == 0)
			break;
		fprintf(out, "%+11.3f %11.3f %11.3f %+11.3f", shown_ms(rows[i].grown_ns, about),
			shown_ms(scale * (double)sum->self[0].ns, about),
			shown_ms((double)sum->self[1].ns, about),
			shown_ms((double)sum->total[1].ns - scale * (double)sum->total[0].ns,
				 about));
		function_put(out, rows[i].function);
	}
}

static int hottest_write(const struct profile *profile, const struct profile_about *about,
			 FILE *out)
{
	size_t count = profile->function_count - 1; /* the root is none */
	struct row *rows = calloc(count + 1, sizeof(*rows));
	struct profile_sum *sums = NULL;
	int error = rows ? profile_sums_make(profile, &sums) : -ENOMEM;

	if (!error) {
		for (size_t i = 0; i < count; i++)
			rows[i] = (struct row){&profile->functions[i + 1], &sums[i + 1], 0};
		profile_heading_put(out, profile, about);
		fputc('\n', out);
		if (about->is_diff)
			changes_put(out, rows, count, about);
		else if (count)
			functions_put(out, profile, rows, count);
		if (!about->is_diff && count)
			path_put(out, profile);
		fprintf(out, "\n%s", about->notes);
	}
	free(sums);
	free(rows);
	return error;
}

const struct profile_format format_text = {
	.name = "text",
	.ending = "text",
	.diffs = true,
	.has_notes = true,
	.write = hottest_write,
};
