/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every request is counted exactly once, whatever comes; memory is bounded; what was not seen is
 * never 0.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aggregate.h"
#include "aggregate_series.h"
#include "labels.h"
#include "settings.h"
#include "unit.h"

#define MS INT64_C(1000000)

struct fixture {
	struct settings *settings;
	struct aggregate *aggregate;
};

static struct fixture fixture_of(const char *text)
{
	struct fixture fixture;

	assert_int_equal(settings_parse("test", text, strlen(text), &fixture.settings), 0);
	assert_int_equal(aggregate_new(fixture.settings, &fixture.aggregate), 0);
	return fixture;
}

static void fixture_end(struct fixture *fixture)
{
	aggregate_free(fixture->aggregate);
	settings_free(fixture->settings);
}

/* One of which all is seen, and nothing is 0. */
static struct request request_of(const char *path)
{
	struct request request = {
		.pid = 7,
		.method = {"GET", 3},
		.path = {path, strlen(path)},
		.path_group = {path, strlen(path)},
		.time_ns = 1000 * MS,
		.status = 200,
		.wire_status = 200,
		.application_ns = 20 * MS,
		.output_ns = 2 * MS,
		.blocks = 3,
		.bytes = 1000,
		.write_calls = 4,
		.write_bytes = 1200,
		.write_ns = MS,
		.family = FAMILY_INET,
		.queue_ns = 5 * MS,
		.queue_source = "socket",
		.gc_ns = MS,
		.gc_count = 2,
	};

	for (int i = 0; i < REQUEST_STATES; i++)
		request.states_ns[i] = (i + 1) * MS;
	return request;
}

/* One of which only that it was is known. */
static struct request request_unseen(const char *path)
{
	struct request request = request_of(path);

	request.status = request.wire_status = REQUEST_UNSEEN;
	request.application_ns = request.output_ns = REQUEST_UNSEEN;
	request.blocks = request.bytes = REQUEST_UNSEEN;
	request.write_calls = request.write_bytes = request.write_ns = REQUEST_UNSEEN;
	request.family = FAMILY_UNSEEN;
	request.queue_ns = request.gc_ns = request.gc_count = REQUEST_UNSEEN;
	request.queue_source = NULL;
	for (int i = 0; i < REQUEST_STATES; i++)
		request.states_ns[i] = REQUEST_UNSEEN;
	return request;
}

/* The set whose labels hold this; NULL: none. */
static const struct series *set_with(const struct aggregate *aggregate, const char *label)
{
	for (size_t i = 0; i < aggregate_sets(aggregate); i++) {
		const struct series *series = aggregate_set(aggregate, i);

		if (memmem(series->labels, series->label_bytes, label, strlen(label)))
			return series;
	}
	return NULL;
}

static uint64_t requests_with(const struct aggregate *aggregate, const char *label)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < aggregate_sets(aggregate); i++) {
		const struct series *series = aggregate_set(aggregate, i);

		if (memmem(series->labels, series->label_bytes, label, strlen(label)))
			sum += series->requests;
	}
	return sum;
}

static void test_sums(void **state)
{
	struct fixture fixture = fixture_of("");
	struct request request = request_of("/a");
	const struct series *series;

	for (int i = 0; i < 10; i++)
		aggregate_request(fixture.aggregate, &request);
	assert_int_equal(aggregate_requests(fixture.aggregate), 10);
	assert_int_equal(aggregate_sets(fixture.aggregate), 1);
	series = aggregate_set(fixture.aggregate, 0);
	assert_int_equal(series->requests, 10);
	assert_int_equal(series->created_ns, 1000 * MS);
	assert_int_equal(series->histograms[SERIES_DURATION].count, 10);
	assert_true(series->histograms[SERIES_DURATION].sum == (double)(200 * MS));
	assert_true(series->histograms[SERIES_OUTPUT_TIME].sum == (double)(20 * MS));
	assert_true(series->histograms[SERIES_BODY_SIZE].sum == 10000);
	assert_true(series->histograms[SERIES_BLOCKS].sum == 30);
	assert_int_equal(series->histograms[SERIES_QUEUE_TIME + SERIES_QUEUE_SOCKET].count, 10);
	assert_int_equal(series->histograms[SERIES_QUEUE_TIME + SERIES_QUEUE_HEADER].count, 0);
	assert_int_equal(series->writes[FAMILY_INET].calls, 40);
	assert_int_equal(series->writes[FAMILY_INET].bytes, 12000);
	assert_int_equal(series->writes[FAMILY_INET].ns, 10 * MS);
	assert_int_equal(series->states_ns[REQUEST_GIL], 10 * 3 * MS);
	assert_int_equal(series->gc_count, 20);
	fixture_end(&fixture);
}

