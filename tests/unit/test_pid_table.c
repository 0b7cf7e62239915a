// LINK: user/pid_table.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pid_table.c against a plain array, over many additions and removals.
 */
#include <stdlib.h>

#include "unit.h"

#include "pid_table.h"

#define PIDS 600

static void check_all(const struct pid_table *table, char *values[])
{
	size_t at = 0, count = 0;
	void *value;

	for (pid_t pid = 1; pid < PIDS; pid++) {
		assert_ptr_equal(pid_table_find(table, pid), values[pid]);
		count += values[pid] != NULL;
	}
	assert_int_equal(table->count, count);
	while ((value = pid_table_next(table, &at))) {
		assert_ptr_equal(values[*(pid_t *)value], value);
		count--;
	}
	assert_int_equal(count, 0);
}

static void test_random(void **state)
{
	static pid_t things[PIDS];
	char *values[PIDS] = {0};
	struct pid_table table = {0};

	srandom(1);
	for (int round = 0; round < 20000; round++) {
		pid_t pid = 1 + (pid_t)(random() % (PIDS - 1));

		things[pid] = pid;
		if (values[pid]) {
			assert_ptr_equal(pid_table_remove(&table, pid), values[pid]);
			values[pid] = NULL;
		} else {
			values[pid] = (char *)&things[pid];
			assert_int_equal(pid_table_add(&table, pid, values[pid]), 0);
		}
		if (round % 100 == 0)
			check_all(&table, values);
	}
	pid_table_free(&table);
}

static void test_empty(void **state)
{
	struct pid_table table = {0};
	size_t at = 0;

	assert_null(pid_table_find(&table, 1));
	assert_null(pid_table_remove(&table, 1));
	assert_null(pid_table_next(&table, &at));
	pid_table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
