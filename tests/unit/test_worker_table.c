/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Servers by process; bounded whatever a recording says.
 */
#include <stdio.h>

#include "unit.h"
#include "worker_table.h"

static void server_set(struct worker_table *table, uint32_t pid, const char *server)
{
	const struct worker_names names = {.server = server};

	worker_table_set(table, pid, &names);
}

static const char *server_get(const struct worker_table *table, uint32_t pid)
{
	return worker_table_get(table, pid).server;
}

static void test_set_and_forget(void **state)
{
	struct worker_table *table = worker_table_new();

	assert_non_null(table);
	assert_null(server_get(table, 7));
	server_set(table, 7, "gunicorn");
	server_set(table, 7 + 1024, "uwsgi"); /* the same set */
	assert_string_equal(server_get(table, 7), "gunicorn");
	assert_string_equal(server_get(table, 7 + 1024), "uwsgi");
	server_set(table, 7, "waitress");
	assert_string_equal(server_get(table, 7), "waitress");
	server_set(table, 7, "");
	assert_null(server_get(table, 7));
	server_set(table, 0, "gunicorn");
	assert_null(server_get(table, 0));
	worker_table_free(table);
}

static void test_many_processes(void **state)
{
	struct worker_table *table = worker_table_new();
	unsigned int known = 0;

	assert_non_null(table);
	for (uint32_t pid = 1; pid <= 100000; pid++)
		server_set(table, pid, "gunicorn");
	for (uint32_t pid = 1; pid <= 100000; pid++)
		known += server_get(table, pid) != NULL;
	assert_int_equal(known, 8192);
	assert_non_null(server_get(table, 100000)); /* the newest stay */
	assert_null(server_get(table, 1));
	worker_table_free(table);
}

static void test_many_names(void **state)
{
	struct worker_table *table = worker_table_new();
	const char *first;

	assert_non_null(table);
	server_set(table, 1, "name-0");
	first = server_get(table, 1);
	for (uint32_t pid = 1; pid <= 1000; pid++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%u", pid - 1);
		server_set(table, pid, name);
	}
	assert_ptr_equal(server_get(table, 1), first);
	assert_string_equal(server_get(table, 64), "name-63");
	assert_null(server_get(table, 65));
	server_set(table, 2, "a-name-that-is-too-long-for-one");
	assert_null(server_get(table, 2));
	worker_table_free(table);
}

/* With a server or without; an application's name stays where it was. */
static void test_apps(void **state)
{
	struct worker_table *table = worker_table_new();
	struct worker_names names = {.app = "shop", .app_source = APP_TITLE};
	const char *first;

	assert_non_null(table);
	worker_table_set(table, 1, &names);
	assert_null(worker_table_get(table, 1).server);
	assert_string_equal(worker_table_get(table, 1).app, "shop");
	assert_int_equal(worker_table_get(table, 1).app_source, APP_TITLE);
	first = worker_table_get(table, 1).app;
	names = (struct worker_names){"uwsgi", "shop", APP_ADDRESS};
	worker_table_set(table, 2, &names);
	assert_ptr_equal(worker_table_get(table, 2).app, first);
	assert_int_equal(worker_table_get(table, 2).app_source, APP_ADDRESS);
	names = (struct worker_names){"uwsgi", "", APP_UNKNOWN};
	worker_table_set(table, 1, &names);
	assert_null(worker_table_get(table, 1).app);
	assert_int_equal(worker_table_get(table, 1).app_source, APP_UNKNOWN);
	worker_table_free(table);
}

/* Past the bound they are "other", all of them, and those that were there stay. */
static void test_many_apps(void **state)
{
	struct worker_table *table = worker_table_new();
	char app[32];

	assert_non_null(table);
	for (uint32_t pid = 1; pid <= 3000; pid++) {
		const struct worker_names names = {.app = app, .app_source = APP_TITLE};

		snprintf(app, sizeof(app), "app-%u", (unsigned int)pid);
		worker_table_set(table, pid, &names);
	}
	assert_string_equal(worker_table_get(table, 1).app, "app-1");
	assert_string_equal(worker_table_get(table, 1023).app, "app-1023");
	assert_string_equal(worker_table_get(table, 1024).app, "other");
	assert_string_equal(worker_table_get(table, 3000).app, "other");
	worker_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_forget), cmocka_unit_test(test_many_processes),
		cmocka_unit_test(test_many_names),     cmocka_unit_test(test_apps),
		cmocka_unit_test(test_many_apps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
