/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP side in the real loop, in a thread of its own, against raw clients. What takes long to
 * show (patience) is the end-to-end tests'.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "text_buffer.h"
#include "unit.h"

#define LARGE_BYTES 6000000 /* more than the sockets take */

/* How often each page was made; what the slow one is to cost and answer. */
static struct {
	unsigned int counts, larges;
	long cost_ms;
	int answer;
} made;

static unsigned int form_choose(const char *accept)
{
	return accept && strstr(accept, "fancy");
}

static const char *form_type(unsigned int form)
{
	return form ? "text/fancy" : "text/plain";
}

static int count_make(void *context, unsigned int form, struct text_buffer *out)
{
	const struct timespec cost = {.tv_nsec = made.cost_ms * 1000000};

	nanosleep(&cost, NULL);
	made.counts++;
	text_put_word(out, form ? "fancy " : "count ");
	text_put_number(out, made.counts);
	return made.answer;
}

static int large_make(void *context, unsigned int form, struct text_buffer *out)
{
	made.larges++;
	memset(text_room(out, LARGE_BYTES), 'x', LARGE_BYTES);
	out->bytes += LARGE_BYTES;
	return 0;
}

static const struct http_page pages[] = {
	{"/count", form_choose, form_type, count_make},
	{"/large", NULL, form_type, large_make},
	{0},
};

/* A source that never has anything. */
static int idle_fd(struct source *source)
{
	static int fd = -1;

	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC);
	return fd;
}

static int idle_dispatch(struct source *source, source_record_fn fn, void *context)
{
	return 1;
}

static int idle_finish(struct source *source, source_record_fn fn, void *context)
{
	return 0;
}

static const struct source_ops idle_ops = {
	.fd = idle_fd, .dispatch = idle_dispatch, .finish = idle_finish};

static int record_ignore(void *context, const void *record, size_t bytes)
{
	return 0;
}

static struct {
	struct loop *loop;
	struct http *http;
	int stop_fd;
	pthread_t thread;
	struct sockaddr_in where;
} daemon_state;

static int stop(void *context)
{
	return -ECANCELED;
}

static void *daemon_run(void *context)
{
	const struct loop_client client = {.on_record = record_ignore};
	struct source source = {.ops = &idle_ops};

	loop_run(daemon_state.loop, &source, &client, 0);
	return NULL;
}

static int port_free(void)
{
	socklen_t bytes = sizeof(daemon_state.where);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	daemon_state.where = (struct sockaddr_in){.sin_family = AF_INET,
						  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&daemon_state.where, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&daemon_state.where, &bytes), 0);
	close(fd);
	return ntohs(daemon_state.where.sin_port);
}

static int setup(void **state)
{
	char text[32];
	struct address address;

	memset(&made, 0, sizeof(made));
	snprintf(text, sizeof(text), "127.0.0.1:%d", port_free());
	assert_int_equal(address_resolve("--listen", text, &address), 0);
	assert_int_equal(loop_new(&daemon_state.loop), 0);
	assert_int_equal(http_open(&address, pages, NULL, &daemon_state.http), 0);
	assert_int_equal(http_serve(daemon_state.http, daemon_state.loop), 0);
	daemon_state.stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(loop_add(daemon_state.loop, daemon_state.stop_fd, stop, NULL), 0);
	return pthread_create(&daemon_state.thread, NULL, daemon_run, NULL);
}

