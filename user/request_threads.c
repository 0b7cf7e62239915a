/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the processes, the threads and the names of applications. Both tables hold only what lives:
 * their size is the kernel's affair. The names are bounded: past the bound they are "other".
 */
#include "request_threads.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "pid_table.h"
#include "request.h"

/* Those of the aggregate, one for all others, one for what has no name. */
#define POOLS_MAX  (AGGREGATE_POOLS_MAX + 2)
#define POOL_NONE  0
#define POOL_OTHER 1
#define NAME_BYTES 128 /* what is longer is not told apart behind it */

struct process {
	pid_t pid;
	unsigned int pool;
	bool is_traced;
	bool has_served;
	struct thread *threads;
};

struct thread {
	pid_t tid;
	unsigned int pool;
	struct process *process;
	struct thread *next; /* of the same process */
};

/*
 * The record of a request may come after that of its thread's end: a request that writes late is
 * kept in the kernel's table, up to ten seconds where the client is slow. So long those that have
 * ended are remembered.
 */
#define ENDED_NS UINT64_C(15000000000)

struct ended {
	pid_t tid;
	uint64_t time_ns;
};

struct request_threads {
	struct pid_table processes, threads;
	struct pid_table ended; /* threads, by their tid */
	struct aggregate_pool pools[POOLS_MAX];
	struct aggregate_pool shown[POOLS_MAX]; /* without what nobody is of */
	char names[POOLS_MAX][NAME_BYTES];
	unsigned int pool_count;
};

struct request_threads *request_threads_new(void)
{
	struct request_threads *threads = calloc(1, sizeof(*threads));

	if (!threads)
		return NULL;
	strcpy(threads->names[POOL_OTHER], "other");
	threads->pools[POOL_OTHER].application =
		(struct request_text){threads->names[POOL_OTHER], strlen("other")};
	threads->pool_count = POOL_OTHER + 1;
	return threads;
}

/* Those that ended before. */
static void ended_forget(struct request_threads *threads, uint64_t before_ns)
{
	struct ended *ended;
	size_t at = 0;

	while ((ended = pid_table_next(&threads->ended, &at)))
		if (ended->time_ns < before_ns)
			free(pid_table_remove(&threads->ended, ended->tid));
}

/* Without memory it is forgotten, and may be counted until its process ends. */
static void ended_remember(struct request_threads *threads, pid_t tid, uint64_t time_ns)
{
	struct ended *ended = pid_table_find(&threads->ended, tid);

	if (!ended) {
		ended = malloc(sizeof(*ended));
		if (!ended || pid_table_add(&threads->ended, tid, ended)) {
			free(ended);
			return;
		}
	}
	*ended = (struct ended){tid, time_ns};
}

static void process_free(struct request_threads *threads, struct process *process)
{
	struct thread *thread, *next;

	for (thread = process->threads; thread; thread = next) {
		next = thread->next;
		free(pid_table_remove(&threads->threads, thread->tid));
	}
	free(process);
}

void request_threads_free(struct request_threads *threads)
{
	struct process *process;
	size_t at = 0;

	if (!threads)
		return;
	while ((process = pid_table_next(&threads->processes, &at)))
		process_free(threads, process);
	while (threads->ended.count)
		ended_forget(threads, UINT64_MAX);
	pid_table_free(&threads->ended);
	pid_table_free(&threads->processes);
	pid_table_free(&threads->threads);
	free(threads);
}

static unsigned int pool_find(struct request_threads *threads, const char *name, size_t bytes)
{
	struct aggregate_pool *pool;

	if (!name || !bytes)
		return POOL_NONE;
	if (bytes > NAME_BYTES)
		bytes = NAME_BYTES;
	for (unsigned int i = POOL_OTHER; i < threads->pool_count; i++) {
		pool = &threads->pools[i];
		if (pool->application.bytes == bytes && !memcmp(threads->names[i], name, bytes))
			return i;
	}
	if (threads->pool_count == POOLS_MAX)
		return POOL_OTHER;
	pool = &threads->pools[threads->pool_count];
	memcpy(threads->names[threads->pool_count], name, bytes);
	pool->application = (struct request_text){threads->names[threads->pool_count], bytes};
	return threads->pool_count++;
}

/* NULL: no memory. */
static struct process *process_get(struct request_threads *threads, pid_t pid)
{
	struct process *process = pid_table_find(&threads->processes, pid);

	if (process || pid <= 0)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process || pid_table_add(&threads->processes, pid, process)) {
		free(process);
		return NULL;
	}
	process->pid = pid;
	return process;
}

static void process_remove(struct request_threads *threads, pid_t pid)
{
	struct process *process = pid_table_remove(&threads->processes, pid);

	if (process)
		process_free(threads, process);
}

