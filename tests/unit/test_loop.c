/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ends a run, and that the source is always brought to its end.
 */
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "unit.h"

/* A source that hands out empty records and notes what was asked of it. */
struct fake {
	struct source source; /* first */
	int fd;
	int dispatch_result; /* after the record */
	unsigned int dispatches, ticks, finishes;
	int raise; /* a signal to raise in the first dispatch, 0: none */
};

static int fake_fd(struct source *source)
{
	return ((struct fake *)source)->fd;
}

static int fake_dispatch(struct source *source, source_record_fn fn, void *context)
{
	struct fake *fake = (struct fake *)source;
	int error = fn(context, "", 0);

	if (fake->raise && !fake->dispatches)
		raise(fake->raise);
	fake->dispatches++;
	return error ? error : fake->dispatch_result;
}

static int fake_tick(struct source *source, source_record_fn fn, void *context)
{
	((struct fake *)source)->ticks++;
	return 0;
}

static int fake_finish(struct source *source, source_record_fn fn, void *context)
{
	((struct fake *)source)->finishes++;
	return fn(context, "", 0);
}

static const struct source_ops fake_ops = {
	.fd = fake_fd, .dispatch = fake_dispatch, .tick = fake_tick, .finish = fake_finish};

struct client {
	unsigned int records, batches;
	int answer, batch_answer;
};

static int client_record(void *context, const void *record, size_t bytes)
{
	struct client *client = context;

	client->records++;
	return client->answer;
}

static int client_batch(void *context)
{
	struct client *client = context;

	client->batches++;
	return client->batch_answer;
}

static int run(struct fake *fake, struct client *client, double duration_s, int peer)
{
	struct loop_client loop_client = {client_record, client_batch, client};
	struct loop *loop;
	int error;

	fake->source.ops = &fake_ops;
	assert_int_equal(loop_new(&loop), 0);
	if (peer >= 0)
		loop_watch_peer(loop, peer);
	error = loop_run(loop, &fake->source, &loop_client, duration_s);
	loop_free(loop);
	assert_int_equal(fake->finishes, 1);
	assert_true(client->batches >= 1);
	return error;
}

static void test_source_ends(void **state)
{
	struct fake fake = {.fd = -1};
	struct client client = {0};

	assert_int_equal(run(&fake, &client, 0, -1), 0);
	assert_int_equal(fake.dispatches, 1);
	assert_int_equal(client.records, 2); /* one dispatched, one at the end */
}

static void test_source_fails(void **state)
{
	struct fake fake = {.fd = -1, .dispatch_result = -ENODATA};
	struct client client = {0};

	assert_int_equal(run(&fake, &client, 0, -1), -ENODATA);
}

static void test_client_has_enough(void **state)
{
	struct fake fake = {.fd = -1, .dispatch_result = 1};
	struct client client = {.answer = -ECANCELED};

	assert_int_equal(run(&fake, &client, 0, -1), 0);
	assert_int_equal(fake.dispatches, 1);
}

static void test_client_fails(void **state)
{
	struct fake fake = {.fd = -1, .dispatch_result = 1};
	struct client client = {.batch_answer = -ENOSPC};

	assert_int_equal(run(&fake, &client, 0, -1), -ENOSPC);
	assert_int_equal(fake.dispatches, 1);
}

/* The loop ends, and the signal does not kill us when it is let through again. */
static void test_signals(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM};

	for (size_t i = 0; i < COUNT_OF(signals); i++) {
		struct fake fake = {.fd = -1, .dispatch_result = 1, .raise = signals[i]};
		struct client client = {0};

		assert_int_equal(run(&fake, &client, 0, -1), 0);
		assert_in_range(fake.dispatches, 1, 2);
	}
}

/* A signal from before the run, while probes are attached: nothing is shown, all is finished. */
static void test_signal_before(void **state)
{
	struct fake fake = {.source.ops = &fake_ops, .fd = eventfd(0, EFD_CLOEXEC)};
	struct client client = {0};
	struct loop_client loop_client = {client_record, client_batch, &client};
	struct loop *loop;

	assert_int_equal(loop_new(&loop), 0);
	raise(SIGTERM);
	assert_int_equal(loop_run(loop, &fake.source, &loop_client, 0), 0);
	loop_free(loop);
	assert_int_equal(fake.dispatches, 0);
	assert_int_equal(fake.finishes, 1);
	close(fake.fd);
}

