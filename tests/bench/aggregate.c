/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to add a request up, and to write the page: CPU time, the best of several rounds,
 * for the machine's noise only adds. Exits with 1 where a limit is broken. Needs no root.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aggregate.h"
#include "aggregate_series.h"
#include "exposition.h"
#include "settings.h"
#include "text_buffer.h"

#define ROUNDS	     7
#define REQUESTS     100000
#define PATHS	     4096
#define SITE_NS	     300  /* limits: of a site, */
#define FLOOD_NS     1500 /* and where nothing is in the cache; all of the daemon has 2 us */
#define SCRAPE_MS    50
#define SCRAPE_LINES 10000

static uint64_t random_state = 88172645463325252;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What a page of a site may look like: three segments, the second of so many values. */
static char paths[PATHS][64];
static size_t path_bytes[PATHS];

static void paths_fill(unsigned int sections)
{
	for (unsigned int i = 0; i < PATHS; i++) {
		unsigned int section = i % sections;

		path_bytes[i] = (size_t)snprintf(paths[i], sizeof(paths[i]), "/%c%c%c%c/{n}/edit",
						 'a' + section % 26, 'a' + section / 26 % 26,
						 'a' + section / 676 % 26, 'a' + section / 17576);
	}
}

static struct request request_make(unsigned int i, bool route)
{
	struct request_text path = {paths[i % PATHS], path_bytes[i % PATHS]};
	struct request request = {
		.pid = 1,
		.method = {"GET", 3},
		.app = {"shop", 4},
		.status = 200,
		.wire_status = 200,
		.time_ns = INT64_C(1795341600000000000),
		.application_ns = (int64_t)(1000000 + random_next() % 100000000),
		.output_ns = (int64_t)(10000 + random_next() % 1000000),
		.blocks = 1,
		.bytes = (int64_t)(random_next() % 100000),
		.write_calls = 2,
		.write_bytes = 1000,
		.write_ns = 50000,
		.family = FAMILY_INET,
		.queue_ns = (int64_t)(random_next() % 1000000),
		.queue_source = "socket",
		.gc_ns = REQUEST_UNSEEN,
		.traceparent = {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55},
	};

	for (int state = 0; state < REQUEST_STATES; state++)
		request.states_ns[state] = 100000;
	if (route)
		request.route = path;
	else
		request.path = request.path_group = path;
	return request;
}

/* A request as it comes from the assembler: in one place, fresh in the cache, its values new. */
static void request_next(struct request *request, bool route)
{
	uint64_t random = random_next();
	size_t path = random % PATHS;

	request->path.ptr = paths[path];
	request->path.bytes = path_bytes[path];
	if (route)
		request->route = request->path;
	else
		request->path_group = request->path;
	request->application_ns = 1000000 + (int64_t)(random >> 16 & 0x7ffffff);
	request->output_ns = 10000 + (int64_t)(random >> 32 & 0x1fffff);
	request->bytes = (int64_t)(random >> 40 & 0x3ffff);
	request->queue_ns = (int64_t)(random >> 44);
}

/* Nanoseconds of CPU for each of REQUESTS requests. */
static double requests_time(struct aggregate *aggregate, bool route)
{
	struct request request = request_make(0, route);
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double begin = cpu_ns(), each;

		for (unsigned int i = 0; i < REQUESTS; i++) {
			request_next(&request, route);
			aggregate_request(aggregate, &request);
		}
		each = (cpu_ns() - begin) / REQUESTS;
		best = each < best ? each : best;
	}
	return best;
}

/* True where it holds. */
static bool requests_bench(const char *what, unsigned int sections, bool route, int limit)
{
	struct settings *settings;
	struct aggregate *aggregate;
	double ns;

	if (settings_default(&settings) || aggregate_new(settings, &aggregate))
		abort();
	paths_fill(sections);
	ns = requests_time(aggregate, route);
	printf("  %-44s %6.0f ns a request (%zu label sets; limit %d)\n", what, ns,
	       aggregate_sets(aggregate), limit);
	aggregate_free(aggregate);
	settings_free(settings);
	return ns <= limit;
}

static size_t samples_count(const struct text_buffer *page)
{
	size_t lines = 0;

	for (size_t i = 0; i < page->bytes; i++)
		lines +=
			page->text[i] == '\n' && (i + 1 == page->bytes || page->text[i + 1] != '#');
	return lines;
}

static double scrape_time(const struct aggregate *aggregate, enum exposition_format format,
			  struct text_buffer *page)
{
	const struct aggregate_moment moment = {.now_ns = 1};
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double begin = cpu_ns(), all;

		text_buffer_clear(page);
		if (exposition_write(aggregate, &moment, format, page))
			abort();
		all = cpu_ns() - begin;
		best = all < best ? all : best;
	}
	return best / 1e6;
}

/* A page of so many label sets. True where it holds; only a page of SCRAPE_LINES has a limit. */
static bool scrape_bench(unsigned int sets, enum exposition_format format)
{
	struct settings *settings;
	struct aggregate *aggregate;
	struct text_buffer page = {0};
	size_t before = mallinfo2().uordblks, lines;
	double ms;

	if (settings_default(&settings))
		abort();
	settings->series_max = 2 * sets + 16;
	if (aggregate_new(settings, &aggregate))
		abort();
	for (unsigned int first = 0; first < sets; first += PATHS) {
		for (unsigned int i = 0; i < 20 * PATHS; i++) {
			struct request request = request_make(i, true);

			request.status = request.wire_status = 200 + first / PATHS;
			if (first + i % PATHS < sets)
				aggregate_request(aggregate, &request);
		}
	}
	before = mallinfo2().uordblks - before;
	ms = scrape_time(aggregate, format, &page);
	lines = samples_count(&page);
	printf("  %5u label sets, %-12s %7.2f ms, %7zu series, %6.1f MB page, %5.1f MB kept\n",
	       sets, format == EXPOSITION_OPENMETRICS ? "OpenMetrics" : "Prometheus", ms, lines,
	       (double)page.bytes / 1e6, (double)before / 1e6);
	text_buffer_free(&page);
	aggregate_free(aggregate);
	settings_free(settings);
	return lines > 2 * SCRAPE_LINES || ms <= SCRAPE_MS;
}

int main(void)
{
	static const unsigned int sets[] = {100, 2000, 10000};
	bool holds = true;

	puts("Adding a request up:");
	holds &= requests_bench("a site of 40 pages, no routes", 40, false, SITE_NS);
	holds &= requests_bench("the same, routes known", 40, true, SITE_NS);
	holds &= requests_bench("2,000 routes", 2000, true, FLOOD_NS);
	holds &= requests_bench("4,096 routes, past the limit", PATHS, true, FLOOD_NS);
	holds &= requests_bench("4,096 values of one position", PATHS, false, FLOOD_NS);
	printf("Writing the page (limit %d ms for %d series):\n", SCRAPE_MS, SCRAPE_LINES);
	paths_fill(PATHS);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		holds &= scrape_bench(sets[i], EXPOSITION_PROMETHEUS);
		holds &= scrape_bench(sets[i], EXPOSITION_OPENMETRICS);
	}
	if (!holds)
		puts("A limit is broken.");
	return holds ? 0 : 1;
}
