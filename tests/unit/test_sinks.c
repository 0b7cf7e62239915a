/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states as each sink says them, word for word. All else of a line is the golden tests'.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "request.h"
#include "sink.h"
#include "unit.h"

#define PER_CENT INT64_C(1000000) /* of the request below */

/* A request of 100 ms. */
static struct request request_of(const int64_t per_cent[REQUEST_STATES])
{
	struct request request = {
		.path = {"/p", 2},
		.application_ns = 100 * PER_CENT,
		.queue_ns = REQUEST_UNSEEN,
		.client_read_ns = 1500000,
		.peer = {"[::1]:5432", 10},
		.peer_ns = 2000001,
		.gc_ns = 30,
		.gc_count = 2,
	};

	for (int i = 0; i < REQUEST_STATES; i++)
		request.states_ns[i] = per_cent[i] < 0 ? REQUEST_UNSEEN : per_cent[i] * PER_CENT;
	return request;
}

/* What the sink says of it, without what it says at its opening. */
static char *shown(const struct sink *sink, const struct request *request)
{
	static const struct config config;
	char *text = NULL;
	size_t bytes, opening;
	FILE *out = open_memstream(&text, &bytes);
	void *state;

	assert_non_null(out);
	assert_int_equal(sink->open(&config, out, &state), 0);
	assert_int_equal(fflush(out), 0);
	opening = bytes;
	assert_int_equal(sink->on_request(state, request), 0);
	sink->close(state);
	assert_int_equal(fclose(out), 0);
	memmove(text, text + opening, bytes - opening + 1);
	return text;
}

static void check_json(const struct request *request, const char *expected)
{
	char *text = shown(&sink_json, request);
	const char *at = strstr(text, ",\"states_ms\":");

	assert_non_null(at);
	assert_string_equal(at, expected);
	free(text);
}

static void test_json(void **state)
{
	struct request request = request_of((const int64_t[]){1, 2, 3, 4, 5, 6, 7, 8, 64});

	check_json(&request, ",\"states_ms\":{\"cpu\":1.000,\"runnable\":2.000,\"gil\":3.000,"
			     "\"socket_read\":4.000,\"socket_write\":5.000,\"file\":6.000,"
			     "\"lock\":7.000,\"sleep\":8.000,\"other\":64.000},"
			     "\"socket_read_client_ms\":1.500,"
			     "\"socket_read_peer\":\"[::1]:5432\",\"socket_read_peer_ms\":2.000001,"
			     "\"gc_ms\":0.00003,\"gc_count\":2,\"top_frame\":null,\"notes\":[]}\n");
}

static void test_json_gil_unseen(void **state)
{
	struct request request = request_of((const int64_t[]){30, 0, -1, 0, 0, 0, 70, 0, 0});

	request.notes = NOTE_GIL_UNSEEN;
	request.gc_ns = request.gc_count = request.peer_ns = REQUEST_UNSEEN;
	request.peer = (struct request_text){NULL, 0};
	check_json(&request, ",\"states_ms\":{\"cpu\":30.000,\"runnable\":0.000,\"gil\":null,"
			     "\"socket_read\":0.000,\"socket_write\":0.000,\"file\":0.000,"
			     "\"lock\":70.000,\"sleep\":0.000,\"other\":0.000},"
			     "\"socket_read_client_ms\":1.500,"
			     "\"socket_read_peer\":null,\"socket_read_peer_ms\":null,"
			     "\"gc_ms\":null,\"gc_count\":null,\"top_frame\":null,\"notes\":[\"gil_"
			     "unseen\"]}\n");
}

static void test_json_unseen(void **state)
{
	struct request request = request_of((const int64_t[]){-1, -1, -1, -1, -1, -1, -1, -1, -1});

	request.notes = NOTE_STATES_MIXED;
	request.gc_ns = request.gc_count = request.peer_ns = REQUEST_UNSEEN;
	request.client_read_ns = REQUEST_UNSEEN;
	request.peer = (struct request_text){NULL, 0};
	check_json(&request, ",\"states_ms\":null,\"socket_read_client_ms\":null,"
			     "\"socket_read_peer\":null,\"socket_read_peer_ms\":null,"
			     "\"gc_ms\":null,\"gc_count\":null,\"top_frame\":null,\"notes\":["
			     "\"states_mixed\"]}\n");
}

/* A text sink's line must end so, from the path on. */
static void check_text(const int64_t per_cent[REQUEST_STATES], const char *expected)
{
	struct request request = request_of(per_cent);
	char *text = shown(&sink_text, &request);
	const char *at = strstr(text, " /p");

	assert_non_null(at);
	assert_string_equal(at, expected);
	free(text);
}

static void test_text(void **state)
{
	/* The largest first, three at most; of equal ones the first. */
	check_text((const int64_t[]){22, 5, 61, 12, 0, 0, 0, 0, 0},
		   " /p  [gil 61% cpu 22% socket_read 12%]\n");
	check_text((const int64_t[]){25, 0, 0, 0, 25, 25, 25, 0, 0},
		   " /p  [cpu 25% socket_write 25% file 25%]\n");
	check_text((const int64_t[]){0, 0, 0, 0, 0, 0, 0, 60, 40}, " /p  [sleep 60% other 40%]\n");
	check_text((const int64_t[]){100, 0, 0, 0, 0, 0, 0, 0, 0}, " /p  [cpu 100%]\n");
	check_text((const int64_t[]){30, 0, -1, 0, 0, 0, 70, 0, 0}, " /p  [lock 70% cpu 30%]\n");
	check_text((const int64_t[]){-1, -1, -1, -1, -1, -1, -1, -1, -1}, " /p\n");
}

/* Half a per cent is the least that is shown. */
static void test_text_small(void **state)
{
	struct request request = request_of((const int64_t[]){0, 0, 0, 0, 0, 0, 0, 100, 0});
	char *text;

	request.states_ns[REQUEST_CPU] = PER_CENT / 2;
	request.states_ns[REQUEST_RUNNABLE] = PER_CENT / 2 - 1;
	request.states_ns[REQUEST_SLEEP] -= PER_CENT - 1;
	text = shown(&sink_text, &request);
	assert_null(strstr(text, "runnable"));
	assert_non_null(strstr(text, "  [sleep 99% cpu 0%]\n"));
	free(text);
	request.application_ns = 0; /* of no time there are no shares */
	text = shown(&sink_text, &request);
	assert_null(strchr(text, '['));
	free(text);
}

/* Between the exception and what follows. */
static void test_text_order(void **state)
{
	struct request request = request_of((const int64_t[]){100, 0, 0, 0, 0, 0, 0, 0, 0});
	char *text;

	request.outcome = OUTCOME_EXCEPTION;
	request.exception = (struct request_text){"KeyError", 8};
	request.queue_ns = 2500000;
	request.notes = NOTE_NESTED;
	text = shown(&sink_text, &request);
	assert_non_null(strstr(text, " /p  exception KeyError  [cpu 100%]  queued 2.500 ms  (a "
				     "mark() inside a mark())\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),	    cmocka_unit_test(test_json_gil_unseen),
		cmocka_unit_test(test_json_unseen), cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_small),  cmocka_unit_test(test_text_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