static int teardown(void **state)
{
	uint64_t one = 1;

	assert_int_equal(write(daemon_state.stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(daemon_state.thread, NULL);
	http_close(daemon_state.http);
	loop_free(daemon_state.loop);
	close(daemon_state.stop_fd);
	return 0;
}

static int client_connect(void)
{
	const struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
		connect(fd, (struct sockaddr *)&daemon_state.where, sizeof(daemon_state.where)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void client_send(int fd, const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t sent = send(fd, text, bytes, MSG_NOSIGNAL);

		if (sent < 0)
			return; /* it was cut off, as some are to be */
		text += sent;
		bytes -= (size_t)sent;
	}
}

/* All that comes until the daemon closes, terminated; the caller frees. */
static char *client_receive(int fd, size_t *bytes)
{
	size_t room = 65536;
	char *text = malloc(room);
	ssize_t got;

	*bytes = 0;
	while ((got = recv(fd, text + *bytes, room - *bytes - 1, 0)) > 0) {
		*bytes += (size_t)got;
		if (room - *bytes < 4096)
			text = realloc(text, room *= 2);
	}
	text[*bytes] = '\0';
	close(fd);
	return text;
}

/* The answer to some bytes on a connection of its own. */
static char *ask(const char *request)
{
	size_t bytes;
	int fd = client_connect();

	client_send(fd, request, strlen(request));
	return client_receive(fd, &bytes);
}

#define GET(path, headers)                                                                         \
	"GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" headers "\r\n"

static void check_answer(const char *request, const char *status, const char *part)
{
	char *answer = ask(request);

	if (strncmp(answer, status, strlen(status)) || (part && !strstr(answer, part)))
		fail_msg("asked: %.60s\nexpected %s and %s, got: %s", request, status,
			 part ? part : "nothing more", answer);
	free(answer);
}

static void test_pages(void **state)
{
	check_answer(GET("/count", ""), "HTTP/1.1 200", "\r\n\r\ncount 1");
	check_answer(GET("/count", "Accept: fancy\r\n"), "HTTP/1.1 200", "text/fancy");
	check_answer(GET("/count?x=y", ""), "HTTP/1.1 200", "count");
	check_answer(GET("/count", "Accept-Encoding: gzip\r\n"), "HTTP/1.1 200",
		     "Content-Encoding: gzip");
	check_answer("HEAD /count HTTP/1.0\r\n\r\n", "HTTP/1.", "Content-Length: ");
	check_answer(GET("/nothing", ""), "HTTP/1.1 404", NULL);
	check_answer(GET("/count/", ""), "HTTP/1.1 404", NULL);
	check_answer("DELETE /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		     "HTTP/1.1 405", "Allow: GET, HEAD");
}

/* A page that cannot be made is no crash and no empty page. */
static void test_page_fails(void **state)
{
	made.answer = -ENOMEM;
	check_answer(GET("/count", ""), "HTTP/1.1 503", "Retry-After: 1");
	made.answer = 0;
	check_answer(GET("/count", ""), "HTTP/1.1 200", "count 2");
}

static void test_malformed(void **state)
{
	static const char *const mad[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET /count\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* TLS */
		"GET /count HTTP/9.9\r\n\r\n",
		"GET /count HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
		"GET /%00%ff%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /count HTTP/1.1\r\n: empty\r\nHost\r\n\r\n",
	};

	for (size_t i = 0; i < COUNT_OF(mad); i++) {
		int fd = client_connect();
		size_t bytes;

		client_send(fd, mad[i], strlen(mad[i]));
		shutdown(fd, SHUT_WR);
		free(client_receive(fd, &bytes));
	}
	check_answer(GET("/count", ""), "HTTP/1.1 200", NULL);
}

/* Headers and request lines without an end, a body without one. */
static void test_oversized(void **state)
{
	size_t bytes = 1 << 20;
	char *text = malloc(bytes);
	static const char *const heads[] = {
		"GET /",
		"GET /count HTTP/1.1\r\nX: ",
		"GET /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n",
		"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n",
	};

	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		int fd = client_connect();
		size_t got;

		memset(text, 'a', bytes);
		memcpy(text, heads[i], strlen(heads[i]));
		client_send(fd, text, bytes);
		free(client_receive(fd, &got)); /* 4xx, or just cut off: it has ended */
	}
	free(text);
	check_answer(GET("/count", ""), "HTTP/1.1 200", NULL);
}

/* Several requests on a connection, one after the other and at once. */
static void test_keep_alive(void **state)
{
	static const char request[] = "GET /count HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = client_connect();
	char *answers;
	size_t bytes;
	int count = 0;

	for (int i = 0; i < 3; i++)
		client_send(fd, request, strlen(request));
	client_send(fd, GET("/count", ""), strlen(GET("/count", "")));
	answers = client_receive(fd, &bytes);
	for (char *at = answers; (at = strstr(at, "HTTP/1.1 200")); at++)
		count++;
	assert_int_equal(count, 4);
	free(answers);
}

/* Who asks while an answer is fresh gets the same: a hundred scrapers cost as much as one. */
static void test_hundred_share(void **state)
{
	int fds[100];

	made.cost_ms = 50;
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = client_connect();
		client_send(fds[i], GET("/count", ""), strlen(GET("/count", "")));
	}
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		size_t bytes;
		char *answer = client_receive(fds[i], &bytes);

		assert_non_null(strstr(answer, "HTTP/1.1 200"));
		free(answer);
	}
	assert_in_range(made.counts, 1, 3);
}

/* Until its answer begins: ms. */
static unsigned int client_wait(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(poll(&readable, 1, 10000), 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
}

/*
 * Clients that ask for a large page and do not read it: only so many pages are alive at once, the
 * others share one, and who reads gets all of it meanwhile. An answer is shared for twenty times
 * what it cost: the first one's time is waited for, however slow the machine is.
 */
static void test_slow_readers(void **state)
{
	int fds[40];
	size_t bytes;
	char *answer;

	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = client_connect();
		client_send(fds[i], GET("/large", ""), strlen(GET("/large", "")));
		usleep(i ? 40000 : 20 * 1000 * (client_wait(fds[i]) + 1));
	}
	answer = ask(GET("/large", ""));
	assert_non_null(strstr(answer, "HTTP/1.1 200"));
	assert_int_equal(strspn(strstr(answer, "\r\n\r\n") + 4, "x"), LARGE_BYTES);
	free(answer);
	assert_in_range(made.larges, 2, 17);
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		answer = client_receive(fds[i], &bytes);
		assert_true(bytes > LARGE_BYTES);
		free(answer);
	}
}

/* Over a hundred that say nothing: after a second the oldest go, and who asks is answered. */
static void test_crowd(void **state)
{
	int fds[200];
	char *answer = NULL;

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = client_connect();
	for (int i = 0; i < 40 && (!answer || !*answer); i++) {
		usleep(100000);
		free(answer);
		answer = ask(GET("/count", ""));
	}
	assert_non_null(strstr(answer, "HTTP/1.1 200"));
	free(answer);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
}

static void test_port_taken(void **state)
{
	struct address address = {.bytes = sizeof(daemon_state.where)};
	struct http *http;

	memcpy(&address.socket, &daemon_state.where, sizeof(daemon_state.where));
	assert_int_equal(http_open(&address, pages, NULL, &http), -EADDRINUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oversized, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hundred_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_taken, setup, teardown),
	};

	log_level_set(LOG_LEVEL_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
