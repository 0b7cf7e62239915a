/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of all lengths, the order in which they came, and the limit.
 */
#include <errno.h>
#include <stdio.h>

#include "key_table.h"
#include "unit.h"

#define KEYS 3000

static int values[KEYS];

static void test_many(void **state)
{
	struct key_table *table = key_table_new(KEYS);
	char key[32];

	assert_non_null(table);
	for (int i = 0; i < KEYS; i++) {
		size_t bytes = (size_t)snprintf(key, sizeof(key), "%d/%o", i, i);

		assert_null(key_table_get(table, key, bytes));
		assert_int_equal(key_table_add(table, key, bytes, &values[i]), 0);
	}
	assert_int_equal(key_table_count(table), KEYS);
	for (int i = 0; i < KEYS; i++) {
		size_t bytes = (size_t)snprintf(key, sizeof(key), "%d/%o", i, i);

		assert_ptr_equal(key_table_get(table, key, bytes), &values[i]);
		assert_ptr_equal(key_table_at(table, (size_t)i), &values[i]);
	}
	key_table_free(table);
}

/* Only whole keys count: no beginning, no end, no key with NUL bytes is another. */
static void test_lengths(void **state)
{
	struct key_table *table = key_table_new(64);
	const char zeros[40] = {0};

	assert_non_null(table);
	for (size_t bytes = 0; bytes < sizeof(zeros); bytes++)
		assert_int_equal(key_table_add(table, zeros, bytes, &values[bytes]), 0);
	for (size_t bytes = 0; bytes < sizeof(zeros); bytes++)
		assert_ptr_equal(key_table_get(table, zeros, bytes), &values[bytes]);
	key_table_free(table);
}

static void test_limit(void **state)
{
	struct key_table *table = key_table_new(2);

	assert_non_null(table);
	assert_int_equal(key_table_add(table, "a", 1, &values[0]), 0);
	assert_int_equal(key_table_add(table, "b", 1, &values[1]), 0);
	assert_int_equal(key_table_add(table, "c", 1, &values[2]), -ENOSPC);
	assert_null(key_table_get(table, "c", 1));
	key_table_limit(table, 3);
	assert_int_equal(key_table_add(table, "c", 1, &values[2]), 0);
	key_table_limit(table, 1); /* takes nothing away */
	assert_ptr_equal(key_table_get(table, "c", 1), &values[2]);
	assert_int_equal(key_table_add(table, "d", 1, &values[3]), -ENOSPC);
	key_table_free(table);
	key_table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
