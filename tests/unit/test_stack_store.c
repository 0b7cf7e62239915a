/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples that wait for their request: order, apartness, and what gives way when it is too many.
 */
#include "stack_store.h"
#include "unit.h"

static struct event_sample sample;

static void add(struct stack_store *store, uint32_t pid, uint64_t id, uint64_t weight_ns,
		unsigned int frames)
{
	struct stack *stack;

	sample.weight_ns = weight_ns;
	sample.python = frames;
	stack = stack_new(pid, &sample);
	assert_non_null(stack);
	assert_int_equal(stack_store_add(store, id, stack), 0);
}

static void check_taken(struct stack *stacks, uint64_t first, uint64_t count)
{
	const struct stack *stack = stacks;

	for (uint64_t i = 0; i < count; i++, stack = stack->next) {
		assert_non_null(stack);
		assert_int_equal(stack->weight_ns, first + i);
	}
	assert_null(stack);
	stack_list_free(stacks);
}

static void test_apart_and_in_order(void **state)
{
	struct stack_store *store = stack_store_new();

	for (uint64_t i = 0; i < 1000; i++) {
		add(store, 1, 5, i, 3);
		add(store, 2, 5, i + 7, 0);
		add(store, 1, 6, i + 9, 1);
	}
	check_taken(stack_store_take(store, 1, 5), 0, 1000);
	assert_null(stack_store_take(store, 1, 5));
	check_taken(stack_store_take_oldest(store), 7, 1000);
	check_taken(stack_store_take_oldest(store), 9, 1000);
	assert_null(stack_store_take_oldest(store));
	assert_int_equal(stack_store_lost(store), 0);
	stack_store_free(store);
}

static void test_keeps_what_it_got(void **state)
{
	struct stack *stack;

	sample = (struct event_sample){.is_wait = true,
				       .state = REQUEST_GIL,
				       .truncated = true,
				       .missing = "why",
				       .python = 1,
				       .native = 1,
				       .kernel = 1,
				       .peer = "unix",
				       .frames = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}};
	stack = stack_new(77, &sample);
	assert_int_equal(stack->pid, 77);
	assert_true(stack->is_wait && stack->truncated);
	assert_int_equal(stack->state, REQUEST_GIL);
	assert_string_equal(stack->missing, "why");
	assert_string_equal(stack->peer, "unix");
	assert_int_equal(stack->frames[2].code, 7);
	assert_int_equal(stack->frames[2].offset, 9);
	assert_int_equal(stack_bytes(stack), sizeof(*stack) + 3 * sizeof(stack->frames[0]));
	stack_list_free(stack);
	sample = (struct event_sample){0};
}

/* The oldest request gives way, then the next; what was given up is counted. */
static void test_full(void **state)
{
	struct stack_store *store = stack_store_new();
	const size_t each = sizeof(struct stack) + 512 * sizeof(struct event_frame);
	const uint64_t fit = STACK_STORE_BYTES / each, count = fit + fit / 2;

	for (uint64_t i = 0; i < count; i++)
		add(store, 1, i / 100, i % 100, 512);
	assert_null(stack_store_take(store, 1, 0));
	assert_true(stack_store_lost(store) >= fit / 2);
	assert_true(stack_store_lost(store) <= fit / 2 + 300);
	assert_int_equal(stack_store_lost(store) % 100, 0);
	check_taken(stack_store_take(store, 1, count / 100 - 1), 0, 100);
	stack_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apart_and_in_order),
		cmocka_unit_test(test_keeps_what_it_got),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
