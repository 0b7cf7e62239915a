/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that wait for their request: order, apartness, and what gives way when it is too many.
 */
#include <errno.h>

#include "block_store.h"
#include "request.h"
#include "unit.h"

struct taken {
	unsigned int count;
	uint64_t first, last; /* indexes */
	int answer;
};

static int take(void *context, const struct request_block *block)
{
	struct taken *taken = context;

	if (!taken->count)
		taken->first = block->index;
	else
		assert_int_equal(block->index, taken->last + 1);
	taken->last = block->index;
	taken->count++;
	return taken->answer;
}

static void add(struct block_store *store, uint32_t pid, uint64_t id, uint64_t index)
{
	struct request_block block = {.pid = pid, .id = id, .index = index};

	block_store_add(store, &block);
}

static void test_apart(void **state)
{
	struct block_store *store = block_store_new();
	struct taken one = {0}, two = {0}, again = {0}, stopped = {.answer = -EPIPE};

	assert_non_null(store);
	for (uint64_t index = 1; index <= 1000; index++) {
		add(store, 1, 5, index);
		add(store, 2, 5, index + 7);
	}
	assert_int_equal(block_store_take(store, 1, 5, take, &one), 0);
	assert_int_equal(one.count, 1000);
	assert_int_equal(one.first, 1);
	assert_int_equal(block_store_take(store, 1, 5, take, &again), 0);
	assert_int_equal(again.count, 0);
	assert_int_equal(block_store_take(store, 2, 5, take, &two), 0);
	assert_int_equal(two.count, 1000);
	assert_int_equal(two.first, 8);
	add(store, 3, 1, 1);
	add(store, 3, 1, 2);
	assert_int_equal(block_store_take(store, 3, 1, take, &stopped), -EPIPE);
	assert_int_equal(stopped.count, 1);
	assert_int_equal(block_store_take(store, 3, 1, take, &stopped), 0);
	assert_int_equal(block_store_lost(store), 0);
	block_store_free(store);
}

/* Requests that never end: the oldest is given up, and its blocks are counted. */
static void test_too_many_requests(void **state)
{
	struct block_store *store = block_store_new();
	struct taken newest = {0}, oldest = {0};
	const uint64_t beyond = 100;

	assert_non_null(store);
	for (uint64_t id = 1; id <= BLOCK_STORE_REQUESTS + beyond; id++) {
		add(store, 1, id, 1);
		add(store, 1, id, 2);
	}
	assert_int_equal(block_store_lost(store), 2 * beyond);
	block_store_take(store, 1, beyond, take, &oldest);
	assert_int_equal(oldest.count, 0);
	for (uint64_t id = BLOCK_STORE_REQUESTS + beyond; id > beyond; id--) {
		newest = (struct taken){0};
		block_store_take(store, 1, id, take, &newest);
		assert_int_equal(newest.count, 2);
	}
	block_store_free(store);
}

/* One request of more blocks than there is room for: it gives way to itself. */
static void test_too_many_blocks(void **state)
{
	struct block_store *store = block_store_new();
	struct taken taken = {0};

	assert_non_null(store);
	for (uint64_t index = 1; index <= BLOCK_STORE_BLOCKS + 10; index++)
		add(store, 1, 1, index);
	assert_int_equal(block_store_lost(store), BLOCK_STORE_BLOCKS);
	block_store_take(store, 1, 1, take, &taken);
	assert_int_equal(taken.count, 10);
	/* All room is there again. */
	for (uint64_t index = 1; index <= BLOCK_STORE_BLOCKS; index++)
		add(store, 1, 2, index);
	assert_int_equal(block_store_lost(store), BLOCK_STORE_BLOCKS);
	block_store_take(store, 1, 2, NULL, NULL);
	block_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_too_many_requests),
		cmocka_unit_test(test_too_many_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
