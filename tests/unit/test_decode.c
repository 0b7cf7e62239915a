/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each field of each record, and each way in which a record can be wrong.
 */
#include <errno.h>
#include <stdlib.h>

#include "decode.h"
#include "record_make.h"
#include "unit.h"

static struct event event;

/* Decodes from a heap block of the exact size, so that a read past it is seen. */
static int decode(const void *record, size_t bytes)
{
	char *exact = malloc(bytes ? bytes : 1);
	int error;

	assert_non_null(exact);
	memcpy(exact, record, bytes);
	memset(&event, 0x5a, sizeof(event)); /* what was there before must not shine through */
	error = decode_record(exact, bytes, &event);
	free(exact);
	return error;
}

static int decode_request(struct rec_request *record)
{
	make_finish(record);
	return decode(record, record->h.size);
}

static void check_text(struct event_text text, const char *bytes, size_t count)
{
	assert_non_null(text.text.ptr);
	assert_int_equal(text.text.bytes, count);
	assert_memory_equal(text.text.ptr, bytes, count);
}

static void test_request_numbers(void **state)
{
	struct rec_request record = make_request(5);
	const struct event_request *request = &event.request;

	record.writes.error = EPIPE;
	assert_int_equal(decode_request(&record), 0);
	assert_int_equal(event.kind, EVENT_IS_REQUEST);
	assert_int_equal(event.pid, MAKE_PID);
	assert_int_equal(event.tid, MAKE_TID);
	assert_int_equal(event.time_ns, record.h.time_ns);
	assert_int_equal(request->id, 5);
	assert_int_equal(request->start_ns, record.start_ns);
	assert_int_equal(request->end_ns, record.end_ns);
	assert_int_equal(request->output_ns, record.output_ns);
	assert_int_equal(request->blocks, 1);
	assert_int_equal(request->bytes, 11);
	assert_int_equal(request->status, 200);
	assert_int_equal(request->writes.calls, 2);
	assert_int_equal(request->writes.bytes, 150);
	assert_int_equal(request->writes.time_ns, 50000);
	assert_int_equal(request->writes.first_ns, record.writes.first_ns);
	assert_int_equal(request->writes.status, 200);
	assert_int_equal(request->writes.error, EPIPE);
	assert_int_equal(request->writes.family, FAMILY_INET);
	check_text(request->method, "GET", 3);
	assert_null(request->route.text.ptr);
}

/* Bit by bit: each flag of the two words sets its own field and no other. */
static void test_request_flags(void **state)
{
	const struct event_request *request = &event.request;
	const bool *const marks[] = {
		&request->raised_call, &request->raised_iter,	&request->raised_close,
		&request->exhausted,   &request->closed,	&request->unclosed,
		&request->is_bytes,    &request->is_str,	&request->is_file_wrapper,
		&request->used_write,  &request->blocks_unseen, &request->end_inferred,
		&request->nested,
	};
	const bool *const flags[] = {
		&request->no_start,   &request->no_end,	     &request->conn_unknown, NULL,
		&request->writes_cut, &request->text_unread, &request->id_reused,
	};

	for (unsigned int bit = 0; bit < 32; bit++) {
		struct rec_request record = make_request(1);

		record.mark_flags = 1U << bit;
		record.flags = 0;
		assert_int_equal(decode_request(&record), 0);
		for (unsigned int i = 0; i < COUNT_OF(marks); i++)
			assert_int_equal(*marks[i], i == bit);
		record.mark_flags = 0;
		record.flags = 1U << bit;
		assert_int_equal(decode_request(&record), 0);
		for (unsigned int i = 0; i < COUNT_OF(flags); i++)
			assert_true(!flags[i] || *flags[i] == (i == bit));
		assert_int_equal(request->end_ns, bit == 1 ? 0 : record.end_ns);
	}
}