/* Requests without a value leave no trace in its sums, and are counted. */
static void test_unseen(void **state)
{
	struct fixture fixture = fixture_of("");
	struct request request = request_unseen("/a");
	struct aggregate_counts counts;
	const struct series *series;

	for (int i = 0; i < 5; i++)
		aggregate_request(fixture.aggregate, &request);
	series = aggregate_set(fixture.aggregate, 0);
	assert_int_equal(series->requests, 5);
	for (int i = 0; i < SERIES_HISTOGRAMS; i++)
		assert_int_equal(series->histograms[i].count, 0);
	for (int i = 0; i < SERIES_FAMILIES; i++)
		assert_int_equal(series->writes[i].calls, 0);
	assert_int_equal(series->states_seen, 0);
	assert_false(series->gc_seen);
	aggregate_count(fixture.aggregate, &counts);
	for (int i = 0; i < UNSEEN_VALUES; i++)
		assert_int_equal(counts.series.unseen[i], i == UNSEEN_GIL ? 0 : 5);
	request = request_of("/a");
	request.states_ns[REQUEST_GIL] = REQUEST_UNSEEN;
	aggregate_request(fixture.aggregate, &request);
	series = set_with(fixture.aggregate, "\"200\"");
	assert_int_equal(series->states_seen, ((1U << REQUEST_STATES) - 1) & ~(1U << REQUEST_GIL));
	aggregate_count(fixture.aggregate, &counts);
	assert_int_equal(counts.series.unseen[UNSEEN_GIL], 1);
	assert_int_equal(counts.series.unseen[UNSEEN_STATES], 5);
	fixture_end(&fixture);
}

static uint64_t random_state;

static unsigned int random_below(unsigned int end)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned int)(random_state >> 32) % end;
}

/* The sums over all sets: what a reader of the page would add up. */
static void check_exact(const struct aggregate *aggregate, uint64_t requests, uint64_t timed,
			double time_ns)
{
	struct aggregate_counts counts;
	uint64_t all = 0, all_timed = 0;
	double all_ns = 0;

	for (size_t i = 0; i < aggregate_sets(aggregate); i++) {
		const struct series *series = aggregate_set(aggregate, i);

		all += series->requests;
		all_timed += series->histograms[SERIES_DURATION].count;
		all_ns += series->histograms[SERIES_DURATION].sum;
	}
	aggregate_count(aggregate, &counts);
	assert_int_equal(all, requests);
	assert_int_equal(all_timed, timed);
	assert_int_equal(counts.requests, requests);
	assert_int_equal(counts.series.unseen[UNSEEN_APPLICATION_TIME], requests - timed);
	assert_true(all_ns == time_ns);
	assert_int_equal(counts.series.memory, 0);
}

/* Random everything, past every limit. */
static void test_exact(void **state)
{
	static const char *const methods[] = {"GET", "POST", "FROB", "\xff", "DELETE"};
	struct fixture fixture = fixture_of("series 50\nsegment-values 5\npath /p/{n}\n");
	uint64_t timed = 0;
	double time_ns = 0;

	random_state = 88172645463325252;
	for (uint64_t i = 1; i <= 20000; i++) {
		char path[300], route[300];
		struct request request;

		snprintf(path, sizeof(path), "/%c/%u", 'a' + random_below(20), random_below(9));
		snprintf(route, sizeof(route), "/%0*u", random_below(250) + 1, random_below(5));
		request = random_below(10) ? request_of(path) : request_unseen(path);
		request.method.ptr = methods[random_below(COUNT_OF(methods))];
		request.method.bytes = strlen(request.method.ptr);
		request.outcome = random_below(4);
		if (random_below(2))
			request.wire_status = 100 + random_below(500);
		if (!random_below(3))
			request.route = (struct request_text){route, strlen(route)};
		if (!random_below(3))
			request.app = (struct request_text){path, random_below(4)};
		if (request.application_ns != REQUEST_UNSEEN) {
			request.application_ns = random_below(1000000000);
			time_ns += (double)request.application_ns;
			timed++;
		}
		aggregate_request(fixture.aggregate, &request);
		assert_true(aggregate_sets(fixture.aggregate) <= 50);
		if (i % 1000 == 0)
			check_exact(fixture.aggregate, i, timed, time_ns);
	}
	fixture_end(&fixture);
}

