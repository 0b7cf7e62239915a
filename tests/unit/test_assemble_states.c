/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a request's states is believed, what is unseen, and which queue time is taken.
 */
#include "assemble.h"
#include "decode.h"
#include "unit.h"

#define START  UINT64_C(1000000000)
#define MS     UINT64_C(1000000)
#define OFFSET INT64_C(1795318324000000000)

static struct event event;
static struct request request;
static struct assembler *assembler;

static int setup(void **state)
{
	return assembler_new(OFFSET, &assembler);
}

static int teardown(void **state)
{
	assembler_free(assembler);
	return 0;
}

/* A request of 45 ms: 1, 2, ... 9 ms in the states, and nothing beside them. */
static struct event_states *good(void)
{
	struct event_states *states = &event.request.states;

	memset(&event, 0, sizeof(event));
	event.time_ns = START + 46 * MS;
	event.request.start_ns = START;
	event.request.end_ns = START + 45 * MS;
	states->seen = true;
	for (unsigned int i = 0; i < REQUEST_STATES; i++)
		states->ns[i] = (i + 1) * MS;
	return states;
}

static void assemble(void)
{
	memset(&request, 0x5a, sizeof(request)); /* what was there before must not shine through */
	assembler_request(assembler, &event, &request);
}

static void check_seen(void)
{
	assemble();
	for (int i = 0; i < REQUEST_STATES; i++)
		assert_int_equal(request.states_ns[i], event.request.states.ns[i]);
}

static void check_unseen(void)
{
	assemble();
	for (int i = 0; i < REQUEST_STATES; i++)
		assert_int_equal(request.states_ns[i], REQUEST_UNSEEN);
	assert_int_equal(request.client_read_ns, REQUEST_UNSEEN);
	assert_null(request.peer.ptr);
	assert_int_equal(request.peer_ns, REQUEST_UNSEEN);
	assert_int_equal(request.gc_ns, REQUEST_UNSEEN);
	assert_int_equal(request.gc_count, REQUEST_UNSEEN);
	assert_false(request.notes & NOTE_GIL_UNSEEN);
}

/* With all that would be shown if the states were. */
static struct event_states *rich(void)
{
	struct event_states *states = good();

	states->client_read_ns = MS;
	strcpy(states->peer, "10.0.0.5:5432");
	states->peer_ns = 2 * MS;
	states->gc_seen = true;
	states->gc_ns = 3 * MS;
	states->gc_count = 4;
	return states;
}

static void test_seen(void **state)
{
	rich();
	check_seen();
	assert_int_equal(request.notes, 0);
	assert_int_equal(request.client_read_ns, MS);
	assert_int_equal(request.peer.bytes, strlen("10.0.0.5:5432"));
	assert_memory_equal(request.peer.ptr, "10.0.0.5:5432", request.peer.bytes);
	assert_int_equal(request.peer_ns, 2 * MS);
	assert_int_equal(request.gc_ns, 3 * MS);
	assert_int_equal(request.gc_count, 4);
}

static void test_unseen(void **state)
{
	struct event_states *states = rich();

	states->seen = false;
	states->gil_unseen = true; /* of states that are not shown there is nothing to say */
	check_unseen();
	assert_int_equal(request.notes, 0);
	states = rich();
	states->seen = false;
	states->mixed = true;
	check_unseen();
	assert_int_equal(request.notes, NOTE_STATES_MIXED);
	states->seen = true; /* never both */
	check_unseen();
	assert_int_equal(request.notes, NOTE_STATES_MIXED);
}

/* Then waits for it are among those for locks. */
static void test_gil_unseen(void **state)
{
	struct event_states *states = rich();

	states->gil_unseen = true;
	states->ns[REQUEST_LOCK] += states->ns[REQUEST_GIL];
	states->ns[REQUEST_GIL] = 0;
	assemble();
	assert_int_equal(request.notes, NOTE_GIL_UNSEEN);
	for (int i = 0; i < REQUEST_STATES; i++)
		assert_int_equal(request.states_ns[i],
				 i == REQUEST_GIL ? REQUEST_UNSEEN : (int64_t)states->ns[i]);
	assert_int_equal(request.peer_ns, 2 * MS);
	states->ns[REQUEST_LOCK] -= 3 * MS; /* what is not shown does not fill up the sum */
	states->ns[REQUEST_GIL] = 3 * MS;
	check_unseen();
}

/* 45 ms: a per cent and 10 us is what they may be off. */
static void test_sums(void **state)
{
	static const uint64_t slack = 450000 + 10000;

	for (int i = 0; i < REQUEST_STATES; i++) {
		good()->ns[i] += slack;
		check_seen();
		good()->ns[i] += slack + 1;
		check_unseen();
		good()->ns[i] -= slack;
		check_seen();
		good()->ns[i] -= slack + 1;
		check_unseen();
		good()->ns[i] = UINT64_MAX;
		check_unseen();
		good()->ns[i] = (UINT64_C(1) << 53) + 1;
		check_unseen();
	}
}