static void test_families(void **state)
{
	static const enum request_family expected[] = {FAMILY_UNSEEN, FAMILY_INET, FAMILY_INET6,
						       FAMILY_UNIX, FAMILY_OTHER};

	for (__u32 family = 0; family < COUNT_OF(expected); family++) {
		struct rec_request record = make_request(1);

		record.writes.family = family;
		assert_int_equal(decode_request(&record), 0);
		assert_int_equal(event.request.writes.family, expected[family]);
	}
}

static void test_states(void **state)
{
	struct rec_request record = make_request(1);
	const struct event_states *states = &event.request.states;

	record.queue_ns = 77;
	for (int i = 0; i < STATE_COUNT; i++)
		record.states.ns[i] = ~(__u64)i;
	record.states.client_read_ns = 101;
	record.states.gc_ns = 102;
	record.states.gc_count = 0xffffffff;
	assert_int_equal(decode_request(&record), 0);
	assert_int_equal(event.request.queue_ns, 77);
	for (int i = 0; i < REQUEST_STATES; i++)
		assert_true(states->ns[i] == ~(uint64_t)i);
	assert_int_equal(states->client_read_ns, 101);
	assert_int_equal(states->gc_ns, 102);
	assert_int_equal(states->gc_count, 0xffffffff);
	assert_string_equal(states->peer, "");
	assert_int_equal(states->peer_ns, 0);
}

/* As enum rec_state and enum request_state, by name: the order alone would not show an exchange. */
static void test_state_names(void **state)
{
	static const int pairs[][2] = {
		{STATE_CPU, REQUEST_CPU},
		{STATE_RUNNABLE, REQUEST_RUNNABLE},
		{STATE_GIL, REQUEST_GIL},
		{STATE_SOCKET_READ, REQUEST_SOCKET_READ},
		{STATE_SOCKET_WRITE, REQUEST_SOCKET_WRITE},
		{STATE_FILE, REQUEST_FILE},
		{STATE_LOCK, REQUEST_LOCK},
		{STATE_SLEEP, REQUEST_SLEEP},
		{STATE_OTHER, REQUEST_OTHER},
	};

	assert_int_equal(COUNT_OF(pairs), REQUEST_STATES);
	for (size_t i = 0; i < COUNT_OF(pairs); i++)
		assert_int_equal(pairs[i][0], pairs[i][1]);
}

static void test_state_flags(void **state)
{
	const struct event_states *states = &event.request.states;
	const bool *const flags[] = {&states->seen, &states->mixed, &states->gil_unseen,
				     &states->gc_seen};

	for (unsigned int bit = 0; bit < 32; bit++) {
		struct rec_request record = make_request(1);

		record.flags = 1U << bit;
		assert_int_equal(decode_request(&record), 0);
		for (unsigned int i = 0; i < COUNT_OF(flags); i++)
			assert_int_equal(*flags[i], 1U << bit == (unsigned int)REC_F_STATES << i);
	}
}

static void test_peers(void **state)
{
	static const struct {
		struct rec_peer peer;
		const char *expected;
	} cases[] = {
		{{.family = REC_FAMILY_NONE, .port = 80, .address = {1}}, ""},
		{{.family = REC_FAMILY_INET, .port = 5432, .address = {10, 0, 0, 5, 99}},
		 "10.0.0.5:5432"},
		{{.family = REC_FAMILY_INET, .port = 65535, .address = {255, 255, 255, 255}},
		 "255.255.255.255:65535"},
		{{.family = REC_FAMILY_INET6, .port = 6379, .address = {[15] = 1}}, "[::1]:6379"},
		/* The longest that there can be. */
		{{.family = REC_FAMILY_INET6,
		  .port = 65535,
		  .address = {0xff, 0xf1, 0xff, 0xf2, 0xff, 0xf3, 0xff, 0xf4, 0xff, 0xf5, 0xff,
			      0xf6, 0xff, 0xf7, 0xff, 0xf8}},
		 "[fff1:fff2:fff3:fff4:fff5:fff6:fff7:fff8]:65535"},
		{{.family = REC_FAMILY_UNIX, .port = 9, .address = {1}}, "unix"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct rec_request record = make_request(1);

		record.states.peer = cases[i].peer;
		record.states.peer.wait_ns = 1000 + i;
		assert_int_equal(decode_request(&record), 0);
		assert_string_equal(event.request.states.peer, cases[i].expected);
		assert_int_equal(event.request.states.peer_ns, 1000 + i);
	}
}

/* The kernel side names no other family: it has made no such record. */
static void test_peers_refused(void **state)
{
	static const __u32 families[] = {REC_FAMILY_OTHER, REC_FAMILY_OTHER + 1, 0x7fffffff,
					 0xffffffff};

	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct rec_request record = make_request(1);

		record.states.peer.family = families[i];
		assert_int_equal(decode_request(&record), -EBADMSG);
	}
}

