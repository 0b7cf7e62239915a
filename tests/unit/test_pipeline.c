/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run as a whole, between a source and a sink that are made up: what is counted, what ends it,
 * what it says of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "loop.h"
#include "pipeline.h"
#include "record_make.h"
#include "request.h"
#include "sink.h"
#include "source.h"
#include "unit.h"

#define REQUESTS 5

/* Hands out REQUESTS requests of 10, 20 … ms, one undecodable record, and the counts. */
static int fake_fd(struct source *source)
{
	return -1;
}

static int fake_dispatch(struct source *source, source_record_fn fn, void *context)
{
	struct rec_header broken = make_header(99, sizeof(broken));
	int error = fn(context, &broken, sizeof(broken));

	for (__u64 i = 1; i <= REQUESTS && !error; i++) {
		struct rec_request record = make_request(i);

		record.end_ns = record.start_ns + i * 10 * MS;
		record.h.time_ns = record.end_ns;
		make_latin1(&record, STR_PATH, i % 2 ? "/odd" : "/even");
		make_finish(&record);
		error = fn(context, &record, record.h.size);
	}
	return error;
}

static int fake_finish(struct source *source, source_record_fn fn, void *context)
{
	struct rec_request late = make_request(99);
	struct rec_counters counters = {.h = make_header(REC_COUNTERS, sizeof(counters))};
	int error;

	counters.drops[DROP_RING_FULL] = 3;
	counters.drops[DROP_STREAM] = 4;
	make_finish(&late);
	error = fn(context, &late, late.h.size);
	return error ? error : fn(context, &counters, sizeof(counters));
}

static const struct source_ops fake_ops = {
	.fd = fake_fd, .dispatch = fake_dispatch, .finish = fake_finish};

/* Notes what it got. */
static struct {
	unsigned int requests, ends, closes;
	uint64_t last_id;
	int open_answer, answer; /* to on_request */
	bool write_much;
	bool counted;
	uint64_t totals_requests, totals_shown, ring_full, stream;
} seen;

static int fake_open(const struct config *config, FILE *out, void **state)
{
	*state = out;
	return seen.open_answer;
}

static int fake_request(void *state, const struct request *request)
{
	FILE *out = state;

	seen.requests++;
	seen.last_id = request->id;
	if (seen.write_much)
		fprintf(out, "%100000d", 1);
	return seen.answer;
}

static int fake_end(void *state, const struct request_totals *totals)
{
	seen.ends++;
	seen.counted = totals->counted;
	seen.totals_requests = totals->requests;
	seen.totals_shown = totals->shown;
	for (const struct request_count *loss = totals->losses; loss->name; loss++) {
		if (!strcmp(loss->name, "ring_full"))
			seen.ring_full = loss->value;
		if (!strcmp(loss->name, "stream"))
			seen.stream = loss->value;
	}
	return 0;
}

static void fake_close(void *state)
{
	seen.closes++;
}

static const struct sink fake_sink = {"fake", fake_open, fake_request, NULL, fake_end, fake_close};

static int run(struct config config, const char *out_path)
{
	struct source source = {.ops = &fake_ops};
	int fd = open(out_path, O_WRONLY | O_CLOEXEC), error;
	struct loop *loop;

	assert_true(fd >= 0);
	assert_int_equal(loop_new(&loop), 0);
	error = pipeline_run(&config, loop, &source, &fake_sink, fd, NULL);
	loop_free(loop);
	close(fd);
	return error;
}

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	log_level_set(LOG_LEVEL_NONE);
	return 0;
}

static void test_whole(void **state)
{
	assert_int_equal(run((struct config){0}, "/dev/null"), 0);
	assert_int_equal(seen.requests, REQUESTS + 1);
	assert_int_equal(seen.ends, 1);
	assert_int_equal(seen.closes, 1);
	assert_true(seen.counted);
	assert_int_equal(seen.totals_requests, REQUESTS + 1);
	assert_int_equal(seen.totals_shown, REQUESTS + 1);
	assert_int_equal(seen.ring_full, 3);
	assert_int_equal(seen.stream, 5); /* the kernel side's four and the one seen here */
}

static void test_count(void **state)
{
	assert_int_equal(run((struct config){.count = 2}, "/dev/null"), 0);
	assert_int_equal(seen.requests, 2);
	assert_int_equal(seen.last_id, 2);
	assert_int_equal(seen.totals_shown, 2);
	assert_true(seen.counted); /* the counts come after what is shown */
	assert_int_equal(seen.ring_full, 3);
}

static void test_filter(void **state)
{
	assert_int_equal(run((struct config){.min_ms = 25, .path_glob = "/odd"}, "/dev/null"), 0);
	assert_int_equal(seen.requests, 2); /* 30 and 50 ms */
	assert_int_equal(seen.totals_requests, REQUESTS + 1);
	assert_int_equal(seen.totals_shown, 2);
}

static void test_sink_fails(void **state)
{
	seen.answer = -ENOMEM;
	assert_int_equal(run((struct config){0}, "/dev/null"), -ENOMEM);
	assert_int_equal(seen.ends, 1);
	assert_int_equal(seen.closes, 1);
}

static void test_sink_ends_in_peace(void **state)
{
	seen.answer = -EPIPE;
	assert_int_equal(run((struct config){0}, "/dev/null"), 0);
	assert_int_equal(seen.closes, 1);
}

static void test_sink_does_not_open(void **state)
{
	seen.open_answer = -ENOMEM;
	assert_int_equal(run((struct config){0}, "/dev/null"), -ENOMEM);
	assert_int_equal(seen.requests, 0);
}

static void test_full_output(void **state)
{
	seen.write_much = true;
	assert_int_equal(run((struct config){0}, "/dev/full"), -ENOSPC);
	assert_int_equal(seen.ends, 0); /* there is nowhere to put a footer */
	assert_int_equal(seen.closes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_whole, setup),
		cmocka_unit_test_setup(test_count, setup),
		cmocka_unit_test_setup(test_filter, setup),
		cmocka_unit_test_setup(test_sink_fails, setup),
		cmocka_unit_test_setup(test_sink_ends_in_peace, setup),
		cmocka_unit_test_setup(test_sink_does_not_open, setup),
		cmocka_unit_test_setup(test_full_output, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
