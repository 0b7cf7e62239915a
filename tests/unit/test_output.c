/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stdout that is closed, full, or not read: what is said of it, and that it holds nobody up.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "unit.h"

static void test_file(void **state)
{
	char path[] = "/tmp/wsgiscope-output-XXXXXX", text[16] = "";
	int fd = mkstemp(path);
	struct output *output;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(output_open(fd, -1, &output), 0);
	fputs("hello\n", output_stream(output));
	assert_int_equal(pread(fd, text, sizeof(text), 0), 0); /* until it is flushed */
	assert_int_equal(output_flush(output), 0);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
	assert_string_equal(text, "hello\n");
	output_close(output);
	close(fd);
}

static void check_error(int fd, int expected)
{
	struct output *output;

	assert_int_equal(output_open(fd, -1, &output), 0);
	fputs("hello\n", output_stream(output));
	assert_int_equal(output_flush(output), expected);
	fputs("more\n", output_stream(output));
	assert_int_equal(output_flush(output), expected); /* the first failure stays */
	output_close(output);
}

static void test_errors(void **state)
{
	int full = open("/dev/full", O_WRONLY), read_only = open("/dev/null", O_RDONLY),
	    pipe_fds[2];

	assert_true(full >= 0 && read_only >= 0);
	check_error(full, -ENOSPC);
	check_error(read_only, -EBADF);
	assert_int_equal(pipe(pipe_fds), 0);
	close(pipe_fds[0]);
	check_error(pipe_fds[1], -EPIPE);
	close(pipe_fds[1]);
	close(full);
	close(read_only);
}

/* A reader who has stopped reading holds up nobody once the run is to end. */
static void test_stalled_reader(void **state)
{
	static char much[1 << 20];
	int stop = eventfd(1, EFD_CLOEXEC), pipe_fds[2] = {-1, -1};
	struct timespec before, after;
	struct output *output;

	assert_true(stop >= 0 && !pipe(pipe_fds));
	assert_int_equal(output_open(pipe_fds[1], stop, &output), 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	fwrite(much, 1, sizeof(much), output_stream(output));
	assert_int_equal(output_flush(output), -ECANCELED);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 0, 5);
	output_close(output);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(stop);
}

/* A pipe that does not block is waited for, not given up. */
static void test_nonblocking_pipe(void **state)
{
	static char much[300000], got[sizeof(much)];
	size_t received = 0;
	int pipe_fds[2];
	struct output *output;
	pid_t child;

	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		memset(much, 'x', sizeof(much));
		close(pipe_fds[0]);
		if (output_open(pipe_fds[1], -1, &output))
			_exit(1);
		fwrite(much, 1, sizeof(much), output_stream(output));
		_exit(output_flush(output) ? 1 : 0);
	}
	close(pipe_fds[1]);
	fcntl(pipe_fds[0], F_SETFL, 0);
	for (ssize_t part; (part = read(pipe_fds[0], got, sizeof(got))) > 0;)
		received += (size_t)part;
	assert_int_equal(received, sizeof(much));
	close(pipe_fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_stalled_reader),
		cmocka_unit_test(test_nonblocking_pipe),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
