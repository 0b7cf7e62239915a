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

/* What httpd sends to a daemon. */
static void handed(const char *path)
{
	char frame[128] = "";
	const uint64_t strings = 4;
	size_t bytes = 16;
	uint64_t size;

	bytes += (size_t)sprintf(frame + bytes, "REQUEST_METHOD") + 1;
	bytes += (size_t)sprintf(frame + bytes, "GET") + 1;
	bytes += (size_t)sprintf(frame + bytes, "PATH_INFO") + 1;
	bytes += (size_t)sprintf(frame + bytes, "%s", path) + 1;
	size = bytes - 8;
	memcpy(frame, &size, sizeof(size));
	memcpy(frame + 8, &strings, sizeof(strings));
	reads(frame, bytes);
}

/* Two turns at once: the outer one's state, while the inner one is made. */
static void daemon_serves(const char *path, uint64_t conn)
{
	uint32_t outer_pid = turn_pid;
	__typeof__(turn) outer = turn;

	as(DAEMON, conn);
	handed(path);
	writes_text(DAEMON_ANSWER);
	end_closed();
	turn_pid = outer_pid;
	turn = outer;
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
		ROW(test_once),
		ROW(test_its_own),
		ROW(test_marked),
		ROW(test_crossed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
