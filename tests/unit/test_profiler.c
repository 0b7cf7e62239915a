/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of samples, by what else comes and when: names, ends of requests and processes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "decode.h"
#include "profile.h"
#include "profile_about.h"
#include "profiler.h"
#include "sample_make.h"
#include "unit.h"

static struct config config;
static struct profile *profile;
static struct profiler *profiler;
static struct made_sample sample;
static struct made_code code;

static int setup(void **state)
{
	config = (struct config){0};
	assert_int_equal(profile_new(false, &profile), 0);
	assert_int_equal(profiler_new(&config, 0, profile, 0, NULL, &profiler), 0);
	return 0;
}

static int teardown(void **state)
{
	profiler_free(profiler);
	profile_free(profile);
	return 0;
}

static void feed(const void *record, size_t bytes, __u32 pid, __u64 time_ns)
{
	static struct event event;

	assert_int_equal(decode_record(record, bytes, &event), 0);
	event.pid = pid;
	event.time_ns = time_ns;
	assert_int_equal(profiler_event(profiler, &event), 0);
}

static void feed_sample(__u64 id, __u64 address, __u32 pid, __u64 time_ns)
{
	sample_make(&sample, id);
	sample_frame(&sample, address, 0);
	feed(&sample, sample.record.h.size, pid, time_ns);
}

static void feed_code(__u64 address, const char *name, __u32 pid, __u64 time_ns)
{
	code_make(&code, CODE_PYTHON, address, name, "/f.py", 1);
	feed(&code, code.record.h.size, pid, time_ns);
}

static void feed_process(enum rec_process_what what, __u32 pid, __u64 time_ns)
{
	struct rec_process record = {.h = make_header(REC_PROCESS, sizeof(record)), .what = what};

	feed(&record, sizeof(record), pid, time_ns);
}

static void request_end(__u64 id, __u32 pid, bool passes)
{
	struct request request = {.id = id, .pid = pid};

	assert_int_equal(profiler_request(profiler, &request, passes), 0);
}

/* Samples booked under a name so far; -1: there is no such function. */
static int booked(const char *name)
{
	int samples = -1;

	for (uint32_t i = 1; i < profile->node_count; i++) {
		const struct profile_node *node = &profile->nodes[i];

		if (!strcmp(profile->functions[node->function].name.ptr, name))
			samples = (samples < 0 ? 0 : samples) + (int)node->self[0].samples;
	}
	return samples;
}

static void settle(void)
{
	assert_int_equal(profiler_settle(profiler), 0);
}

static void check_notes(const char *part)
{
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	profiler_notes(profiler, out);
	fclose(out);
	if (!strstr(text, part))
		fail_msg("no '%s' in: %s", part, text);
	free(text);
}

static void test_waits_for_the_end(void **state)
{
	feed_code(1, "f", 7, 1);
	feed_sample(5, 1, 7, 2);
	settle();
	assert_int_equal(booked("f"), -1);
	request_end(5, 7, true);
	settle();
	assert_int_equal(booked("f"), 1);
}

static void test_filtered(void **state)
{
	feed_code(1, "f", 7, 1);
	feed_sample(5, 1, 7, 2);
	feed_sample(5, 1, 8, 2); /* the same number in another process */
	request_end(5, 7, false);
	request_end(5, 8, true);
	settle();
	assert_int_equal(booked("f"), 1);
	check_notes("not shown: 1 of requests that were filtered out");
}

/* A name that comes after the request's end still counts; for so long it is waited for. */
static void test_late_name(void **state)
{
	feed_sample(5, 1, 7, 1000);
	request_end(5, 7, true);
	feed_sample(6, 2, 7, 1000);
	request_end(6, 7, true);
	settle();
	assert_int_equal(profile->node_count, 1);
	feed_code(1, "late", 7, 900000000);
	settle();
	assert_int_equal(booked("late"), 1);
	settle();
	assert_int_equal(profile->node_count, 2);
	feed_code(3, "other", 7, 2000001000); /* the clock goes on */
	settle();
	assert_int_equal(booked("[no name: it never came]"), 1);
	check_notes("incomplete: frames 1 [no name: it never came]");
}

/* At the end all that is left is booked, also of requests that have not ended. */
static void test_end(void **state)
{
	feed_sample(5, 1, 7, 1);
	feed_sample(6, 1, 7, 1);
	request_end(5, 7, true);
	feed_code(1, "f", 7, 2);
	assert_int_equal(profiler_end(profiler), 0);
	assert_int_equal(booked("f"), 2);
	check_notes("shown of requests that had not ended: 1");
}

/* Of a request that has not ended it is not known whether a filter would pass it. */
static void test_end_with_a_filter(void **state)
{
	config.method = "GET";
	feed_code(1, "f", 7, 2);
	feed_sample(5, 1, 7, 1);
	assert_int_equal(profiler_end(profiler), 0);
	assert_int_equal(booked("f"), -1);
	check_notes("not shown: 1 of requests that had not ended");
}