static void test_strings(void **state)
{
	static const __u16 ucs2[] = {'a', 0xe9, 0x20ac, 0xd800};
	static const __u32 ucs4[] = {'a', 0x1f600, 0x110000};
	struct rec_request record = make_request(1);
	const struct event_request *request = &event.request;

	make_string(&record, STR_PATH, WSGISCOPE_STR_LATIN1, "/\xc3\xa9\xff\0", 5);
	make_string(&record, STR_ROUTE, WSGISCOPE_STR_LATIN1, "caf\xe9", 4);
	make_string(&record, STR_APP, WSGISCOPE_STR_UCS2, ucs2, sizeof(ucs2));
	make_string(&record, STR_TRACEPARENT, WSGISCOPE_STR_UCS4, ucs4, sizeof(ucs4));
	make_string(&record, STR_EXCEPTION, WSGISCOPE_STR_UTF8, "\xe2\x82\xac", 3);
	record.str[STR_EXCEPTION].cut = 1;
	record.str[STR_QUEUE] = (struct rec_str){.kind = WSGISCOPE_STR_LATIN1, .failed = 1};
	assert_int_equal(decode_request(&record), 0);
	check_text(request->path, "/\xc3\xa9\xff\0", 5); /* the bytes that the client sent */
	check_text(request->route, "caf\xc3\xa9", 5);	 /* text of the framework's own */
	check_text(request->app, "a\xc3\xa9\xe2\x82\xac\xed\xa0\x80", 9);
	check_text(request->traceparent, "a\xf0\x9f\x98\x80\xef\xbf\xbd", 8);
	check_text(request->exception, "\xe2\x82\xac", 3);
	check_text(request->script, "", 0);
	assert_true(request->exception.cut && !request->exception.failed);
	assert_true(request->queue.failed && !request->queue.text.ptr);
}

/* All strings at their longest and widest. */
static void test_strings_at_their_widest(void **state)
{
	static const unsigned int max[STR_COUNT] = {
		STR_METHOD_MAX,	     STR_SCRIPT_MAX, STR_PATH_MAX,  STR_QUEUE_MAX,
		STR_TRACEPARENT_MAX, STR_APP_MAX,    STR_ROUTE_MAX, STR_EXCEPTION_MAX,
	};
	static const unsigned int kinds[] = {WSGISCOPE_STR_LATIN1, WSGISCOPE_STR_UCS2,
					     WSGISCOPE_STR_UCS4, WSGISCOPE_STR_UTF8};
	static char ones[STR_TEXT_MAX];

	memset(ones, 0xff, sizeof(ones));
	for (unsigned int kind = 0; kind < COUNT_OF(kinds); kind++) {
		struct rec_request record = make_request(1);

		record.text_bytes = 0;
		for (unsigned int i = 0; i < STR_COUNT; i++)
			make_string(&record, i, kinds[kind], ones, max[i]);
		assert_int_equal(decode_request(&record), 0);
		for (unsigned int i = 0; i < STR_COUNT; i++) {
			record.str[i].bytes++;
			assert_int_equal(decode_request(&record), -EBADMSG);
			record.str[i].bytes--;
		}
	}
}

