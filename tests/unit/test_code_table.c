/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is found at an address of a process, and what gives way when it is too much.
 */
#include <errno.h>
#include <stdio.h>

#include "code_table.h"
#include "unit.h"

static struct event_code event;

static const struct event_code *code(uint64_t address, uint32_t fingerprint, const char *name)
{
	event.code = address;
	event.fingerprint = fingerprint;
	event.kind = CODE_IS_PYTHON;
	event.failed = NULL;
	event.first_line = 7;
	event.name = (struct request_text){name, strlen(name)};
	event.file = (struct request_text){"/f.py", 5};
	event.line_count = 0;
	return &event;
}

static void check_name(const struct code *found, const char *name)
{
	assert_non_null(found);
	assert_int_equal(found->name.bytes, strlen(name));
	assert_memory_equal(found->name.ptr, name, strlen(name));
}

static void test_found_by_process_address_fingerprint(void **state)
{
	struct code_table *table = code_table_new();

	assert_int_equal(code_table_add(table, 1, code(100, 5, "one")), 0);
	assert_int_equal(code_table_add(table, 1, code(100, 6, "reused")), 0);
	assert_int_equal(code_table_add(table, 2, code(100, 7, "two")), 0);
	check_name(code_table_find(table, 1, 100, 5), "one");
	check_name(code_table_find(table, 1, 100, 6), "reused");
	check_name(code_table_find(table, 2, 100, 7), "two");
	assert_null(code_table_find(table, 1, 101, 5));
	assert_null(code_table_find(table, 1, 100, 8));
	/* A later one at the same place takes it. */
	assert_int_equal(code_table_add(table, 1, code(100, 5, "newer")), 0);
	check_name(code_table_find(table, 1, 100, 5), "newer");
	code_table_free(table);
}

/* A forked worker has its parent's code objects, where they were. */
static void test_forked_workers_share(void **state)
{
	struct code_table *table = code_table_new();

	code_table_add(table, 1, code(100, 5, "one"));
	check_name(code_table_find(table, 2, 100, 5), "one");
	/* Without a fingerprint nothing says that it is the same. */
	code_table_add(table, 1, code(200, 0, "bare"));
	check_name(code_table_find(table, 1, 200, 0), "bare");
	assert_null(code_table_find(table, 2, 200, 0));
	/* Kept once: the same code of two processes is the same one. */
	code_table_add(table, 3, code(300, 9, "one"));
	assert_ptr_equal(code_table_find(table, 3, 300, 9), code_table_find(table, 1, 100, 5));
	/* A native address is another program's in each process. */
	code(400, 0, "symbol");
	event.kind = CODE_IS_NATIVE;
	code_table_add(table, 1, &event);
	assert_null(code_table_find(table, 2, 400, 0));
	code_table_free(table);
}

static void test_failed_gives_way(void **state)
{
	static const char gone[] = "[no name: gone]";
	struct code_table *table = code_table_new();

	code(100, 5, "");
	event.failed = gone;
	code_table_add(table, 1, &event);
	assert_ptr_equal(code_table_find(table, 1, 100, 5)->failed, gone);
	/* Another process of the family could still read it. */
	code_table_add(table, 2, code(100, 5, "one"));
	check_name(code_table_find(table, 1, 100, 5), "one");
	code(100, 5, "");
	event.failed = gone;
	code_table_add(table, 2, &event);
	check_name(code_table_find(table, 2, 100, 5), "one");
	code_table_free(table);
}

static void test_forget(void **state)
{
	struct code_table *table = code_table_new();
	char name[16];

	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(code_table_add(table, 1 + i % 2, code(1000 + i, 0, name)), 0);
	}
	code_table_forget(table, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		if (i % 2)
			check_name(code_table_find(table, 2, 1000 + i, 0), name);
		else
			assert_null(code_table_find(table, 1, 1000 + i, 0));
	}
	assert_int_equal(code_table_lost(table), 0);
	code_table_free(table);
}

/* Past the bound what is new is lost, and counted; what is there stays. */
static void test_full(void **state)
{
	struct code_table *table = code_table_new();
	uint32_t i = 0;
	int error = 0;

	for (; !error && i <= CODE_TABLE_PLACES; i++)
		error = code_table_add(table, 1, code(i, 0, "same"));
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(i, CODE_TABLE_PLACES + 1);
	assert_int_equal(code_table_lost(table), 1);
	check_name(code_table_find(table, 1, 0, 0), "same");
	code_table_forget(table, 1);
	assert_int_equal(code_table_add(table, 1, code(i, 0, "same")), 0);
	code_table_free(table);
}

/* What forked processes have left behind gives way to what is new. */
static void test_full_of_shared(void **state)
{
	struct code_table *table = code_table_new();

	for (uint32_t i = 0; i < CODE_TABLE_PLACES / 2; i++)
		assert_int_equal(code_table_add(table, 1, code(i, 1, "same")), 0);
	assert_int_equal(code_table_add(table, 1, code(1U << 30, 1, "new")), 0);
	assert_int_equal(code_table_lost(table), 0);
	check_name(code_table_find(table, 1, 7, 1), "same");
	check_name(code_table_find(table, 1, 1U << 30, 1), "new");
	code_table_free(table);
}

static void test_lines(void **state)
{
	static const struct {
		int32_t offset;
		uint32_t line;
	} cases[] = {{-1, 0}, {0, 0},  {3, 0},	{4, 10}, {5, 10},
		     {8, 12}, {9, 12}, {10, 0}, {11, 0}, {INT32_MAX, 0}};
	struct code_table *table = code_table_new();

	code(1, 1, "f");
	event.line_count = 3;
	event.lines[0] = (struct event_line){4, 10};
	event.lines[1] = (struct event_line){8, 12};
	event.lines[2] = (struct event_line){10, 0};
	code_table_add(table, 1, &event);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(code_line(code_table_find(table, 1, 1, 1), cases[i].offset),
				 cases[i].line);
	code_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_by_process_address_fingerprint),
		cmocka_unit_test(test_forked_workers_share),
		cmocka_unit_test(test_failed_gives_way),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_of_shared),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