static void test_exec_changes_names(void **state)
{
	feed_code(1, "before", 7, 1);
	feed_sample(5, 1, 7, 2);
	request_end(5, 7, true);
	feed_process(REC_PROCESS_EXEC, 7, 3);
	feed_code(1, "after", 7, 4);
	feed_sample(6, 1, 7, 5);
	request_end(6, 7, true);
	settle();
	assert_int_equal(booked("before"), 1);
	assert_int_equal(booked("after"), 1);
}

/* The last request of a worker that has died comes after its exit. */
static void test_exit_keeps_names_for_a_while(void **state)
{
	code_make(&code, CODE_PYTHON, 1, "f", "/f.py", 1);
	code.record.fingerprint = 0; /* so that no other process can lend its name */
	feed(&code, code.record.h.size, 7, 1);
	for (__u64 id = 5; id < 7; id++) {
		sample_make(&sample, id);
		sample_frame(&sample, 1, 0);
		sample.frames[0].fingerprint = 0;
		feed(&sample, sample.record.h.size, 7, 2);
	}
	feed_process(REC_PROCESS_EXIT, 7, 3);
	settle();
	request_end(5, 7, true);
	settle();
	assert_int_equal(booked("f"), 1);
	for (unsigned int i = 0; i < 300; i++) /* more than there is room for */
		feed_process(REC_PROCESS_EXIT, 1000 + i, 9000000000);
	settle();
	request_end(6, 7, true);
	assert_int_equal(profiler_end(profiler), 0);
	assert_int_equal(booked("[no name: it never came]"), 1);
}

static void test_outside(void **state)
{
	feed_code(1, "f", 7, 1);
	feed_sample(0, 1, 7, 2);
	settle();
	assert_int_equal(booked("f"), -1);
	check_notes("not shown: 1 outside of requests (--outside shows them)");
	config.outside = true;
	feed_sample(0, 1, 7, 2);
	feed_sample(5, 1, 7, 2);
	request_end(5, 7, true);
	settle();
	assert_int_equal(booked("f"), 1);
	check_notes("not shown: 1 within requests");
}

/* What the kernel side did not even take is told apart from what came and is not shown. */
static void test_not_sampled(void **state)
{
	struct rec_counters record = {.h = make_header(REC_COUNTERS, sizeof(record))};

	record.events[EVENT_WAIT_UNASKED] = 11;
	feed(&record, sizeof(record), 7, 1);
	record.events[EVENT_WAIT_UNASKED] = 12; /* so far, not more */
	feed(&record, sizeof(record), 7, 2);
	check_notes("samples: 0, shown: 0");
	check_notes("not sampled: 12 waits outside of requests (--outside shows them)");
}

static void test_running_and_waiting(void **state)
{
	static const struct {
		bool off_cpu, wall;
		int running, waiting;
	} cases[] = {{false, false, 1, -1}, {true, false, -1, 1}, {false, true, 1, 1}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		teardown(NULL);
		setup(NULL);
		config.off_cpu = cases[i].off_cpu;
		config.wall = cases[i].wall;
		feed_code(1, "f", 7, 1);
		feed_sample(5, 1, 7, 2);
		sample_wait(&sample, STATE_GIL, 77);
		feed(&sample, sample.record.h.size, 7, 3);
		request_end(5, 7, true);
		settle();
		assert_int_equal(booked("[gil]"), cases[i].waiting);
		assert_int_equal(booked("f"), cases[i].running > 0 ? 1 : 0);
	}
}

static void test_describe(void **state)
{
	struct profile_about about = {0};

	config.off_cpu = true;
	feed_sample(5, 1, 7, 1000000000);
	feed_sample(5, 1, 7, 3000000000);
	request_end(5, 7, true);
	profiler_describe(profiler, &about);
	assert_true(about.waits && !about.cpu);
	assert_int_equal(about.requests[0], 1);
	assert_int_equal(about.time_ns, 1000000000);
	assert_int_equal(about.duration_ns, 2000000000);
	assert_int_equal(about.period_ns, 10 * MS);
}

/* More than the queue may hold of stacks whose names do not come. */
static void test_queue_is_bounded(void **state)
{
	for (unsigned int i = 0; i < 12000; i++) {
		sample_make(&sample, 5);
		for (unsigned int frame = 0; frame < STACK_PYTHON_MAX; frame++)
			sample_frame(&sample, 1 + frame % 3, 0);
		feed(&sample, sample.record.h.size, 7, 1);
		request_end(5, 7, true);
	}
	assert_true(profile->nodes[STACK_PYTHON_MAX].self[0].samples > 1000);
	assert_int_equal(profiler_end(profiler), 0);
	assert_int_equal(profile->nodes[STACK_PYTHON_MAX].self[0].samples, 12000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits_for_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filtered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_with_a_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec_changes_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exit_keeps_names_for_a_while, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_sampled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_running_and_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_describe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