static void test_duration_and_tick(void **state)
{
	struct fake fake = {.fd = eventfd(0, EFD_CLOEXEC)};
	struct client client = {0};
	struct timespec before, after;
	double took;

	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(run(&fake, &client, 0.35, -1), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	took = (double)(after.tv_sec - before.tv_sec) +
	       (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	assert_true(took >= 0.35 && took < 5);
	assert_in_range(fake.ticks, 1, 50);
	assert_int_equal(fake.dispatches, 0);
	close(fake.fd);
}

static void test_descriptor(void **state)
{
	struct fake fake = {.fd = eventfd(1, EFD_CLOEXEC)}; /* readable: one dispatch, the end */
	struct client client = {0};

	assert_int_equal(run(&fake, &client, 0, -1), 0);
	assert_int_equal(fake.dispatches, 1);
	close(fake.fd);
}

/* Reads its descriptor and answers what it is told to. */
struct watcher {
	int fd, answer;
	unsigned int calls;
};

static int watcher_call(void *context)
{
	struct watcher *watcher = context;
	uint64_t value;

	watcher->calls++;
	(void)!read(watcher->fd, &value, sizeof(value));
	return watcher->answer;
}

/* Two others' descriptors, one of which ends the run; a failure of one is the run's. */
static void test_others(void **state)
{
	static const int answers[] = {-ECANCELED, -EIO};

	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		struct fake fake = {.source.ops = &fake_ops, .fd = eventfd(0, EFD_CLOEXEC)};
		struct watcher quiet = {.fd = eventfd(0, EFD_CLOEXEC)};
		struct watcher called = {.fd = eventfd(1, EFD_CLOEXEC), .answer = answers[i]};
		struct client client = {0};
		struct loop_client loop_client = {client_record, client_batch, &client};
		struct loop *loop;

		assert_int_equal(loop_new(&loop), 0);
		assert_int_equal(loop_add(loop, quiet.fd, watcher_call, &quiet), 0);
		assert_int_equal(loop_add(loop, called.fd, watcher_call, &called), 0);
		assert_int_equal(loop_run(loop, &fake.source, &loop_client, 0),
				 answers[i] == -ECANCELED ? 0 : answers[i]);
		loop_free(loop);
		assert_int_equal(called.calls, 1);
		assert_int_equal(quiet.calls, 0);
		assert_int_equal(fake.finishes, 1);
		close(fake.fd);
		close(quiet.fd);
		close(called.fd);
	}
}

/* More than there is room for is refused, not forgotten. */
static void test_too_many_others(void **state)
{
	struct watcher watcher = {.fd = -1};
	struct loop *loop;
	int fds[32], error = 0, count = 0;

	assert_int_equal(loop_new(&loop), 0);
	while (!error && count < (int)COUNT_OF(fds)) {
		fds[count] = eventfd(0, EFD_CLOEXEC);
		error = loop_add(loop, fds[count++], watcher_call, &watcher);
	}
	assert_int_equal(error, -ENOSPC);
	while (count)
		close(fds[--count]);
	loop_free(loop);
}

/* SIGHUP calls; it neither ends the run nor, afterwards, the program. */
static void test_hangup(void **state)
{
	struct fake fake = {.source.ops = &fake_ops, .fd = eventfd(0, EFD_CLOEXEC)};
	struct watcher watcher = {.fd = -1, .answer = 0};
	struct client client = {0};
	struct loop_client loop_client = {client_record, client_batch, &client};
	struct loop *loop;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_on_hangup(loop, watcher_call, &watcher), 0);
	raise(SIGHUP);
	assert_int_equal(loop_run(loop, &fake.source, &loop_client, 0.2), 0);
	assert_int_equal(watcher.calls, 1);
	assert_true(fake.ticks >= 1); /* it went on */
	raise(SIGHUP);
	loop_free(loop);
	close(fake.fd);
}

/* The reader of a pipe goes while nothing happens. */
static void test_peer(void **state)
{
	struct fake fake = {.fd = eventfd(0, EFD_CLOEXEC)};
	struct client client = {0};
	int pipe_fds[2];

	assert_int_equal(pipe(pipe_fds), 0);
	close(pipe_fds[0]);
	assert_int_equal(run(&fake, &client, 0, pipe_fds[1]), 0);
	assert_int_equal(fake.dispatches, 0);
	close(pipe_fds[1]);
	close(fake.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source_ends),
		cmocka_unit_test(test_source_fails),
		cmocka_unit_test(test_client_has_enough),
		cmocka_unit_test(test_client_fails),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_signal_before),
		cmocka_unit_test(test_duration_and_tick),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_too_many_others),
		cmocka_unit_test(test_hangup),
		cmocka_unit_test(test_peer),
	};

	log_level_set(LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
