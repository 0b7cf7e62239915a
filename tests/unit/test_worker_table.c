/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Servers by process; bounded whatever a recording says.
 */
#include <stdio.h>

#include "unit.h"
#include "worker_table.h"

static void test_set_and_forget(void **state)
{
	struct worker_table *table = worker_table_new();

	assert_non_null(table);
	assert_null(worker_table_get(table, 7));
	worker_table_set(table, 7, "gunicorn");
	worker_table_set(table, 7 + 1024, "uwsgi"); /* the same set */
	assert_string_equal(worker_table_get(table, 7), "gunicorn");
	assert_string_equal(worker_table_get(table, 7 + 1024), "uwsgi");
	worker_table_set(table, 7, "waitress");
	assert_string_equal(worker_table_get(table, 7), "waitress");
	worker_table_set(table, 7, "");
	assert_null(worker_table_get(table, 7));
	worker_table_set(table, 0, "gunicorn");
	assert_null(worker_table_get(table, 0));
	worker_table_free(table);
}

static void test_many_processes(void **state)
{
	struct worker_table *table = worker_table_new();
	unsigned int known = 0;

	assert_non_null(table);
	for (uint32_t pid = 1; pid <= 100000; pid++)
		worker_table_set(table, pid, "gunicorn");
	for (uint32_t pid = 1; pid <= 100000; pid++)
		known += worker_table_get(table, pid) != NULL;
	assert_int_equal(known, 8192);
	assert_non_null(worker_table_get(table, 100000)); /* the newest stay */
	assert_null(worker_table_get(table, 1));
	worker_table_free(table);
}

static void test_many_names(void **state)
{
	struct worker_table *table = worker_table_new();
	const char *first;

	assert_non_null(table);
	worker_table_set(table, 1, "name-0");
	first = worker_table_get(table, 1);
	for (uint32_t pid = 1; pid <= 1000; pid++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%u", pid - 1);
		worker_table_set(table, pid, name);
	}
	assert_ptr_equal(worker_table_get(table, 1), first);
	assert_string_equal(worker_table_get(table, 64), "name-63");
	assert_null(worker_table_get(table, 65));
	worker_table_set(table, 2, "a-name-that-is-too-long-for-one");
	assert_null(worker_table_get(table, 2));
	worker_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_forget),
		cmocka_unit_test(test_many_processes),
		cmocka_unit_test(test_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
