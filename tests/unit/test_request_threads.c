// LINK: user/request_threads.c user/pid_table.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads and requests in flight, told event by event.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "decode.h"
#include "request.h"
#include "request_threads.h"

#define SECOND UINT64_C(1000000000)

static struct request_threads *threads;

static int setup(void **state)
{
	threads = request_threads_new();
	return threads ? 0 : -1;
}

static int teardown(void **state)
{
	request_threads_free(threads);
	return 0;
}

static void worker(uint32_t pid, const char *app, bool has_marker)
{
	struct event event = {.kind = EVENT_IS_WORKER, .pid = pid, .tid = pid};

	event.worker.has_marker = has_marker;
	snprintf(event.worker.app, sizeof(event.worker.app), "%s", app);
	request_threads_learn(threads, &event);
}

static void process(uint32_t pid, uint32_t tid, enum event_process_what what)
{
	struct event event = {
		.kind = EVENT_IS_PROCESS, .pid = pid, .tid = tid, .time_ns = 100 * SECOND};

	event.process.what = what;
	request_threads_learn(threads, &event);
}

static struct request request_of(uint32_t pid, uint32_t tid, const char *app)
{
	return (struct request){.pid = pid,
				.tid = tid,
				.app = {app, app ? strlen(app) : 0},
				.app_source = app ? APP_MARK : APP_UNKNOWN};
}

static void ended(uint32_t pid, uint32_t tid, const char *app)
{
	const struct request request = request_of(pid, tid, app);

	request_threads_ended(threads, &request);
}

static void opened(uint32_t pid, uint32_t tid, const char *app, uint64_t age_ns)
{
	const struct request request = request_of(pid, tid, app);

	request_threads_open(threads, &request, age_ns);
}

/* The pool of an application, NULL: that without a name. All zero where there is none. */
static struct aggregate_pool pool(const char *app)
{
	size_t count, bytes = app ? strlen(app) : 0;
	const struct aggregate_pool *pools = request_threads_pools(threads, &count);

	for (size_t i = 0; i < count; i++)
		if (pools[i].application.bytes == bytes &&
		    (!bytes || !memcmp(pools[i].application.ptr, app, bytes)))
			return pools[i];
	return (struct aggregate_pool){0};
}

static void test_threads(void **state)
{
	worker(10, "", true);
	worker(20, "", true);
	worker(30, "", false);
	assert_int_equal(pool(NULL).processes, 2);
	assert_int_equal(pool(NULL).threads, 0);
	ended(10, 10, NULL);
	ended(10, 11, NULL);
	ended(10, 11, NULL);
	ended(20, 20, NULL);
	assert_int_equal(pool(NULL).threads, 3);
	process(10, 11, PROCESS_THREAD_EXITED);
	assert_int_equal(pool(NULL).threads, 2);
	process(10, 10, PROCESS_EXITED);
	assert_int_equal(pool(NULL).threads, 1);
	assert_int_equal(pool(NULL).processes, 1);
	process(20, 20, PROCESS_EXECED);
	assert_int_equal(pool(NULL).threads, 0);
	assert_int_equal(pool(NULL).processes, 0);
}

static void test_in_flight(void **state)
{
	worker(10, "", true);
	request_threads_begin(threads, 100 * SECOND);
	opened(10, 11, "shop", 5);
	opened(10, 12, "shop", 7);
	opened(10, 12, NULL, 3);
	assert_int_equal(pool("shop").active, 2);
	assert_int_equal(pool("shop").oldest_ns, 7);
	assert_int_equal(pool("shop").in_flight_ns, 12);
	assert_int_equal(pool(NULL).active, 1);
	request_threads_draining(threads,
				 &(struct request){.pid = 10, .tid = 11, .app = {"shop", 4}}, 90);
	assert_int_equal(pool("shop").active, 2); /* it has ended */
	assert_int_equal(pool("shop").oldest_ns, 7);
	assert_int_equal(pool("shop").in_flight_ns, 102);
	request_threads_begin(threads, 101 * SECOND);
	assert_int_equal(pool("shop").active, 0);
	assert_int_equal(pool("shop").oldest_ns, 0);
	assert_int_equal(pool("shop").in_flight_ns, 0);
	assert_int_equal(pool("shop").threads + pool(NULL).threads, 2);
}

