/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that runs out at every single allocation in turn: set-up fails cleanly, a request is
 * still counted, a page is whole or said not to be. The linker sends all allocations through here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregate.h"
#include "aggregate_series.h"
#include "exposition.h"
#include "settings.h"
#include "text_buffer.h"
#include "unit.h"

#define REQUESTS 40

/* So many allocations more are given; below 0: all. */
static long left = -1;

static int is_given(void)
{
	if (left > 0)
		left--;
	return left != 0;
}

void *__real_calloc(size_t count, size_t bytes);
void *__real_malloc(size_t bytes);
void *__real_realloc(void *old, size_t bytes);

void *__wrap_calloc(size_t count, size_t bytes)
{
	return is_given() ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_malloc(size_t bytes)
{
	return is_given() ? __real_malloc(bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return is_given() ? __real_realloc(old, bytes) : NULL;
}

static const struct settings *settings_get(void)
{
	static struct settings *settings;

	if (!settings)
		assert_int_equal(settings_default(&settings), 0);
	return settings;
}

/* Leaks would be seen by the sanitizer. */
static void test_set_up(void **state)
{
	const struct settings *settings = settings_get();
	struct aggregate *aggregate = NULL;
	long allowed = 0;
	int error;

	do {
		left = ++allowed;
		error = aggregate_new(settings, &aggregate);
		left = -1;
		assert_true(!error || error == -ENOMEM);
	} while (error);
	assert_true(allowed > 10);
	aggregate_free(aggregate);
}

static void requests_add(struct aggregate *aggregate)
{
	for (int i = 0; i < REQUESTS; i++) {
		static const char trace[] =
			"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
		char path[16];
		size_t bytes = (size_t)snprintf(path, sizeof(path), "/p%c", 'a' + i % 20);
		struct request request = {
			.path = {path, bytes},
			.path_group = {path, bytes},
			.app = {path, bytes},
			.traceparent = {trace, sizeof(trace) - 1},
			.status = 200,
			.application_ns = 1000000LL << i % 10,
			.queue_source = "socket",
		};

		aggregate_request(aggregate, &request);
	}
}

/* Each request is in one set; each of its five distributions has it, or says that it lost it. */
static void check_counted(const struct aggregate *aggregate)
{
	struct aggregate_counts counts;
	uint64_t requests = 0, values = 0;

	for (size_t i = 0; i < aggregate_sets(aggregate); i++) {
		const struct series *series = aggregate_set(aggregate, i);

		requests += series->requests;
		for (int k = 0; k < SERIES_HISTOGRAMS; k++)
			values += series->histograms[k].count;
	}
	aggregate_count(aggregate, &counts);
	assert_int_equal(requests, REQUESTS);
	assert_in_range(values + counts.series.memory, 5 * REQUESTS, 6 * REQUESTS);
	assert_true(values <= 5 * REQUESTS);
}

static void test_requests(void **state)
{
	const struct settings *settings = settings_get();
	struct aggregate_counts counts;
	uint64_t rest = 0, lost = 0;
	long allowed = 0;
	int ran_out;

	do {
		struct aggregate *aggregate;

		assert_int_equal(aggregate_new(settings, &aggregate), 0);
		left = ++allowed;
		requests_add(aggregate);
		ran_out = !left;
		left = -1;
		aggregate_count(aggregate, &counts);
		rest += counts.other[OTHER_MEMORY];
		lost += counts.series.memory;
		check_counted(aggregate);
		aggregate_free(aggregate);
	} while (ran_out);
	assert_true(allowed > 100);
	assert_true(rest > 0 && lost > 0); /* both happened on the way */
	assert_int_equal(counts.other[OTHER_MEMORY] + counts.series.memory, 0);
}

static void test_page(void **state)
{
	const struct aggregate_pool pool = {.application = {"shop", 4}};
	const struct aggregate_moment moment = {.now_ns = 1, .pools = &pool, .pool_count = 1};
	struct aggregate *aggregate;
	size_t whole = 0;
	long allowed = 0;
	int error;

	assert_int_equal(aggregate_new(settings_get(), &aggregate), 0);
	requests_add(aggregate);
	do {
		struct text_buffer page = {0};

		left = ++allowed;
		error = exposition_write(aggregate, &moment, EXPOSITION_OPENMETRICS, &page);
		left = -1;
		assert_true(!error || error == -ENOMEM);
		whole = page.bytes;
		if (!error)
			assert_memory_equal(page.text + whole - 7, "\n# EOF\n", 7);
		text_buffer_free(&page);
	} while (error);
	assert_true(allowed > 20 && whole > 100000);
	aggregate_free(aggregate);
}

static void test_settings(void **state)
{
	static const char text[] = "path /a/{n}\npath /b\nseries 100\n";
	struct settings *parsed = NULL;
	long allowed = 0;
	int error;

	do {
		left = ++allowed;
		error = settings_parse("test", text, strlen(text), &parsed);
		left = -1;
		assert_true(!error || error == -ENOMEM);
		assert_true(error ? !parsed : parsed->pattern_count == 2);
	} while (error);
	assert_true(allowed > 2);
	settings_free(parsed);
}

static int settings_drop(void **state)
{
	settings_free((struct settings *)settings_get());
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_up),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, settings_drop);
}