/* Sets against a plain count: what was remembered of late requests must not mix them up. */
static void test_recent(void **state)
{
	static unsigned int counts[300][2];
	struct fixture fixture = fixture_of("series 2000\n");

	memset(counts, 0, sizeof(counts));
	for (int i = 0; i < 50000; i++) {
		unsigned int route = random_below(COUNT_OF(counts)), failed = random_below(2);
		struct request request;
		char text[32];

		request = request_of("/any");
		snprintf(text, sizeof(text), "/r%u", route);
		request.route = (struct request_text){text, strlen(text)};
		request.exception = (struct request_text){"KeyError", 8}; /* shown if it failed */
		request.outcome = failed ? OUTCOME_EXCEPTION : OUTCOME_OK;
		counts[route][failed]++;
		aggregate_request(fixture.aggregate, &request);
	}
	for (unsigned int route = 0; route < COUNT_OF(counts); route++) {
		char label[64];

		snprintf(label, sizeof(label), "/r%u\",error_type=\"KeyError\"", route);
		assert_int_equal(requests_with(fixture.aggregate, label), counts[route][1]);
		snprintf(label, sizeof(label), "/r%u\"", route);
		assert_int_equal(requests_with(fixture.aggregate, label),
				 counts[route][0] + counts[route][1]);
	}
	fixture_end(&fixture);
}

/* A position that collapses does so for paths that were just seen, too. */
static void test_recent_collapse(void **state)
{
	struct fixture fixture = fixture_of("segment-values 20\n");
	char path[32];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 25; i++) {
			struct request request;

			snprintf(path, sizeof(path), "/u/n%c", 'a' + i);
			request = request_of(path);
			aggregate_request(fixture.aggregate, &request);
		}
	}
	assert_int_equal(requests_with(fixture.aggregate, "\"/u/{name}\""), 5 + 25);
	assert_int_equal(requests_with(fixture.aggregate, "\"/u/na\""), 1);
	fixture_end(&fixture);
}

/* 404: the path teaches nothing, and takes nobody's name. */
static void test_not_found(void **state)
{
	struct fixture fixture = fixture_of("");
	struct request request = request_of("/login");

	aggregate_request(fixture.aggregate, &request);
	request.wire_status = 404;
	aggregate_request(fixture.aggregate, &request);
	request = request_of("/wp-login");
	request.wire_status = 404;
	aggregate_request(fixture.aggregate, &request);
	aggregate_request(fixture.aggregate, &request);
	assert_int_equal(requests_with(fixture.aggregate, "\"/login\""), 2);
	assert_int_equal(requests_with(fixture.aggregate, "\"404\",path_group=\"/{name}\""), 2);
	request.wire_status = 200; /* now it is there */
	aggregate_request(fixture.aggregate, &request);
	request.wire_status = 404;
	aggregate_request(fixture.aggregate, &request);
	assert_int_equal(requests_with(fixture.aggregate, "\"/wp-login\""), 2);
	fixture_end(&fixture);
}

static void flood(struct aggregate *aggregate, int count, bool routes)
{
	for (int i = 0; i < count; i++) {
		struct request request;
		char path[64];

		snprintf(path, sizeof(path), "/%c%c%c%c/%c%c%c", 'a' + random_below(26),
			 'a' + random_below(26), 'a' + random_below(26), 'a' + random_below(26),
			 'a' + random_below(26), 'a' + random_below(26), 'a' + random_below(26));
		request = request_of(path);
		if (routes)
			request.route = request.path;
		request.status = request.wire_status = random_below(2) ? 200 : 500;
		aggregate_request(aggregate, &request);
	}
}

/* A flood of paths, then of routes: memory is flat, the rest is "other" and counted, and what is
 * known otherwise of those requests stays known. */
static void test_flood(void **state)
{
	struct fixture fixture = fixture_of("");
	struct aggregate_counts counts;
	size_t full;

	flood(fixture.aggregate, 100000, false);
	assert_true(aggregate_sets(fixture.aggregate) < 500); /* nearly all were one shape */
	flood(fixture.aggregate, 20000, true);
	assert_in_range(aggregate_sets(fixture.aggregate), 1750, 2000);
	full = __sanitizer_get_current_allocated_bytes();
	flood(fixture.aggregate, 50000, true);
	flood(fixture.aggregate, 50000, false);
	assert_int_equal(__sanitizer_get_current_allocated_bytes(), full);
	aggregate_count(fixture.aggregate, &counts);
	assert_int_equal(counts.other[OTHER_GROUP],
			 requests_with(fixture.aggregate, "path_group=\"other\""));
	assert_in_range(counts.other[OTHER_GROUP], 60000, 70000);
	assert_int_equal(counts.other[OTHER_ALL], 0);
	assert_true(requests_with(fixture.aggregate, "\"500\",path_group=\"other\"") > 25000);
	check_exact(fixture.aggregate, 220000, 220000, 220000.0 * (double)(20 * MS));
	fixture_end(&fixture);
}

