// LINK: user/listening.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listening.c against this process's own sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "listening.h"

/* A socket of 127.0.0.1 or [::1] on a free port; its address as it is to be shown. */
static int inet_socket(int family, bool listening, char *shown)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr *address = family == AF_INET ? (void *)&in : (void *)&in6;
	socklen_t bytes = family == AF_INET ? sizeof(in) : sizeof(in6);
	int fd = socket(family, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, address, bytes), 0);
	assert_int_equal(getsockname(fd, address, &bytes), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	if (family == AF_INET)
		sprintf(shown, "127.0.0.1:%u", ntohs(in.sin_port));
	else
		sprintf(shown, "[::1]:%u", ntohs(in6.sin6_port));
	return fd;
}

static int unix_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* What is remembered of the host is two seconds old at most. */
static void check_address(const char *expected)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000000};
	char out[128] = "";

	for (int i = 0; i < 250 && strcmp(out, expected) != 0; i++) {
		if (i)
			nanosleep(&pause, NULL);
		listening_address(getpid(), out, sizeof(out));
	}
	assert_string_equal(out, expected);
}

static void test_none(void **state)
{
	char out[64], shown[64];
	int fd = inet_socket(AF_INET, false, shown); /* bound alone is not listening */

	assert_int_equal(listening_address(getpid(), out, sizeof(out)), -ENOENT);
	assert_string_equal(out, "");
	assert_int_equal(listening_address(0x7ffffff0, out, sizeof(out)), -ENOENT);
	close(fd);
}

static void test_inet(void **state)
{
	char out[64], first[64], second[64];
	int fd = inet_socket(AF_INET, true, first);
	int other = inet_socket(AF_INET, true, second);

	check_address(first);
	close(fd);
	check_address(second);
	assert_int_equal(listening_address(getpid(), out, 4), -ENOENT);
	close(other);
}

static void test_inet6(void **state)
{
	char first[64], second[64];
	int fd = inet_socket(AF_INET6, true, first);
	int other = inet_socket(AF_INET, true, second);

	check_address(first);
	close(fd);
	close(other);
}

/* A name with a space and what looks like another line's fields; TCP goes first. */
static void test_unix(void **state)
{
	char directory[] = "/tmp/wsgiscope-listening-XXXXXX", path[64], out[128], expected[80];
	char shown[64];
	int fd, other;

	assert_non_null(mkdtemp(directory));
	sprintf(path, "%s/a 0 1", directory);
	sprintf(expected, "unix:%s", path);
	fd = unix_socket(path);
	check_address(expected);
	assert_int_equal(listening_address(getpid(), out, strlen(expected)), -ENOENT);
	other = inet_socket(AF_INET, true, shown);
	check_address(shown);
	close(fd);
	close(other);
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_inet),
		cmocka_unit_test(test_inet6),
		cmocka_unit_test(test_unix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