static void test_request_refused(void **state)
{
	struct rec_request good = make_request(1), bad;

	make_finish(&good);
	bad = good;
	bad.str[STR_PATH] = (struct rec_str){.offset = 65535, .bytes = 1, .kind = 1};
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad.str[STR_PATH] =
		(struct rec_str){.offset = (__u16)bad.text_bytes, .bytes = 1, .kind = 1};
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad.str[STR_PATH] = (struct rec_str){.kind = 3};
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad.str[STR_PATH] = (struct rec_str){.bytes = 3, .kind = WSGISCOPE_STR_UCS2};
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad.str[STR_PATH] = (struct rec_str){.bytes = 2, .kind = WSGISCOPE_STR_UCS4};
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad = good;
	bad.text_bytes++;
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad.text_bytes = 0xffffffff;
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
	bad = good;
	bad.writes.family = REC_FAMILY_OTHER + 1;
	assert_int_equal(decode(&bad, bad.h.size), -EBADMSG);
}

/* Cut at every byte, and with a size that says less or more than there is. */
static void test_framing(void **state)
{
	struct rec_request record = make_request(1);
	size_t whole;

	make_latin1(&record, STR_PATH, "/path");
	whole = make_finish(&record);
	for (size_t bytes = 0; bytes < whole; bytes++)
		assert_int_equal(decode(&record, bytes), -EBADMSG);
	for (__u32 size = 0; size < whole; size++) {
		record.h.size = size;
		assert_int_equal(decode(&record, whole), -EBADMSG);
	}
	record.h.size = (__u32)whole + 1;
	assert_int_equal(decode(&record, whole), -EBADMSG);
	record.h.size = sizeof(record) + 8;
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
}

static void test_version_and_kind(void **state)
{
	struct rec_header header = make_header(99, sizeof(header));

	assert_int_equal(decode(&header, sizeof(header)), -EPROTONOSUPPORT);
	header.kind = 0;
	assert_int_equal(decode(&header, sizeof(header)), -EPROTONOSUPPORT);
	header.kind = REC_BLOCK;
	header.version = REC_VERSION + 1;
	assert_int_equal(decode(&header, sizeof(header)), -EPROTONOSUPPORT);
}

/* Each kind of fixed size, one byte less and one more. */
static void test_fixed_sizes(void **state)
{
	static const struct {
		enum rec_kind kind;
		size_t bytes;
	} kinds[] = {
		{REC_BLOCK, sizeof(struct rec_block)},
		{REC_PROCESS, sizeof(struct rec_process)},
		{REC_WORKER, sizeof(struct rec_worker)},
		{REC_COUNTERS, sizeof(struct rec_counters)},
	};
	static char record[1024];

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		for (int off = -1; off <= 1; off += 2) {
			size_t bytes = kinds[i].bytes + (size_t)off;
			struct rec_header header = make_header(kinds[i].kind, bytes);

			memcpy(record, &header, sizeof(header));
			assert_int_equal(decode(record, bytes), -EBADMSG);
		}
	}
}

static void test_block(void **state)
{
	struct rec_block record = {.h = make_header(REC_BLOCK, sizeof(record)),
				   .id = 1,
				   .index = 2,
				   .bytes = 3,
				   .app_ns = 4,
				   .output_ns = 5};

	assert_int_equal(decode(&record, sizeof(record)), 0);
	assert_int_equal(event.kind, EVENT_IS_BLOCK);
	assert_int_equal(event.block.id, 1);
	assert_int_equal(event.block.index, 2);
	assert_int_equal(event.block.bytes, 3);
	assert_int_equal(event.block.app_ns, 4);
	assert_int_equal(event.block.output_ns, 5);
}