/* Past the room for "other" as well, all is "other"; a long value is "other" by itself. */
static void test_rest(void **state)
{
	struct fixture fixture = fixture_of("series 16\n");
	struct aggregate_counts counts;
	char route[1000];

	for (int i = 0; i < 100; i++) {
		struct request request = request_of("/a");

		request.wire_status = 200 + i;
		aggregate_request(fixture.aggregate, &request);
	}
	aggregate_count(fixture.aggregate, &counts);
	assert_int_equal(counts.label_sets, 16);
	assert_int_equal(counts.other[OTHER_GROUP], 1);
	assert_int_equal(counts.other[OTHER_ALL], 100 - 15);
	assert_int_equal(requests_with(fixture.aggregate, "application=\"other\""), 100 - 15);
	fixture_end(&fixture);
	fixture = fixture_of("");
	memset(route, 'x', sizeof(route));
	for (int i = 0; i < 3; i++) {
		struct request request = request_of("/a");

		request.route = (struct request_text){route, sizeof(route)};
		aggregate_request(fixture.aggregate, &request);
	}
	aggregate_count(fixture.aggregate, &counts);
	assert_int_equal(counts.other[OTHER_LENGTH], 3);
	assert_int_equal(requests_with(fixture.aggregate, "http_route=\"other\""), 3);
	fixture_end(&fixture);
}

/* New settings: what is there stays, patterns hold from here on. */
static void test_settings(void **state)
{
	static const char text[] = "path /a/{x}\nseries 16\n";
	struct fixture fixture = fixture_of("");
	struct settings *renewed = NULL;
	struct request request = request_of("/a/b");
	const struct series *series;

	request.traceparent = (struct request_text){
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55};
	aggregate_request(fixture.aggregate, &request);
	series = aggregate_set(fixture.aggregate, 0);
	assert_non_null(series->exemplars);
	assert_int_equal(settings_parse("test", text, strlen(text), &renewed), 0);
	aggregate_settings(fixture.aggregate, renewed);
	settings_free(fixture.settings); /* nothing of it is used any more */
	fixture.settings = renewed;
	assert_null(series->exemplars); /* they lay by the bounds that were */
	aggregate_request(fixture.aggregate, &request);
	assert_int_equal(requests_with(fixture.aggregate, "\"/a/b\""), 1);
	assert_int_equal(requests_with(fixture.aggregate, "\"/a/{x}\""), 1);
	assert_int_equal(aggregate_requests(fixture.aggregate), 2);
	fixture_end(&fixture);
}

/* Only a sampled trace of the W3C's form is an exemplar; one a second is enough. */
static void test_exemplars(void **state)
{
	static const char *const none[] = {
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
		"",
	};
	static const char future[] = "01-ff00000000000000000000000000000e-b7ad6b7169203331-03-x";
	struct fixture fixture = fixture_of("");
	struct request request = request_of("/a");
	const struct series *series;

	for (size_t i = 0; i < COUNT_OF(none); i++) {
		request.traceparent = (struct request_text){none[i], strlen(none[i])};
		aggregate_request(fixture.aggregate, &request);
	}
	series = aggregate_set(fixture.aggregate, 0);
	assert_null(series->exemplars);
	request.traceparent = (struct request_text){future, strlen(future)};
	aggregate_request(fixture.aggregate, &request);
	assert_non_null(series->exemplars);
	/* 20 ms is the third bucket, up to 25 ms. */
	assert_int_equal(series->exemplars[2].time_ns, 1020 * MS);
	assert_int_equal(series->exemplars[2].value, 20 * MS);
	assert_int_equal(series->exemplars[2].trace_id[0], 0xff);
	assert_int_equal(series->exemplars[2].trace_id[15], 0x0e);
	assert_int_equal(series->exemplars[1].time_ns, 0);
	request.time_ns += 999 * MS;
	aggregate_request(fixture.aggregate, &request);
	assert_int_equal(series->exemplars[2].time_ns, 1020 * MS);
	request.time_ns += 1 * MS;
	aggregate_request(fixture.aggregate, &request);
	assert_int_equal(series->exemplars[2].time_ns, 2020 * MS);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_recent),
		cmocka_unit_test(test_recent_collapse),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_exemplars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
