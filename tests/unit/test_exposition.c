/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pieces of the page that recordings do not show: which format is chosen, how bounds are written,
 * what is absent, and numbers that cannot be. Whole pages are in the golden tests.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aggregate.h"
#include "exposition.h"
#include "metric_writer.h"
#include "request.h"
#include "settings.h"
#include "text_buffer.h"
#include "unit.h"

#define S INT64_C(1000000000)

static void test_choose(void **state)
{
	static const struct {
		const char *accept;
		enum exposition_format format;
	} cases[] = {
		{NULL, EXPOSITION_PROMETHEUS},
		{"", EXPOSITION_PROMETHEUS},
		{"*/*", EXPOSITION_PROMETHEUS},
		{"text/html, */*;q=0.1", EXPOSITION_PROMETHEUS},
		{"text/plain;version=0.0.4", EXPOSITION_PROMETHEUS},
		{"application/openmetrics-text", EXPOSITION_OPENMETRICS},
		{"Application/OpenMetrics-Text; version=1.0.0", EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text;version=2.0.0", EXPOSITION_PROMETHEUS},
		{"application/openmetrics-text;version=2.0.0;q=1, "
		 "application/openmetrics-text;version=1.0.0;q=0.5",
		 EXPOSITION_OPENMETRICS},
		/* Prometheus 2.42 */
		{"application/openmetrics-text;version=1.0.0,"
		 "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
		 "*/*;q=0.1",
		 EXPOSITION_OPENMETRICS},
		{"text/plain, application/openmetrics-text;q=0.9", EXPOSITION_PROMETHEUS},
		{"text/plain;q=0.3, application/openmetrics-text;q=0.300", EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text;q=0", EXPOSITION_PROMETHEUS},
		{",,;;q=,q=1;=,  ;q=9999999999999999999999", EXPOSITION_PROMETHEUS},
		{"application/openmetrics-textual", EXPOSITION_PROMETHEUS},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (exposition_choose(cases[i].accept) != cases[i].format)
			fail_msg("'%s'", cases[i].accept);
	}
}

/* As Go and the OpenMetrics specification have them. */
static void test_bounds(void **state)
{
	static const struct {
		int64_t bound;
		unsigned int places;
		const char *want;
	} cases[] = {
		{5000000, 9, "0.005"},
		{100000, 9, "0.0001"},
		{10000, 9, "1e-05"},
		{25000, 9, "2.5e-05"},
		{1 * S, 9, "1.0"},
		{2500000000, 9, "2.5"},
		{10 * S, 9, "10.0"},
		{999000 * S / 1000, 9, "999.0"},
		{0, 0, "0.0"},
		{7, 0, "7.0"},
		{100, 0, "100.0"},
		{990000, 0, "990000.0"},
		{1000000, 0, "1e+06"},
		{1200000, 0, "1.2e+06"},
		{100000000000, 0, "1e+11"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct text_buffer out = {0};

		metric_bound(&out, cases[i].bound, cases[i].places);
		assert_int_equal(out.bytes, strlen(cases[i].want));
		assert_memory_equal(out.text, cases[i].want, out.bytes);
		text_buffer_free(&out);
	}
}

/* A moment of which nothing is known. */
static const struct aggregate_moment unknown = {
	.now_ns = 1,
	.attached_processes = REQUEST_UNSEEN,
	.start_time_ns = REQUEST_UNSEEN,
	.cpu_ns = REQUEST_UNSEEN,
	.resident_bytes = REQUEST_UNSEEN,
	.ring_bytes = REQUEST_UNSEEN,
	.ring_used_bytes = REQUEST_UNSEEN,
};

/* The page of these requests, terminated; the caller frees it. */
static char *page_of(const struct request *requests, size_t count,
		     const struct aggregate_moment *moment, enum exposition_format format)
{
	struct text_buffer page = {0};
	struct settings *settings;
	struct aggregate *aggregate;

	assert_int_equal(settings_default(&settings), 0);
	assert_int_equal(aggregate_new(settings, &aggregate), 0);
	for (size_t i = 0; i < count; i++)
		aggregate_request(aggregate, &requests[i]);
	assert_int_equal(exposition_write(aggregate, moment, format, &page), 0);
	text_put(&page, "", 1);
	aggregate_free(aggregate);
	settings_free(settings);
	return page.text;
}

static struct request request_empty(void)
{
	struct request request = {
		.status = REQUEST_UNSEEN,
		.wire_status = REQUEST_UNSEEN,
		.application_ns = REQUEST_UNSEEN,
		.output_ns = REQUEST_UNSEEN,
		.blocks = REQUEST_UNSEEN,
		.bytes = REQUEST_UNSEEN,
		.write_calls = REQUEST_UNSEEN,
		.queue_ns = REQUEST_UNSEEN,
		.gc_ns = REQUEST_UNSEEN,
	};

	for (int i = 0; i < REQUEST_STATES; i++)
		request.states_ns[i] = REQUEST_UNSEEN;
	return request;
}

/* Samples of a name, which may have labels or an end of its own. */
static int samples_of(const char *page, const char *name)
{
	int found = 0;

	for (const char *at = page; (at = strstr(at, name)); at++)
		found += at == page || at[-1] == '\n';
	return found;
}

/* What was not seen, and what the moment does not know, is not there. */
static void test_absent(void **state)
{
	static const char *const absent[] = {
		"http_server_request_duration_seconds",
		"http_server_response_body_size_bytes",
		"wsgi_output_",
		"wsgi_queue_time",
		"wsgi_write_",
		"wsgi_request_state",
		"wsgi_gc_",
		"wsgi_request_threads",
		"wsgi_capacity",
		"http_server_active",
		"process_",
		"wsgiscope_ring",
		"wsgiscope_events",
		"wsgiscope_attached",
	};
	struct request request = request_empty();
	char *page = page_of(&request, 1, &unknown, EXPOSITION_PROMETHEUS);

	for (size_t i = 0; i < COUNT_OF(absent); i++) {
		if (samples_of(page, absent[i]))
			fail_msg("%s is there", absent[i]);
	}
	assert_non_null(strstr(page, "\nwsgi_requests_total 1\n"));
	assert_non_null(strstr(page, "\nwsgiscope_unseen_values_total{value=\"states\"} 1\n"));
	assert_non_null(strstr(page, "\nwsgiscope_dropped_total{reason=\"aggregate_memory\"} 0\n"));
	assert_null(strstr(page, "# EOF"));
	free(page);
}

static void test_formats(void **state)
{
	struct request request = request_empty();
	char *page;

	request.application_ns = 75 * S / 1000;
	request.time_ns = 1795341600 * S;
	request.route = (struct request_text){"/\"a\\b\"\n", 7};
	request.queue_ns = S / 2;
	request.queue_source = "x-request-start";
	page = page_of(&request, 1, &unknown, EXPOSITION_PROMETHEUS);
	assert_non_null(strstr(page, "\n# TYPE wsgi_requests_total counter\n"));
	assert_non_null(strstr(page, "\n# TYPE wsgiscope_build_info gauge\n"));
	assert_non_null(strstr(page, "{http_route=\"/\\\"a\\\\b\\\"\\\\x0a\",le=\"0.05\"} 0\n"));
	assert_non_null(strstr(page, "{http_route=\"/\\\"a\\\\b\\\"\\\\x0a\",le=\"0.075\"} 1\n"));
	assert_non_null(strstr(page, "source=\"x-request-start\",le=\"0.25\"} 0\n"));
	assert_non_null(strstr(page, "source=\"x-request-start\",le=\"0.5\"} 1\n"));
	assert_null(strstr(page, "# UNIT"));
	assert_null(strstr(page, "_created"));
	free(page);
	page = page_of(&request, 1, &unknown, EXPOSITION_OPENMETRICS);
	assert_non_null(strstr(page, "\n# TYPE wsgi_requests counter\n"));
	assert_non_null(strstr(page, "\n# TYPE wsgiscope_build info\n"));
	assert_non_null(strstr(page, "\n# UNIT http_server_request_duration_seconds seconds\n"));
	assert_non_null(
		strstr(page, "_created{http_route=\"/\\\"a\\\\b\\\"\\\\x0a\"} 1795341600\n"));
	assert_string_equal(page + strlen(page) - strlen("\n# EOF\n"), "\n# EOF\n");
	free(page);
}

/* Sums past 64 bits of nanoseconds, and counters that are full: still numbers, never less. */
static void test_lies(void **state)
{
	static struct request requests[5000];
	char *page;

	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		requests[i] = request_empty();
		requests[i].application_ns = INT64_MAX;
		requests[i].write_calls = requests[i].write_bytes = requests[i].write_ns =
			INT64_MAX;
		requests[i].time_ns = INT64_MAX;
	}
	page = page_of(requests, COUNT_OF(requests), &unknown, EXPOSITION_OPENMETRICS);
	assert_non_null(strstr(page, "\nhttp_server_request_duration_seconds_sum 46116860184273"));
	assert_non_null(strstr(page, "_bucket{le=\"10.0\"} 0\n"));
	assert_non_null(strstr(page, "_bucket{le=\"+Inf\"} 5000\n"));
	assert_non_null(strstr(page, "\nwsgi_write_calls_total 18446744073709551615\n"));
	free(page);
}

static void test_losses(void **state)
{
	static const struct request_count losses[] = {{"ring_full", 3}, {"no_start", 4}, {NULL, 0}};
	struct aggregate_moment moment = unknown;
	char *page;

	moment.losses = losses;
	moment.cpu_ns = 0; /* known to be 0 */
	page = page_of(NULL, 0, &moment, EXPOSITION_PROMETHEUS);
	assert_non_null(strstr(page, "\nwsgiscope_dropped_total{reason=\"ring_full\"} 3\n"));
	assert_non_null(strstr(page, "\nwsgiscope_incomplete_total{reason=\"no_start\"} 4\n"));
	assert_int_equal(samples_of(page, "wsgiscope_dropped_total"), 2);
	assert_non_null(strstr(page, "\nprocess_cpu_seconds_total 0\n"));
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_absent), cmocka_unit_test(test_formats),
		cmocka_unit_test(test_lies),   cmocka_unit_test(test_losses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
