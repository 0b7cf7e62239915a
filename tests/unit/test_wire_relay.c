/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that one process of a server hands on to another: told once, by who got it.
 */
#include "turn_make.h"

#define HTTPD  RELAY
#define DAEMON (RELAY + 1)

#define DAEMON_ANSWER "Status: 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* Which process reads and writes from here on. */
static void as(uint32_t pid, uint64_t conn)
{
	turn_pid = pid;
	begin_on(conn);
}

static void asked(const char *path)
{
	char head[128];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	reads_text(head);
}

static size_t var_put(char *out, const char *key, const char *value)
{
	size_t bytes = (size_t)sprintf(out, "%s", key) + 1;

	return bytes + (size_t)sprintf(out + bytes, "%s", value) + 1;
}

/* What httpd sends to a daemon; uri: NULL, without what the client asked for. */
static void handed_as(const char *path, const char *uri)
{
	const uint64_t strings = uri ? 6 : 4;
	char frame[256] = "";
	size_t bytes = 16;
	uint64_t size;

	bytes += var_put(frame + bytes, "REQUEST_METHOD", "GET");
	bytes += var_put(frame + bytes, "PATH_INFO", path);
	if (uri)
		bytes += var_put(frame + bytes, "REQUEST_URI", uri);
	size = bytes - 8;
	memcpy(frame, &size, sizeof(size));
	memcpy(frame + 8, &strings, sizeof(strings));
	reads(frame, bytes);
}

static void handed(const char *path)
{
	handed_as(path, NULL);
}

/* Two turns at once: the outer one's state, while the inner one is made. */
static void daemon_serves_as(const char *path, const char *uri, uint64_t conn)
{
	uint32_t outer_pid = turn_pid;
	__typeof__(turn) outer = turn;

	as(DAEMON, conn);
	handed_as(path, uri);
	writes_text(DAEMON_ANSWER);
	end_closed();
	turn_pid = outer_pid;
	turn = outer;
}

static void daemon_serves(const char *path, uint64_t conn)
{
	daemon_serves_as(path, NULL, conn);
}

static void test_once(void **state)
{
	as(HTTPD, 1);
	asked("/a");
	daemon_serves("/a", 2);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	assert_string_equal(made[0].path, "/a");
	assert_int_equal(made[0].request.writes.bytes, strlen(DAEMON_ANSWER));
	assert_int_equal(wire_relayed(wire), 1);
	check_lost(WIRE_LOSSES, 0);
}

/* A file, or an application in httpd itself. */
static void test_its_own(void **state)
{
	as(HTTPD, 1);
	asked("/a");
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 1);
	daemon_serves("/a", 2);
	assert_int_equal(made_count, 2);
	as(HTTPD, 1);
	asked("/a"); /* after the daemon had read the other one */
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 3);
	as(HTTPD, 1);
	asked("/b");
	daemon_serves("/c", 2);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 5);
	assert_int_equal(wire_relayed(wire), 0);
}

/* httpd has made another path of what the client asked for (mod_rewrite). */
static void test_rewritten(void **state)
{
	static const char *const targets[] = {"/old?a=1", "http://a/old?a=1"};

	for (int i = 0; i < 2; i++) {
		as(HTTPD, 1);
		asked(targets[i]);
		daemon_serves_as("/new", "/old?a=1", 2);
		writes_text(OK_ANSWER);
		end();
		assert_int_equal(made_count, i + 1);
		assert_string_equal(made[i].path, "/new");
		assert_int_equal(wire_relayed(wire), i + 1);
	}
	as(HTTPD, 1);
	asked("/old?a=2"); /* which httpd answers itself */
	daemon_serves_as("/new", "/old?a=1", 2);
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 4);
	assert_int_equal(wire_relayed(wire), 2);
}

/* A marker tells of the daemon's. */
static void test_marked(void **state)
{
	__typeof__(turn) outer;

	as(HTTPD, 1);
	asked("/a");
	outer = turn;
	as(DAEMON, 2);
	handed("/a");
	record()->turn.is_turn = false;
	give(EVENT_IS_REQUEST);
	turn_pid = HTTPD;
	turn = outer;
	writes_text(OK_ANSWER);
	end();
	assert_int_equal(made_count, 0);
	assert_int_equal(wire_relayed(wire), 1);
}

/*
 * The same asked for twice at once. The first one's answer ends last, and yet it is told of first:
 * it takes the daemon's that only the second one can have had, which has to get the other.
 */
static void test_crossed(void **state)
{
	__typeof__(turn) one, two;
	uint64_t two_ns;

	as(HTTPD, 1);
	asked("/a");
	one = turn;
	as(HTTPD, 3);
	asked("/a");
	daemon_serves("/a", 2);
	writes_text(OK_ANSWER);
	two = turn;
	two_ns = now_ns;
	turn = one;
	daemon_serves("/a", 4);
	writes_text(OK_ANSWER);
	end();
	turn = two;
	record()->end_ns = event.request.turn.last_ns = two_ns;
	give(EVENT_IS_REQUEST);
	assert_int_equal(made_count, 2);
	assert_int_equal(wire_relayed(wire), 2);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_once),	  ROW(test_its_own), ROW(test_rewritten),
		ROW(test_marked), ROW(test_crossed),
	};

	return run_twice(tests, sizeof(tests) / sizeof(tests[0]));
}
