// LINK: user/python/remote.c user/standstill.c user/memory.c user/proc.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * remote.c and standstill.c against a child whose memory is made to look like a Python, and like a
 * broken or hostile one. The real one is tests/pythons/check_mark.py's.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python/remote.h"
#include "standstill.h"
#include "unit.h"

#define VERSION	      0x030e04f0u
#define RUNTIME_BYTES 4096
#define INTERP_BYTES  2048
#define THREAD_BYTES  1024
#define SCRIPT_BYTES  512
#define THREADS	      4
#define RANDOM_ROUNDS 100000

/* Where the image has it. */
enum {
	RUNTIME_HEAD = 808,
	INTERP_ID = 16,
	INTERP_NEXT = 24,
	INTERP_MAIN = 32,
	INTERP_ENABLED = 44,
	THREAD_INTERP = 16,
	THREAD_BREAKER = 24,
	SUPPORT = 304,
	PENDING = 0,
	SCRIPT = 4,
};

/* Shared with the child, at the same address there. */
struct image {
	uint8_t runtime[RUNTIME_BYTES];
	uint8_t interps[2][INTERP_BYTES]; /* [1] is the main one, the oldest */
	uint8_t thread[THREAD_BYTES];
	_Atomic uint64_t counters[THREADS];
};

static struct image *image;
static pid_t child;

static void put(uint8_t *at, uint64_t number)
{
	memcpy(at, &number, sizeof(number));
}

static void put_int(uint8_t *at, int32_t number)
{
	memcpy(at, &number, sizeof(number));
}

static void image_make(void)
{
	uint8_t *head = image->runtime;

	memset(image, 0, sizeof(*image));
	memcpy(head, "xdebugpy", 8);
	put(head + 8, VERSION);
	put(head + 24, RUNTIME_BYTES);
	put(head + 40, RUNTIME_HEAD);
	put(head + 48, INTERP_BYTES);
	put(head + 56, INTERP_ID);
	put(head + 64, INTERP_NEXT);
	put(head + 80, INTERP_MAIN);
	put(head + 176, THREAD_BYTES);
	put(head + 200, THREAD_INTERP);
	put(head + 712, THREAD_BREAKER);
	put(head + 720, SUPPORT);
	put(head + 728, INTERP_ENABLED);
	put(head + 736, PENDING);
	put(head + 744, SCRIPT);
	put(head + 752, SCRIPT_BYTES);
	put(image->runtime + RUNTIME_HEAD, (uintptr_t)image->interps[0]);
	put(image->interps[0] + INTERP_ID, 1);
	put(image->interps[0] + INTERP_NEXT, (uintptr_t)image->interps[1]);
	put(image->interps[1] + INTERP_MAIN, (uintptr_t)image->thread);
	put_int(image->interps[1] + INTERP_ENABLED, 1);
	put(image->thread + THREAD_INTERP, (uintptr_t)image->interps[1]);
	put(image->thread + THREAD_BREAKER, 0x700);
}

static struct python_location location(void)
{
	return (struct python_location){.runtime = (uintptr_t)image->runtime, .version = VERSION};
}

static int32_t pending(void)
{
	int32_t number;

	memcpy(&number, image->thread + SUPPORT + PENDING, sizeof(number));
	return number;
}

static uint64_t breaker(void)
{
	uint64_t number;

	memcpy(&number, image->thread + THREAD_BREAKER, sizeof(number));
	return number;
}

static enum remote_verdict ask(struct remote_request *request)
{
	const struct python_location where = location();
	enum remote_verdict verdict;

	assert_int_equal(remote_ask(child, &where, "/tmp/script.py", request, &verdict), 0);
	return verdict;
}

static void test_asks_and_withdraws(void **state)
{
	struct remote_request request;

	image_make();
	assert_int_equal(ask(&request), REMOTE_ASKED);
	assert_int_equal(pending(), 1);
	assert_int_equal(breaker(), 0x720);
	assert_string_equal((char *)image->thread + SUPPORT + SCRIPT, "/tmp/script.py");
	assert_int_equal(ask(&request), REMOTE_BUSY);
	request.thread = (uintptr_t)image->thread;
	assert_int_equal(remote_withdraw(&request, "/tmp/other.py"), 1);
	assert_int_equal(pending(), 1);
	assert_int_equal(remote_withdraw(&request, "/tmp/script.py"), 0);
	assert_int_equal(pending(), 0);
	assert_int_equal(remote_withdraw(&request, "/tmp/script.py"), 1);
}

static void test_refuses(void **state)
{
	struct remote_request request;

	image_make();
	put_int(image->interps[1] + INTERP_ENABLED, 0);
	assert_int_equal(ask(&request), REMOTE_DISABLED);
	image_make();
	put(image->runtime + 8, 0x030d04f0);
	assert_int_equal(ask(&request), REMOTE_OLD);
	image_make();
	image->runtime[0] = 'y';
	assert_int_equal(ask(&request), REMOTE_OLD);
	image_make();
	put(image->thread + THREAD_INTERP, (uintptr_t)image->interps[0]);
	assert_int_equal(ask(&request), REMOTE_ODD);
	image_make();
	put_int(image->thread + SUPPORT + PENDING, 77);
	assert_int_equal(ask(&request), REMOTE_ODD);
	image_make();
	put(image->interps[1] + INTERP_MAIN, 0);
	assert_int_equal(ask(&request), REMOTE_ODD);
	image_make();
	put(image->interps[0] + INTERP_NEXT, (uintptr_t)image->interps[0]);
	assert_int_equal(ask(&request), REMOTE_ODD);
	image_make();
	put(image->runtime + RUNTIME_HEAD, 8);
	assert_int_equal(ask(&request), REMOTE_ODD);
	assert_int_equal(pending(), 0);
	assert_int_equal(breaker(), 0x700);
}