static void thread_remove(struct request_threads *threads, pid_t tid)
{
	struct thread *thread = pid_table_remove(&threads->threads, tid);
	struct thread **from;

	if (!thread)
		return;
	for (from = &thread->process->threads; *from != thread; from = &(*from)->next)
		;
	*from = thread->next;
	free(thread);
}

static void thread_end(struct request_threads *threads, const struct event *event)
{
	if (!event->tid)
		return;
	thread_remove(threads, (pid_t)event->tid);
	ended_remember(threads, (pid_t)event->tid, event->time_ns);
}

static struct thread *thread_get(struct request_threads *threads, struct process *process,
				 pid_t tid)
{
	struct thread *thread = pid_table_find(&threads->threads, tid);

	if (thread && thread->process == process)
		return thread;
	if (pid_table_find(&threads->ended, tid))
		return NULL;
	thread_remove(threads, tid); /* its number is another one's by now */
	thread = tid > 0 ? calloc(1, sizeof(*thread)) : NULL;
	if (!thread || pid_table_add(&threads->threads, tid, thread)) {
		free(thread);
		return NULL;
	}
	thread->tid = tid;
	thread->process = process;
	thread->next = process->threads;
	process->threads = thread;
	return thread;
}

void request_threads_learn(struct request_threads *threads, const struct event *event)
{
	const struct event_worker *worker = &event->worker;
	struct process *process;

	if (event->kind == EVENT_IS_PROCESS) {
		if (event->process.what == PROCESS_THREAD_EXITED)
			thread_end(threads, event);
		else if (event->process.what == PROCESS_EXITED ||
			 event->process.what == PROCESS_EXECED)
			process_remove(threads, (pid_t)event->pid);
		return;
	}
	if (event->kind != EVENT_IS_WORKER)
		return;
	process = process_get(threads, (pid_t)event->pid);
	if (!process)
		return;
	process->is_traced = worker->has_marker || worker->is_wired;
	if (!process->has_served)
		process->pool = pool_find(threads, worker->app, strlen(worker->app));
}

/* The pool of a request; its thread and process are of it from now on. */
static unsigned int request_note(struct request_threads *threads, const struct request *request)
{
	unsigned int pool = pool_find(threads, request->app.ptr, request->app.bytes);
	struct process *process = pid_table_find(&threads->processes, (pid_t)request->pid);
	struct thread *thread;

	if (!process)
		return pool; /* the last requests of one that has ended */
	process->pool = pool;
	process->has_served = true;
	thread = thread_get(threads, process, (pid_t)request->tid);
	if (thread)
		thread->pool = pool;
	return pool;
}

void request_threads_ended(struct request_threads *threads, const struct request *request)
{
	request_note(threads, request);
}

void request_threads_begin(struct request_threads *threads, uint64_t now_ns)
{
	if (now_ns > ENDED_NS)
		ended_forget(threads, now_ns - ENDED_NS);
	for (unsigned int i = 0; i < threads->pool_count; i++) {
		threads->pools[i].active = 0;
		threads->pools[i].oldest_ns = 0;
		threads->pools[i].in_flight_ns = 0;
	}
}

void request_threads_open(struct request_threads *threads, const struct request *request,
			  uint64_t age_ns)
{
	struct aggregate_pool *pool = &threads->pools[request_note(threads, request)];

	pool->active++;
	pool->in_flight_ns += age_ns;
	if (pool->oldest_ns < age_ns)
		pool->oldest_ns = age_ns;
}

void request_threads_draining(struct request_threads *threads, const struct request *request,
			      uint64_t ns)
{
	threads->pools[request_note(threads, request)].in_flight_ns += ns;
}

static bool pool_is_used(const struct aggregate_pool *pool)
{
	return pool->processes || pool->threads || pool->active || pool->in_flight_ns;
}

const struct aggregate_pool *request_threads_pools(struct request_threads *threads, size_t *count)
{
	const struct process *process;
	const struct thread *thread;
	size_t at = 0;

	for (unsigned int i = 0; i < threads->pool_count; i++)
		threads->pools[i].processes = threads->pools[i].threads = 0;
	while ((process = pid_table_next(&threads->processes, &at)))
		threads->pools[process->pool].processes += process->is_traced;
	at = 0;
	while ((thread = pid_table_next(&threads->threads, &at)))
		threads->pools[thread->pool].threads++;
	*count = 0;
	for (unsigned int i = 0; i < threads->pool_count; i++)
		if (i > POOL_OTHER || pool_is_used(&threads->pools[i]))
			threads->shown[(*count)++] = threads->pools[i];
	return threads->shown;
}
