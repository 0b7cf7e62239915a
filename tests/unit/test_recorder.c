/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes into a recording: of connections the requests that they make, and not a byte of theirs
 * that no output shows; all else as it came.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decode.h"
#include "log.h"
#include "record_make.h"
#include "recorder.h"
#include "source.h"
#include "unit.h"

#define TURN 5
#define CONN 4711

static char path[] = "/tmp/wsgiscope-unit-XXXXXX";
static struct recorder *recorder;
static struct recording *recording;
static char file[65536];
static size_t file_bytes;

static int setup(void **state)
{
	const struct source_clock clock = {42};
	int fd = mkstemp(path);

	log_level_set(LOG_LEVEL_NONE);
	if (fd < 0 || close(fd) || recording_create(path, &recording) ||
	    recorder_new(recording, path, &recorder))
		return -1;
	recorder_begin(recorder, &clock);
	return 0;
}

static int teardown(void **state)
{
	recorder_free(recorder);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return 0;
}

static void put(const void *record, size_t bytes)
{
	assert_int_equal(recorder_record(recorder, record, bytes), 0);
}

static void bytes_put(enum rec_wire_what what, __u64 offset, const char *text)
{
	struct {
		struct rec_wire_bytes head;
		char data[512];
	} record = {.head.h = make_header(REC_WIRE, 0)};
	size_t bytes = strlen(text);

	record.head.h.size = (__u32)(sizeof(record.head) + ((bytes + 7) & ~7UL));
	record.head.conn = CONN;
	record.head.id = TURN;
	record.head.offset = offset;
	record.head.what = what;
	record.head.bytes = (__u32)bytes;
	memcpy(record.data, text, bytes);
	put(&record, record.head.h.size);
}

static void turn_put(size_t in, size_t out, __u32 flags)
{
	struct rec_request r = make_request(TURN);

	r.conn = CONN;
	r.flags = REC_F_WIRE | flags;
	r.mark_flags = 0;
	r.text_bytes = 0;
	memset(r.str, 0, sizeof(r.str));
	r.reads = (struct rec_reads){.bytes = in, .calls = 1};
	r.writes.bytes = out;
	put(&r, make_finish(&r));
}

static void counters_put(void)
{
	struct rec_counters counters = {.h = make_header(REC_COUNTERS, sizeof(counters))};

	put(&counters, sizeof(counters));
}

/* Ends the recording, and takes in what is in the file. */
static void end(void)
{
	FILE *stream;

	assert_int_equal(recorder_end(recorder, 0), 0);
	assert_int_equal(recording_close(recording), 0);
	stream = fopen(path, "r");
	assert_non_null(stream);
	file_bytes = fread(file, 1, sizeof(file), stream);
	fclose(stream);
}

static void absent(const char *text)
{
	assert_null(memmem(file, file_bytes, text, strlen(text)));
}

struct found {
	unsigned int requests, wire, others;
	struct event event; /* the last request */
	struct event_counters counters;
};

static int see(void *context, const void *record, size_t bytes)
{
	static struct event event;
	struct found *found = context;

	assert_int_equal(decode_record(record, bytes, &event), 0);
	found->requests += event.kind == EVENT_IS_REQUEST;
	found->wire += event.kind == EVENT_IS_WIRE || event.request.turn.is_turn;
	if (event.kind == EVENT_IS_REQUEST)
		decode_record(record, bytes, &found->event);
	else if (event.kind == EVENT_IS_COUNTERS)
		found->counters = event.counters;
	else
		found->others++;
	return 0;
}

static struct found *replay(void)
{
	static struct found found;
	struct source *source;

	memset(&found, 0, sizeof(found));
	assert_int_equal(source_file_open(path, &source), 0);
	while (source->ops->dispatch(source, see, &found) > 0)
		;
	source->ops->close(source);
	unlink(path);
	return &found;
}

static uint64_t lost(const struct found *found, const char *name)
{
	for (const struct request_count *count = found->counters.losses; count->name; count++)
		if (!strcmp(count->name, name))
			return count->value;
	fail_msg("there is no loss %s", name);
	return 0;
}

#define HEAD                                                                                       \
	"POST http://me:hidden-userinfo@h/shown?q=hidden-query HTTP/1.1\r\n"                       \
	"Authorization: Basic hidden-credential\r\nCookie: hidden-cookie\r\n"                      \
	"X-Request-Start: t=1.5\r\nContent-Length: 11\r\n\r\n"