static void test_process(void **state)
{
	struct rec_process record = {.h = make_header(REC_PROCESS, sizeof(record)), .other = 9};
	static const enum event_process_what expected[] = {
		PROCESS_FORKED, PROCESS_EXECED, PROCESS_EXITED, PROCESS_NOTED, PROCESS_NOTED};

	for (__u32 what = 1; what <= COUNT_OF(expected); what++) {
		record.what = what;
		assert_int_equal(decode(&record, sizeof(record)), 0);
		assert_int_equal(event.process.what, expected[what - 1]);
		assert_int_equal(event.process.other, 9);
	}
	record.what = 0;
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
	record.what = 0xffffffff;
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
}

static void test_worker(void **state)
{
	struct rec_worker record = {.h = make_header(REC_WORKER, sizeof(record)),
				    .parent = 3,
				    .python = 0x030b02f0,
				    .server = "mod_wsgi"};

	assert_int_equal(decode(&record, sizeof(record)), 0);
	assert_int_equal(event.worker.parent, 3);
	assert_int_equal(event.worker.python, 0x030b02f0);
	assert_string_equal(event.worker.server, "mod_wsgi");
	assert_false(event.worker.has_marker);
	assert_int_equal(event.worker.app_source, APP_UNKNOWN);
	memset(record.server, 'x', sizeof(record.server));
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
	memcpy(record.server, "a\"b", 4);
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
	memcpy(record.server, "a\x1b", 3);
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
}

static void test_worker_app(void **state)
{
	struct rec_worker record = {.h = make_header(REC_WORKER, sizeof(record)),
				    .flags = REC_WORKER_MARKER,
				    .app = "any\n\xff"};

	assert_int_equal(decode(&record, sizeof(record)), 0);
	assert_true(event.worker.has_marker);
	assert_string_equal(event.worker.app, "any\n\xff");
	assert_int_equal(event.worker.app_source, APP_TITLE);
	record.flags |= REC_WORKER_APP_ADDRESS;
	assert_int_equal(decode(&record, sizeof(record)), 0);
	assert_int_equal(event.worker.app_source, APP_ADDRESS);
	memset(record.app, 'x', sizeof(record.app));
	assert_int_equal(decode(&record, sizeof(record)), -EBADMSG);
	/* As it was before there were applications. */
	record.h.size = offsetof(struct rec_worker, flags);
	assert_int_equal(decode(&record, record.h.size), 0);
	assert_true(event.worker.has_marker);
	assert_string_equal(event.worker.app, "");
	assert_int_equal(event.worker.app_source, APP_UNKNOWN);
}

/* Every event and every reason has a name of its own. */
static void test_counters(void **state)
{
	struct rec_counters record = {.h = make_header(REC_COUNTERS, sizeof(record))};
	const struct request_count *losses = event.counters.losses;

	for (int i = 0; i < EVENT_COUNT; i++)
		record.events[i] = 100 + (__u64)i;
	for (int i = 0; i < DROP_REASONS; i++)
		record.drops[i] = 200 + (__u64)i;
	assert_int_equal(decode(&record, sizeof(record)), 0);
	for (int i = 0; i < EVENT_COUNT; i++) {
		assert_non_null(event.counters.events[i].name);
		assert_int_equal(event.counters.events[i].value, 100 + i);
	}
	assert_null(event.counters.events[EVENT_COUNT].name);
	for (int i = 0; i < DROP_REASONS; i++) {
		assert_non_null(losses[i].name);
		assert_int_equal(losses[i].value, 200 + i);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(losses[i].name, losses[j].name);
	}
	assert_null(losses[DROP_REASONS].name);
	assert_string_equal(losses[DROP_STREAM].name, decode_stream_loss());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_numbers),
		cmocka_unit_test(test_request_flags),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_state_names),
		cmocka_unit_test(test_state_flags),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_peers_refused),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_strings_at_their_widest),
		cmocka_unit_test(test_request_refused),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_version_and_kind),
		cmocka_unit_test(test_fixed_sizes),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_worker_app),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