/* Sums that come out right only because they wrap around. */
static void test_sums_that_wrap(void **state)
{
	struct event_states *states = good();

	states->ns[REQUEST_CPU] += UINT64_C(1) << 63;
	states->ns[REQUEST_OTHER] += UINT64_C(1) << 63;
	check_unseen();
	for (int i = 0; i < REQUEST_STATES; i++)
		states->ns[i] = UINT64_MAX;
	event.request.end_ns = START - 9;
	check_unseen();
}

static void test_no_application_time(void **state)
{
	rich();
	event.request.end_ns = 0;
	check_unseen();
	rich();
	event.request.start_ns = 0;
	check_unseen();
	rich();
	event.request.end_ns = event.time_ns + 3600 * 1000 * MS;
	check_unseen();
}

/* A part of a state is not longer than it is; where the states were cut at the end, it is cut. */
static void test_parts(void **state)
{
	const int64_t read_ns = (REQUEST_SOCKET_READ + 1) * (int64_t)MS;
	struct event_states *states = rich();

	states->client_read_ns = states->peer_ns = (uint64_t)read_ns + MS;
	states->gc_ns = 46 * MS;
	check_seen();
	assert_int_equal(request.client_read_ns, read_ns);
	assert_int_equal(request.peer_ns, read_ns);
	assert_int_equal(request.gc_ns, 45 * MS);
	states->client_read_ns++;
	states->peer_ns = UINT64_MAX;
	states->gc_ns++;
	states->gc_count = UINT64_MAX;
	check_seen();
	assert_int_equal(request.client_read_ns, REQUEST_UNSEEN);
	assert_int_equal(request.peer_ns, REQUEST_UNSEEN);
	assert_non_null(request.peer.ptr);
	assert_int_equal(request.gc_ns, REQUEST_UNSEEN);
	assert_int_equal(request.gc_count, REQUEST_UNSEEN);
}

static void test_peer(void **state)
{
	struct event_states *states = rich();

	states->peer[0] = '\0';
	check_seen();
	assert_null(request.peer.ptr);
	assert_int_equal(request.peer_ns, REQUEST_UNSEEN);
	memset(states->peer, 'x', sizeof(states->peer) - 1);
	check_seen();
	assert_int_equal(request.peer.bytes, sizeof(states->peer) - 1);
	memset(&event, 0, sizeof(event)); /* the request does not lean on the event */
	assert_int_equal(request.peer.ptr[0], 'x');
}

static void test_gc(void **state)
{
	struct event_states *states = rich();

	states->gc_seen = false;
	check_seen();
	assert_int_equal(request.gc_ns, REQUEST_UNSEEN);
	assert_int_equal(request.gc_count, REQUEST_UNSEEN);
	states->gc_seen = true;
	states->gc_ns = states->gc_count = 0;
	check_seen();
	assert_int_equal(request.gc_ns, 0);
	assert_int_equal(request.gc_count, 0);
}

static void check_queue(const char *header, uint64_t socket_ns, int64_t expected,
			const char *source)
{
	good();
	if (header)
		event.request.queue.text = (struct request_text){header, strlen(header)};
	event.request.queue_ns = socket_ns;
	assemble();
	assert_int_equal(request.queue_ns, expected);
	if (source)
		assert_string_equal(request.queue_source, source);
	else
		assert_null(request.queue_source);
}

/* The front end's word first: it has seen more of the queue than this host's kernel. */
static void test_queue(void **state)
{
	check_queue(NULL, 0, REQUEST_UNSEEN, NULL);
	check_queue(NULL, 7, 7, "socket");
	check_queue(NULL, UINT64_C(1) << 53, INT64_C(1) << 53, "socket");
	check_queue(NULL, (UINT64_C(1) << 53) + 1, REQUEST_UNSEEN, NULL);
	check_queue(NULL, UINT64_MAX, REQUEST_UNSEEN, NULL);
	/* The request starts at ...325.0. */
	check_queue("t=1795318324.500", 0, 500 * (int64_t)MS, "x-request-start");
	check_queue("t=1795318324.500", 7, 500 * (int64_t)MS, "x-request-start");
	check_queue("yesterday", 7, 7, "socket");
	check_queue("t=1795318999.0", 7, 7, "socket"); /* in the future */
}

static void test_queue_cut(void **state)
{
	static const char header[] = "t=1795318324.500";

	good();
	event.request.queue.text = (struct request_text){header, sizeof(header) - 1};
	event.request.queue.cut = true;
	event.request.queue_ns = 7;
	assemble();
	assert_int_equal(request.queue_ns, 7);
	assert_string_equal(request.queue_source, "socket");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_seen),  TEST(test_unseen),	     TEST(test_gil_unseen),
		TEST(test_sums),  TEST(test_sums_that_wrap), TEST(test_no_application_time),
		TEST(test_parts), TEST(test_peer),	     TEST(test_gc),
		TEST(test_queue), TEST(test_queue_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
