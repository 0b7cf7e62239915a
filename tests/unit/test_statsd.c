/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datagrams as a receiver gets them: names, types, tags, how many share one; and a receiver
 * that is not there.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "request.h"
#include "sink.h"
#include "unit.h"

#define LARGEST 1432

#define TEXT(word) ((struct request_text){word, sizeof(word) - 1})

/* A socket of ours on a free port, whose address is written down. */
static int receiver_open(char where[32])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	snprintf(where, 32, "127.0.0.1:%d", ntohs(address.sin_port));
	return fd;
}

static void *sink_open_to(const struct sink *sink, const char *where)
{
	const struct config config = {.statsd = where, .dogstatsd = where};
	void *state;

	assert_int_equal(sink->open(&config, NULL, &state), 0);
	return state;
}

static struct request request_make(void)
{
	return (struct request){
		.method = TEXT("GET"),
		.path = TEXT("/secret"),
		.route = TEXT("/issue/<int:id>"),
		.app = TEXT("shop"),
		.status = 404,
		.wire_status = 500,
		.application_ns = 1234567,
		.output_ns = 1000000,
		.blocks = 3,
		.bytes = 70000,
	};
}

/* What the receiver has of these requests, all in one datagram. */
static void check_datagram(const struct sink *sink, const struct request *request,
			   const char *expected)
{
	char where[32], got[LARGEST + 1];
	int fd = receiver_open(where);
	void *state = sink_open_to(sink, where);
	ssize_t bytes;

	assert_int_equal(sink->on_request(state, request), 0);
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1); /* it waits for more */
	sink->on_batch(state);
	bytes = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(bytes >= 0);
	got[bytes] = '\0';
	assert_string_equal(got, expected);
	sink->on_batch(state);
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1); /* nothing twice, nothing empty */
	assert_int_equal(sink->lost(state), 0);
	sink->close(state);
	close(fd);
}

static void test_statsd(void **state)
{
	const struct request request = request_make();

	check_datagram(&sink_statsd, &request,
		       "wsgi.application.requests:1|c\n"
		       "wsgi.application.requests.application_time:1.234567|ms\n"
		       "wsgi.application.requests.output_time:1|ms\n"
		       "wsgi.application.requests.output_blocks:3|h\n"
		       "wsgi.application.requests.output_length:70000|h");
}

#define TAGS "|#method:GET,status:404,route:/issue/<int:id>,app:shop"

static void test_dogstatsd(void **state)
{
	const struct request request = request_make();

	check_datagram(&sink_dogstatsd, &request,
		       "wsgi.application.requests:1|c" TAGS "\n"
		       "wsgi.application.requests.application_time:1.234567|ms" TAGS "\n"
		       "wsgi.application.requests.output_time:1|ms" TAGS "\n"
		       "wsgi.application.requests.output_blocks:3|h" TAGS "\n"
		       "wsgi.application.requests.output_length:70000|h" TAGS);
}

/* What was not seen is not sent, least of all as 0. */
static void test_unseen(void **state)
{
	struct request request = request_make();

	request.application_ns = request.output_ns = request.blocks = REQUEST_UNSEEN;
	request.bytes = 0;
	check_datagram(&sink_statsd, &request,
		       "wsgi.application.requests:1|c\n"
		       "wsgi.application.requests.output_length:0|h");
	request.bytes = REQUEST_UNSEEN;
	request.status = request.wire_status = REQUEST_UNSEEN;
	request.route = request.app = (struct request_text){NULL, 0};
	check_datagram(&sink_dogstatsd, &request, "wsgi.application.requests:1|c|#method:GET");
}

/* What a worker says cannot end a tag, a line or a datagram, nor make up a metric. */
static void test_hostile(void **state)
{
	struct request request = request_make();

	request.application_ns = request.output_ns = request.blocks = request.bytes =
		REQUEST_UNSEEN;
	request.method = TEXT("G\nET");
	request.status = 99999;
	request.route = TEXT("/a,b|c#d\nx.y:1|c\xff\xc3\xa9 \x7f\0z");
	request.app = TEXT("");
	check_datagram(&sink_dogstatsd, &request,
		       "wsgi.application.requests:1|c|#method:other,"
		       "route:/a_b_c_d_x.y:1_c_\xc3\xa9___z");
}

/* However many requests, however long their tags: no datagram is too large, no line is cut. */
static void test_packed(void **state)
{
	struct request request = request_make();
	char where[32], got[65536], *route = malloc(5000);
	int fd = receiver_open(where), datagrams = 0, lines = 0;
	void *sink = sink_open_to(&sink_dogstatsd, where);

	memset(route, 'r', 5000);
	request.route = (struct request_text){route, 5000};
	for (int i = 0; i < 20; i++)
		assert_int_equal(sink_dogstatsd.on_request(sink, &request), 0);
	sink_dogstatsd.on_batch(sink);
	for (ssize_t bytes; (bytes = recv(fd, got, sizeof(got) - 1, 0)) > 0; datagrams++) {
		assert_in_range(bytes, 1, LARGEST);
		got[bytes] = '\0';
		for (char *rest = got, *line; (line = strsep(&rest, "\n")); lines++)
			assert_int_equal(strncmp(line, "wsgi.application.requests", 25), 0);
	}
	assert_int_equal(lines, 5 * 20);
	assert_in_range(datagrams, 2, 50); /* several lines share one */
	assert_int_equal(sink_dogstatsd.lost(sink), 0);
	sink_dogstatsd.close(sink);
	close(fd);
	free(route);
}

/* Each refusal is counted; when the receiver is back, the next datagram reaches it. */
static void test_dead_receiver(void **state)
{
	const struct request request = request_make();
	char where[32], got[LARGEST];
	int fd = receiver_open(where), back;
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);
	void *sink = sink_open_to(&sink_statsd, where);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	close(fd);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(sink_statsd.on_request(sink, &request), 0);
		sink_statsd.on_batch(sink);
	}
	assert_int_equal(sink_statsd.lost(sink), 9); /* of the last one nothing is known yet */
	back = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(back, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(sink_statsd.on_request(sink, &request), 0);
	sink_statsd.on_batch(sink);
	assert_int_equal(sink_statsd.lost(sink), 10);
	assert_true(recv(back, got, sizeof(got), 0) > 0);
	sink_statsd.close(sink);
	close(back);
}

static void test_does_not_open(void **state)
{
	const struct config config = {.statsd = "nobody.invalid:1"};
	void *sink;

	assert_true(sink_statsd.open(&config, NULL, &sink) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statsd),	      cmocka_unit_test(test_dogstatsd),
		cmocka_unit_test(test_unseen),	      cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_packed),	      cmocka_unit_test(test_dead_receiver),
		cmocka_unit_test(test_does_not_open),
	};

	log_level_set(LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
