/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capacity utilisation against its definition, second by second; and applications as pools.
 */
#include <math.h>
#include <stdio.h>

#include "capacity.h"
#include "unit.h"

#define S UINT64_C(1000000000)

struct world {
	struct capacity *capacity;
	uint64_t now_ns;
	struct aggregate_pool pool;
};

static struct world world_new(uint64_t threads)
{
	struct world world = {capacity_new(), 1000 * S, {{"shop", 4}, 1, threads, 0, 0, 0}};

	assert_non_null(world.capacity);
	return world;
}

static struct aggregate_moment moment_of(const struct world *world)
{
	return (struct aggregate_moment){
		.now_ns = world->now_ns, .pools = &world->pool, .pool_count = 1};
}

/* Ticks every tick_ns for so long; requests in flight grow older all the time. */
static void world_run(struct world *world, uint64_t span_ns, uint64_t tick_ns)
{
	for (uint64_t run = 0; run < span_ns; run += tick_ns) {
		struct aggregate_moment moment;

		world->now_ns += tick_ns;
		world->pool.in_flight_ns += world->pool.active * tick_ns;
		moment = moment_of(world);
		capacity_tick(world->capacity, &moment);
	}
}

static void request_begin(struct world *world)
{
	world->pool.active++;
}

/* One that took so long ends now. */
static void request_end(struct world *world, uint64_t took_ns)
{
	struct label_value name;

	label_clean(&name, world->pool.application);
	world->pool.active--;
	world->pool.in_flight_ns -= took_ns;
	capacity_add(capacity_pool(world->capacity, &name), (int64_t)took_ns);
}

static double ratio(const struct world *world)
{
	struct capacity_view views[CAPACITY_VIEWS_MAX];
	struct aggregate_moment moment = moment_of(world);

	assert_int_equal(capacity_views(world->capacity, &moment, views), 1);
	return views[0].ratio;
}

static void assert_near(double got, double want)
{
	if (fabs(got - want) > 1e-9)
		fail_msg("%.12f, not %.12f", got, want);
}

/* Nothing is known before two moments, and nothing where no thread has served yet. */
static void test_unknown(void **state)
{
	struct world world = world_new(0);

	assert_true(ratio(&world) < 0);
	world_run(&world, 1 * S, S);
	assert_true(ratio(&world) < 0);
	world_run(&world, 10 * S, S);
	assert_true(ratio(&world) < 0);
	world.pool.threads = 2;
	world_run(&world, 1 * S, S);
	assert_near(ratio(&world), 0);
	capacity_free(world.capacity);
	capacity_free(NULL);
}

/* One of four threads busy for a whole window is a quarter: while it runs and when it has ended. */
static void test_in_flight(void **state)
{
	struct world world = world_new(4);

	world_run(&world, 1 * S, S);
	request_begin(&world);
	world_run(&world, 30 * S, S);
	assert_near(ratio(&world), 0.25);
	world_run(&world, 60 * S, S);
	assert_near(ratio(&world), 0.25);
	request_end(&world, 90 * S);
	assert_near(ratio(&world), 0.25); /* no step: it goes from the tail to what is finished */
	world_run(&world, 30 * S, S);
	assert_near(ratio(&world), 0.125);
	world_run(&world, 30 * S, S);
	assert_near(ratio(&world), 0);
	capacity_free(world.capacity);
}

/* Many short ones between ticks, half of the time; the tick's own beat does not matter. */
static void test_ticks(void **state)
{
	static const uint64_t ticks[] = {S / 10, S, 2 * S};

	for (size_t i = 0; i < COUNT_OF(ticks); i++) {
		struct world world = world_new(1);

		world_run(&world, ticks[i], ticks[i]);
		for (uint64_t run = 0; run < 120 * S; run += ticks[i]) {
			for (int k = 0; k < 5; k++) {
				request_begin(&world);
				world.pool.in_flight_ns += ticks[i] / 10;
				request_end(&world, ticks[i] / 10);
			}
			world_run(&world, ticks[i], ticks[i]);
			assert_near(ratio(&world), 0.5);
		}
		capacity_free(world.capacity);
	}
}

/* Between two ticks a scrape sees what has passed since. */
static void test_between(void **state)
{
	struct world world = world_new(1);

	world_run(&world, 1 * S, S);
	request_begin(&world);
	world.now_ns += S / 2;
	world.pool.in_flight_ns = S / 4; /* it began a quarter of a second ago */
	assert_near(ratio(&world), 0.5);
	capacity_free(world.capacity);
}

/* A worker dies in a request: what was seen of it stays counted, nothing goes below 0. */
static void test_never_ended(void **state)
{
	struct world world = world_new(1);

	world_run(&world, 1 * S, S);
	request_begin(&world);
	world_run(&world, 20 * S, S);
	world.pool.active = 0;
	world.pool.in_flight_ns = 0;
	assert_near(ratio(&world), 1);
	world_run(&world, 20 * S, S);
	assert_near(ratio(&world), 0.5);
	request_begin(&world);
	world_run(&world, 20 * S, S);
	assert_near(ratio(&world), 40.0 / 60);
	capacity_free(world.capacity);
}

/* Several requests at once on one thread (gevent): over 1. */
static void test_over_one(void **state)
{
	struct world world = world_new(1);

	world_run(&world, 1 * S, S);
	for (int i = 0; i < 10; i++)
		request_begin(&world);
	world_run(&world, 10 * S, S);
	assert_near(ratio(&world), 10);
	capacity_free(world.capacity);
}

/* Pools of one name are one; those past the bound are "other"; no application is a pool too. */
static void test_views(void **state)
{
	struct aggregate_pool pools[AGGREGATE_POOLS_MAX + 12];
	struct capacity_view views[CAPACITY_VIEWS_MAX];
	struct capacity *capacity = capacity_new();
	struct aggregate_moment moment = {.now_ns = S, .pools = pools};
	char names[COUNT_OF(pools)][8];

	assert_non_null(capacity);
	for (size_t i = 0; i < COUNT_OF(pools); i++) {
		snprintf(names[i], sizeof(names[i]), "app%zu", i);
		pools[i] = (struct aggregate_pool){
			.application = {i ? names[i] : NULL, i ? strlen(names[i]) : 0},
			.processes = 1,
			.threads = 2,
			.active = 3,
			.oldest_ns = i,
		};
	}
	pools[1].application = pools[2].application;
	moment.pool_count = COUNT_OF(pools);
	capacity_tick(capacity, &moment);
	moment.now_ns += S;
	assert_int_equal(capacity_views(capacity, &moment, views), CAPACITY_VIEWS_MAX);
	assert_int_equal(views[0].application.bytes, 0);
	assert_int_equal(views[1].processes, 2);
	assert_int_equal(views[1].threads, 4);
	assert_int_equal(views[1].oldest_ns, 2);
	assert_near(views[1].ratio, 0);
	assert_memory_equal(views[AGGREGATE_POOLS_MAX].application.text, "other", 5);
	assert_int_equal(views[AGGREGATE_POOLS_MAX].active, 3 * 11);
	assert_true(views[AGGREGATE_POOLS_MAX].ratio < 0);
	moment.pools = NULL;
	assert_int_equal(capacity_views(capacity, &moment, views), 0);
	capacity_free(capacity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),	    cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_ticks),	    cmocka_unit_test(test_between),
		cmocka_unit_test(test_never_ended), cmocka_unit_test(test_over_one),
		cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
