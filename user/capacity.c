/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the samples. Two sums grow with every tick: the time that requests were in the application,
 * and the time that request threads were there. What they grew by over the window is the ratio.
 */
#include "capacity.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "key_table.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define WINDOW_NS     (AGGREGATE_WINDOW_S * NS_PER_SECOND)
/* Kept apart by nearly a second, however often the ticks come, they span the window. */
#define SAMPLE_NS (NS_PER_SECOND * 9 / 10)
#define SAMPLES	  (AGGREGATE_WINDOW_S * 10 / 9 + 2)

struct sample {
	uint64_t time_ns;
	uint64_t busy_ns, thread_ns;
};

struct capacity_pool {
	struct label_value application;
	uint64_t finished_ns; /* application time of all finished requests */
	struct sample now;    /* the sums, at the last tick; time 0: there was none */
	uint64_t elapsed_ns;  /* elapsed_of(), at the last tick */
	struct sample samples[SAMPLES];
	size_t sample_count; /* ever; the last is at (sample_count - 1) % SAMPLES */
};

struct capacity {
	struct key_table *pools; /* by application */
};

struct capacity *capacity_new(void)
{
	struct capacity *capacity = calloc(1, sizeof(*capacity));

	if (!capacity)
		return NULL;
	capacity->pools = key_table_new(AGGREGATE_POOLS_MAX);
	if (!capacity->pools) {
		free(capacity);
		return NULL;
	}
	return capacity;
}

void capacity_free(struct capacity *capacity)
{
	if (!capacity)
		return;
	for (size_t i = 0; i < key_table_count(capacity->pools); i++)
		free(key_table_at(capacity->pools, i));
	key_table_free(capacity->pools);
	free(capacity);
}

struct capacity_pool *capacity_pool(struct capacity *capacity,
				    const struct label_value *application)
{
	struct capacity_pool *pool =
		key_table_get(capacity->pools, application->text, application->bytes);

	if (pool)
		return pool;
	pool = calloc(1, sizeof(*pool));
	if (pool && !key_table_add(capacity->pools, application->text, application->bytes, pool)) {
		memcpy(pool->application.storage, application->text, application->bytes);
		pool->application.text = pool->application.storage;
		pool->application.bytes = application->bytes;
		return pool;
	}
	free(pool);
	return NULL;
}

void capacity_add(struct capacity_pool *pool, int64_t application_ns)
{
	if (__builtin_add_overflow(pool->finished_ns, (uint64_t)application_ns, &pool->finished_ns))
		pool->finished_ns = UINT64_MAX;
}

/* All time in the application so far: of what is finished, and of what is in flight. */
static uint64_t elapsed_of(const struct capacity_pool *pool, const struct capacity_view *view)
{
	return pool->finished_ns + view->in_flight_ns;
}

/*
 * The sums at a later moment. A request that ends goes from the tail to what is finished, with no
 * step in their sum; but one whose end was not seen takes its age away from it. That was time in
 * the application all the same: the sum of what was counted never goes back.
 */
static struct sample pool_sums(const struct capacity_pool *pool, uint64_t now_ns,
			       const struct capacity_view *view)
{
	uint64_t elapsed_ns = elapsed_of(pool, view);
	struct sample sums = pool->now;

	if (sums.time_ns && now_ns > sums.time_ns) {
		sums.thread_ns += view->threads * (now_ns - sums.time_ns);
		if (elapsed_ns > pool->elapsed_ns)
			sums.busy_ns += elapsed_ns - pool->elapsed_ns;
	}
	sums.time_ns = now_ns;
	return sums;
}

static void pool_tick(struct capacity_pool *pool, uint64_t now_ns, const struct capacity_view *view)
{
	const struct sample *last = &pool->samples[(pool->sample_count + SAMPLES - 1) % SAMPLES];

	pool->now = pool_sums(pool, now_ns, view);
	pool->elapsed_ns = elapsed_of(pool, view);
	if (!pool->sample_count || now_ns - last->time_ns >= SAMPLE_NS)
		pool->samples[pool->sample_count++ % SAMPLES] = pool->now;
}

/* Below 0: there is nothing yet to divide by. */
static double pool_ratio(const struct capacity_pool *pool, uint64_t now_ns,
			 const struct capacity_view *view)
{
	size_t kept = pool->sample_count < SAMPLES ? pool->sample_count : SAMPLES;
	struct sample now = pool_sums(pool, now_ns, view);
	const struct sample *from = NULL;

	/* Backwards to the first that is as old as the window, or the oldest there is. */
	for (size_t i = 1; i <= kept; i++) {
		from = &pool->samples[(pool->sample_count - i) % SAMPLES];
		if (now_ns - from->time_ns >= WINDOW_NS)
			break;
	}
	if (!from || now.thread_ns == from->thread_ns)
		return -1;
	return (double)(now.busy_ns - from->busy_ns) / (double)(now.thread_ns - from->thread_ns);
}

static struct capacity_view *view_find(struct capacity_view *views, size_t count,
				       const struct label_value *application)
{
	for (size_t i = 0; i < count; i++) {
		if (views[i].application.bytes == application->bytes &&
		    !memcmp(views[i].application.text, application->text, application->bytes))
			return &views[i];
	}
	return NULL;
}

/* The moment's pools, those of one name made one; the last is "other" where they are too many. */
static size_t views_collect(const struct aggregate_moment *moment,
			    struct capacity_view views[CAPACITY_VIEWS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; moment->pools && i < moment->pool_count; i++) {
		const struct aggregate_pool *pool = &moment->pools[i];
		struct capacity_view *view;
		struct label_value name;

		label_clean(&name, pool->application);
		view = view_find(views, count, &name);
		if (!view) {
			bool fits = count < AGGREGATE_POOLS_MAX;

			view = &views[fits ? count : AGGREGATE_POOLS_MAX];
			if (fits || count == AGGREGATE_POOLS_MAX) {
				*view = (struct capacity_view){.ratio = -1};
				label_clean(&view->application,
					    fits ? pool->application
						 : (struct request_text){"other", 5});
				count++;
			}
		}
		view->processes += pool->processes;
		view->threads += pool->threads;
		view->active += pool->active;
		view->in_flight_ns += pool->in_flight_ns;
		if (pool->oldest_ns > view->oldest_ns)
			view->oldest_ns = pool->oldest_ns;
	}
	return count;
}

void capacity_tick(struct capacity *capacity, const struct aggregate_moment *moment)
{
	static const struct capacity_view none;
	struct capacity_view views[CAPACITY_VIEWS_MAX];
	size_t count = views_collect(moment, views);

	for (size_t i = 0; i < count && i < AGGREGATE_POOLS_MAX; i++)
		capacity_pool(capacity, &views[i].application);
	for (size_t i = 0; i < key_table_count(capacity->pools); i++) {
		struct capacity_pool *pool = key_table_at(capacity->pools, i);
		const struct capacity_view *view = view_find(views, count, &pool->application);

		pool_tick(pool, moment->now_ns, view ? view : &none);
	}
}

size_t capacity_views(const struct capacity *capacity, const struct aggregate_moment *moment,
		      struct capacity_view views[CAPACITY_VIEWS_MAX])
{
	size_t count = views_collect(moment, views);

	for (size_t i = 0; i < count; i++) {
		const struct capacity_pool *pool = key_table_get(
			capacity->pools, views[i].application.text, views[i].application.bytes);

		if (pool)
			views[i].ratio = pool_ratio(pool, moment->now_ns, &views[i]);
	}
	return count;
}