/* Each number of the debug offsets that is out of its structure is found out. */
static void test_offsets_are_checked(void **state)
{
	static const uint16_t numbers[] = {24,	40,  48,  56,  64,  80,	 176,
					   200, 712, 720, 728, 736, 744, 752};
	static const uint64_t wrong[] = {UINT64_MAX, UINT64_MAX - 7, 1 << 21, INT64_MAX, 1u << 31};
	struct remote_offsets offsets;

	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		for (size_t j = 0; j < COUNT_OF(wrong); j++) {
			image_make();
			put(image->runtime + numbers[i], wrong[j]);
			assert_int_equal(remote_offsets_find(image->runtime, &offsets), -EBADMSG);
		}
	image_make();
	put(image->runtime + 712, THREAD_BREAKER + 4);
	assert_int_equal(remote_offsets_find(image->runtime, &offsets), -EBADMSG);
	image_make();
	put(image->runtime + 744, THREAD_BYTES - SUPPORT - SCRIPT_BYTES + 1);
	assert_int_equal(remote_offsets_find(image->runtime, &offsets), -EBADMSG);
	image_make();
	put(image->runtime + 752, 16);
	assert_int_equal(remote_offsets_find(image->runtime, &offsets), -EBADMSG);
}

/* Whatever stands there: it is refused, or what is written stays inside the thread's state. */
static void test_random_offsets(void **state)
{
	struct remote_offsets at;

	srandom(1);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		image_make();
		for (int i = 0; i < 3; i++) {
			uint64_t number = (uint64_t)random() << (random() % 34) >> (random() % 28);

			put(image->runtime + 8 * (3 + random() % 92), number);
		}
		if (remote_offsets_find(image->runtime, &at))
			continue;
		assert_true(at.script_bytes <= 4096 &&
			    at.thread_script + at.script_bytes <= 1 << 20);
		assert_true(at.thread_pending + 4u <= 1 << 20 && at.thread_pending % 4 == 0);
		assert_true(at.thread_breaker + 8u <= 1 << 20 && at.thread_breaker % 8 == 0);
	}
}

static void test_path_too_long(void **state)
{
	const struct python_location where = location();
	struct remote_request request;
	enum remote_verdict verdict;
	char path[SCRIPT_BYTES + 1];

	image_make();
	memset(path, 'a', sizeof(path));
	path[SCRIPT_BYTES] = '\0';
	assert_int_equal(remote_ask(child, &where, path, &request, &verdict), -ENAMETOOLONG);
	path[SCRIPT_BYTES - 1] = '\0';
	assert_int_equal(remote_ask(child, &where, path, &request, &verdict), 0);
	assert_int_equal(verdict, REMOTE_ASKED);
}

static uint64_t counted(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < THREADS; i++)
		sum += image->counters[i];
	return sum;
}

static void test_all_threads_stand_still_and_go_on(void **state)
{
	image_make();
	for (int round = 0; round < 50; round++) {
		struct standstill *still;
		uint64_t before, after;

		assert_int_equal(standstill_begin(child, &still), 0);
		before = counted();
		usleep(2000);
		after = counted();
		standstill_end(still);
		assert_int_equal(before, after);
		for (int i = 0; i < 2000 && counted() == before; i++)
			usleep(1000);
		assert_true(counted() > before);
	}
}

static void test_no_signal_is_lost(void **state)
{
	for (int round = 1; round <= 100; round++) {
		struct standstill *still;

		kill(child, SIGUSR1);
		assert_int_equal(standstill_begin(child, &still), 0);
		standstill_end(still);
		for (int i = 0; i < 2000 && image->runtime[RUNTIME_BYTES - 1] != round; i++)
			usleep(1000);
		assert_int_equal(image->runtime[RUNTIME_BYTES - 1], round);
	}
}

static void test_gone(void **state)
{
	struct standstill *still;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(standstill_begin(pid, &still), -ESRCH);
	standstill_end(NULL);
}

static void signal_count(int number)
{
	image->runtime[RUNTIME_BYTES - 1]++;
}

static void *thread_count(void *context)
{
	_Atomic uint64_t *counter = context;

	for (;;) {
		++*counter;
		usleep(100);
	}
	return NULL;
}

static void child_run(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, signal_count);
	for (int i = 1; i < THREADS; i++)
		pthread_create(&thread, NULL, thread_count, (void *)&image->counters[i]);
	thread_count((void *)&image->counters[0]);
}

static int child_start(void **state)
{
	image = mmap(NULL, sizeof(*image), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (image == MAP_FAILED)
		return -1;
	child = fork();
	if (!child)
		child_run();
	while (child > 0 && !image->counters[THREADS - 1])
		usleep(1000);
	return child > 0 ? 0 : -1;
}

static int child_end(void **state)
{
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_signal_is_lost),
		cmocka_unit_test(test_asks_and_withdraws),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_offsets_are_checked),
		cmocka_unit_test(test_random_offsets),
		cmocka_unit_test(test_path_too_long),
		cmocka_unit_test(test_all_threads_stand_still_and_go_on),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, child_start, child_end);
}
