/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Context switches: two threads of this process that share its one CPU and wait for each other in
 * turn. Times them; must not know who is attached.
 *
 * What a tracer does at a switch is charged to the thread that runs next, and wall time has other
 * processes in it: the CPU time of the whole process has all of the one and nothing of the other.
 */
#include "ext.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WARM_UP_TRIPS 20 /* the other thread is new: what its making costs is not timed */

enum turn { TURN_ASKER, TURN_ANSWERER, TURN_OVER };

struct pingpong {
	int (*ask)(struct pingpong *p);	   /* asks and waits for the answer: 0 or -errno */
	int (*answer)(struct pingpong *p); /* the other way round */
	int question[2], reply[2];	   /* pipes */
	int turn;			   /* enum turn, a futex */
};

static int pipe_ask(struct pingpong *p)
{
	char byte = 'x';

	if (write(p->question[1], &byte, 1) != 1 || read(p->reply[0], &byte, 1) != 1)
		return -EPIPE;
	return 0;
}

static int pipe_answer(struct pingpong *p)
{
	char byte;

	if (read(p->question[0], &byte, 1) != 1 || write(p->reply[1], &byte, 1) != 1)
		return -EPIPE;
	return 0;
}

static void turn_give(struct pingpong *p, enum turn to)
{
	__atomic_store_n(&p->turn, to, __ATOMIC_RELEASE);
	syscall(SYS_futex, &p->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Until it is no longer the other's turn; whose it is then. */
static int turn_wait(struct pingpong *p, int other)
{
	int turn;

	while ((turn = __atomic_load_n(&p->turn, __ATOMIC_ACQUIRE)) == other)
		syscall(SYS_futex, &p->turn, FUTEX_WAIT_PRIVATE, other, NULL, NULL, 0);
	return turn;
}

static int futex_ask(struct pingpong *p)
{
	turn_give(p, TURN_ANSWERER);
	turn_wait(p, TURN_ANSWERER);
	return 0;
}

static int futex_answer(struct pingpong *p)
{
	if (turn_wait(p, TURN_ASKER) == TURN_OVER)
		return -EPIPE;
	turn_give(p, TURN_ASKER);
	return 0;
}

static void *answerer(void *arg)
{
	struct pingpong *p = arg;

	while (!p->answer(p))
		;
	return NULL;
}

static long switches_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

static int trips_make(struct pingpong *p, Py_ssize_t n)
{
	int err = 0;

	for (Py_ssize_t i = 0; i < n && !err; i++)
		err = p->ask(p);
	return err;
}

/* The number of switches in the stretch, or -errno. */
static long pingpong_time(struct pingpong *p, Py_ssize_t n, struct stretch *stretch)
{
	int err = trips_make(p, WARM_UP_TRIPS);
	long before = switches_so_far();

	stretch->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	stretch->wall_ns = clock_ns(CLOCK_MONOTONIC);
	if (!err)
		err = trips_make(p, n);
	stretch->wall_ns = clock_ns(CLOCK_MONOTONIC) - stretch->wall_ns;
	stretch->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - stretch->cpu_ns;
	return err ? err : switches_so_far() - before;
}

static void pipes_close(struct pingpong *p)
{
	for (int i = 0; i < 2; i++) {
		if (p->question[i] >= 0)
			close(p->question[i]);
		if (p->reply[i] >= 0)
			close(p->reply[i]);
		p->question[i] = -1;
		p->reply[i] = -1;
	}
}

/* As pingpong_time(), with the other thread made and ended. */
static long pingpong_run(struct pingpong *p, Py_ssize_t n, struct stretch *stretch)
{
	pthread_t thread;
	long switches;
	int err;

	if (pipe(p->question) || pipe(p->reply))
		return -errno;
	err = pthread_create(&thread, NULL, answerer, p);
	if (err)
		return -err;
	switches = pingpong_time(p, n, stretch);
	turn_give(p, TURN_OVER);
	close(p->question[1]);
	p->question[1] = -1;
	pthread_join(thread, NULL);
	return switches;
}

PyObject *bench_switches(PyObject *self, PyObject *args)
{
	struct pingpong p = {.question = {-1, -1}, .reply = {-1, -1}, .turn = TURN_ASKER};
	unsigned long long start_mark, end_mark;
	struct wsgiscope_request request;
	struct stretch stretch;
	const char *way;
	Py_ssize_t n;
	long switches;
	bool by_futex;

	if (!PyArg_ParseTuple(args, "snKK", &way, &n, &start_mark, &end_mark))
		return NULL;
	by_futex = !strcmp(way, "futex");
	p.ask = by_futex ? futex_ask : pipe_ask;
	p.answer = by_futex ? futex_answer : pipe_answer;
	request_fill(&request, 1, -1, "/bench");
	if (start_mark)
		((start_mark_fn *)(uintptr_t)start_mark)(&request, request.id, request.start_ns,
							 request.fd);
	switches = pingpong_run(&p, n, &stretch);
	request.end_ns = clock_ns(CLOCK_MONOTONIC);
	if (end_mark)
		((mark_fn *)(uintptr_t)end_mark)(&request);
	pipes_close(&p);
	if (switches <= 0) {
		errno = switches ? (int)-switches : ENODATA;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	return stretch_tuple(&stretch, switches);
}