/* A record that comes after its thread's end, or its process's, does not bring them back. */
static void test_late_record(void **state)
{
	worker(10, "", true);
	ended(10, 11, NULL);
	process(10, 11, PROCESS_THREAD_EXITED);
	ended(10, 11, NULL);
	assert_int_equal(pool(NULL).threads, 0);
	request_threads_begin(threads, 110 * SECOND);
	ended(10, 11, NULL);
	assert_int_equal(pool(NULL).threads, 0);
	request_threads_begin(threads, 116 * SECOND);
	ended(10, 11, NULL); /* by now the number is another thread's */
	assert_int_equal(pool(NULL).threads, 1);
	process(10, 10, PROCESS_EXITED);
	ended(10, 11, NULL);
	assert_int_equal(pool(NULL).threads, 0);
	assert_int_equal(pool(NULL).processes, 0);
}

/* Of the server's name for it until a request says another, which the next look keeps. */
static void test_names(void **state)
{
	worker(10, "127.0.0.1:80", true);
	assert_int_equal(pool("127.0.0.1:80").processes, 1);
	ended(10, 10, "shop");
	assert_int_equal(pool("shop").processes, 1);
	assert_int_equal(pool("shop").threads, 1);
	worker(10, "127.0.0.1:80", true);
	assert_int_equal(pool("shop").processes, 1);
	assert_int_equal(pool("127.0.0.1:80").processes, 0);
	ended(10, 10, "blog");
	assert_int_equal(pool("shop").threads, 0);
	assert_int_equal(pool("blog").threads, 1);
}

static void test_many_names(void **state)
{
	char app[200];
	size_t count;

	memset(app, 'a', sizeof(app));
	app[sizeof(app) - 1] = '\0';
	for (uint32_t i = 1; i <= 500; i++) {
		snprintf(app, 16, "app-%u", (unsigned int)i);
		app[strlen(app)] = 'a';
		worker(i, "", true);
		ended(i, i, app);
	}
	request_threads_pools(threads, &count);
	assert_int_equal(count, AGGREGATE_POOLS_MAX + 1); /* none is without a name */
	assert_int_equal(pool("other").threads, 500 - AGGREGATE_POOLS_MAX);
}

/* A thread's number that turns up in another process is that one's; ends of all at random. */
static void test_moves(void **state)
{
	worker(10, "", true);
	worker(20, "", true);
	ended(10, 11, NULL);
	ended(20, 11, NULL);
	assert_int_equal(pool(NULL).threads, 1);
	process(10, 10, PROCESS_EXITED);
	assert_int_equal(pool(NULL).threads, 1);
	process(20, 20, PROCESS_EXITED);
	assert_int_equal(pool(NULL).threads, 0);
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		uint32_t pid = 1 + (uint32_t)random() % 8, tid = 1 + (uint32_t)random() % 64;

		if (random() % 4)
			ended(pid, tid, NULL);
		else if (random() % 4)
			process(pid, tid, PROCESS_THREAD_EXITED);
		else
			process(pid, pid, random() % 2 ? PROCESS_EXITED : PROCESS_NOTED);
		worker(pid, "", true);
		if (i % 50 == 0)
			request_threads_begin(threads, (100 + (uint64_t)(i % 40)) * SECOND);
	}
	for (uint32_t pid = 1; pid <= 8; pid++)
		process(pid, pid, PROCESS_EXITED);
	assert_int_equal(pool(NULL).threads, 0);
	assert_int_equal(pool(NULL).processes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
