/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The assembler: whose request it is, by what was said of its process.
 */
#include <string.h>

#include "unit.h"

#include "assemble.h"
#include "decode.h"
#include "request.h"

static struct assembler *assembler;
static struct request request;

static int setup(void **state)
{
	return assembler_new(0, &assembler);
}

static int teardown(void **state)
{
	assembler_free(assembler);
	return 0;
}

/* A request of this process. app: the name given to mark(), NULL: none. */
static void assemble(uint32_t pid, const char *app)
{
	struct event event = {.kind = EVENT_IS_REQUEST, .pid = pid, .tid = pid};

	event.request.app.text = (struct request_text){app, app ? strlen(app) : 0};
	assembler_request(assembler, &event, &request);
}

static void learn_process(uint32_t pid, enum event_process_what what, uint32_t other)
{
	struct event process = {.kind = EVENT_IS_PROCESS, .pid = pid};

	process.process = (struct event_process){what, other};
	assembler_learn(assembler, &process);
}

static const char *server_of(uint32_t pid)
{
	assemble(pid, NULL);
	return request.server;
}

static void test_servers(void **state)
{
	struct event worker = {.kind = EVENT_IS_WORKER, .pid = 7, .worker = {.server = "uwsgi"}};

	assembler_learn(assembler, &worker);
	assert_string_equal(server_of(7), "uwsgi");
	learn_process(7, PROCESS_FORKED, 70); /* a child is what its parent is */
	assert_string_equal(server_of(70), "uwsgi");
	learn_process(70, PROCESS_EXITED, 0); /* its last requests may still come */
	assert_string_equal(server_of(70), "uwsgi");
	learn_process(7, PROCESS_EXECED, 0);
	assert_null(server_of(7));
	learn_process(999, PROCESS_FORKED, 70);
	assert_null(server_of(70));
}

/* The name given to mark() goes before what is known of the process. */
static void test_apps(void **state)
{
	struct event worker = {.kind = EVENT_IS_WORKER,
			       .pid = 8,
			       .worker = {.app = "127.0.0.1:80", .app_source = APP_ADDRESS}};

	assemble(8, NULL);
	assert_null(request.app.ptr);
	assert_int_equal(request.app_source, APP_UNKNOWN);
	assembler_learn(assembler, &worker);
	learn_process(8, PROCESS_FORKED, 80);
	assemble(80, NULL);
	assert_memory_equal(request.app.ptr, "127.0.0.1:80", request.app.bytes);
	assert_int_equal(request.app.bytes, strlen("127.0.0.1:80"));
	assert_int_equal(request.app_source, APP_ADDRESS);
	assert_null(request.server);
	assemble(80, "shop");
	assert_memory_equal(request.app.ptr, "shop", 4);
	assert_int_equal(request.app.bytes, 4);
	assert_int_equal(request.app_source, APP_MARK);
	learn_process(8, PROCESS_EXECED, 0);
	assemble(8, NULL);
	assert_null(request.app.ptr);
	assert_int_equal(request.app_source, APP_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_servers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
