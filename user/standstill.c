/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the threads that it has stopped, and what each is to get when it goes on: a signal that came
 * just then is handed back. Must not know what the standstill is for.
 */
#include "standstill.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "proc.h"

#define THREADS_MAX 4096
#define WAIT_MS	    500 /* for all threads together */

struct thread {
	pid_t tid;
	int signal; /* that it stopped by, to be handed back; 0: none */
	bool stopped;
};

struct standstill {
	size_t count;
	struct thread threads[THREADS_MAX];
};

static struct thread *thread_find(struct standstill *still, pid_t tid)
{
	for (size_t i = 0; i < still->count; i++)
		if (still->threads[i].tid == tid)
			return &still->threads[i];
	return NULL;
}

/* Whether it has stopped by now. A stop of its own, by a signal, does as well. */
static bool thread_has_stopped(struct thread *thread)
{
	int status;
	pid_t pid = waitpid(thread->tid, &status, __WALL | WNOHANG);

	if (!pid)
		return false;
	thread->stopped = pid > 0 && WIFSTOPPED(status);
	if (thread->stopped && status >> 16 != PTRACE_EVENT_STOP)
		thread->signal = WSTOPSIG(status);
	return true; /* or it has ended */
}

static int thread_await(struct thread *thread, unsigned int *left_ms)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (unsigned int turn = 0; !thread_has_stopped(thread); turn++) {
		if (turn < 100)
			continue; /* it mostly stops at once */
		if (!*left_ms)
			return -ETIMEDOUT;
		--*left_ms;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int thread_stop(struct standstill *still, pid_t tid, unsigned int *left_ms)
{
	struct thread *thread = &still->threads[still->count];

	if (still->count == THREADS_MAX)
		return -E2BIG;
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return errno == ESRCH ? 0 : -errno;
	*thread = (struct thread){.tid = tid};
	still->count++;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) && errno != ESRCH)
		return -errno;
	return thread_await(thread, left_ms);
}

/* Stops those that are not yet. How many, or -errno. */
static int threads_stop(struct standstill *still, pid_t pid, unsigned int *left_ms)
{
	pid_t *tids = NULL;
	int count = proc_threads(pid, &tids), stopped = 0, err = 0;

	for (int i = 0; i < count && !err; i++) {
		if (thread_find(still, tids[i]))
			continue;
		err = thread_stop(still, tids[i], left_ms);
		stopped++;
	}
	free(tids);
	if (count <= 0)
		return count ? count : -ESRCH;
	return err ? err : stopped;
}

int standstill_begin(pid_t pid, struct standstill **out)
{
	struct standstill *still = calloc(1, sizeof(*still));
	unsigned int left_ms = WAIT_MS;
	int stopped = 1;

	if (!still)
		return -ENOMEM;
	/* A thread that was still running may have made another. */
	while (stopped > 0)
		stopped = threads_stop(still, pid, &left_ms);
	if (stopped < 0) {
		standstill_end(still);
		return stopped;
	}
	*out = still;
	return 0;
}

void standstill_end(struct standstill *still)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (size_t i = 0; still && i < still->count; i++) {
		struct thread *thread = &still->threads[i];

		/* One that was given up must stop to be let go; our end would do it as well. */
		for (int turn = 0; !thread->stopped && turn < 100; turn++) {
			if (thread_has_stopped(thread))
				break;
			nanosleep(&pause, NULL);
		}
		ptrace(PTRACE_DETACH, thread->tid, NULL, (void *)(long)thread->signal);
	}
	free(still);
}