#define BODY   "hidden-body"
#define ANSWER "HTTP/1.1 200 OK\r\nSet-Cookie: hidden-set\r\nContent-Length: 10\r\n\r\nhidden-out"

/* A head in three pieces, through which a cookie goes. */
static void test_nothing_hidden(void **state)
{
	struct found *found;
	const char *cut = strstr(HEAD, "-cookie"), *rest = cut + 3;
	char first[512] = "", second[8] = "";

	memcpy(first, HEAD, (size_t)(cut - HEAD));
	memcpy(second, cut, 3);
	bytes_put(WIRE_READ, 0, first);
	bytes_put(WIRE_READ, strlen(first), second);
	bytes_put(WIRE_READ, (size_t)(rest - HEAD), rest);
	bytes_put(WIRE_READ, strlen(HEAD), BODY);
	bytes_put(WIRE_WRITTEN, 0, ANSWER);
	turn_put(strlen(HEAD BODY), strlen(ANSWER), 0);
	counters_put();
	end();
	absent("hidden");
	absent("Cookie");
	found = replay();
	assert_int_equal(found->requests, 1);
	assert_int_equal(found->wire + found->others, 0);
	assert_true(found->event.request.turn.made);
	assert_int_equal(found->event.request.writes.status, 200);
	assert_int_equal(found->event.request.reads.bytes, strlen(HEAD BODY));
	assert_int_equal(found->event.request.path.text.bytes, 6);
	assert_memory_equal(found->event.request.path.text.ptr, "/shown", 6);
	assert_memory_equal(found->event.request.queue.text.ptr, "t=1.5", 5);
}

/* What never became a request is counted in the file, and not there. */
static void test_losses(void **state)
{
	struct found *found;

	bytes_put(WIRE_READ, 0, "hidden in a protocol that is not known\r\n");
	turn_put(40, 0, REC_F_NO_END);
	counters_put();
	bytes_put(WIRE_READ, 0, "GET /hidden-unfinished");
	end();
	absent("hidden");
	found = replay();
	assert_int_equal(found->requests, 0);
	assert_int_equal(lost(found, "wire_foreign"), 1);
	assert_int_equal(lost(found, "wire_tls"), 0);
}

/* A record of a connection that makes no sense is not written either. */
static void test_senseless(void **state)
{
	struct rec_wire_bytes record = {.h = make_header(REC_WIRE, sizeof(record)), .what = 77};
	struct found *found;

	put(&record, sizeof(record));
	counters_put();
	end();
	found = replay();
	assert_int_equal(found->wire, 0);
	assert_int_equal(lost(found, "stream"), 1);
}

/* The disk is full: what comes then is counted, be it by the marker or by the wire. */
static void test_full_disk(void **state)
{
	struct rlimit old, limit;
	struct found *found;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){8192, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned int i = 0; i < 40; i++) {
		struct rec_request r = make_request(i);

		put(&r, make_finish(&r));
		bytes_put(WIRE_READ, 0, HEAD);
		bytes_put(WIRE_READ, strlen(HEAD), BODY);
		bytes_put(WIRE_WRITTEN, 0, ANSWER);
		turn_put(strlen(HEAD BODY), strlen(ANSWER), 0);
		if (i == 20)
			assert_int_equal(recorder_batch(recorder), -EFBIG);
	}
	counters_put();
	assert_int_equal(recorder_end(recorder, -EFBIG), -EFBIG);
	assert_int_equal(recording_close(recording), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	found = replay();
	assert_in_range(found->requests, 8, 40);
	assert_int_equal(found->requests + lost(found, "unwritten"), 80);
}

/* A marked request is written as it came. */
static void test_marked(void **state)
{
	struct rec_request r = make_request(1);
	struct found *found;

	put(&r, make_finish(&r));
	counters_put();
	end();
	assert_non_null(memmem(file, file_bytes, &r, r.h.size));
	found = replay();
	assert_int_equal(found->requests, 1);
	assert_false(found->event.request.turn.made);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_nothing_hidden), ROW(test_losses), ROW(test_senseless),
		ROW(test_full_disk),	  ROW(test_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
