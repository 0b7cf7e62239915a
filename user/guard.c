/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the guarding child and the pipe whose end tells it that the tracer has gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "privilege.h"
#include "tracefs.h"

/* A tracer that was killed still holds its probes until the kernel has closed them one by one,
 * which takes seconds where much else runs. */
#define REMOVE_SECONDS 60

struct guard {
	pid_t pid;
	int pipe;
};

/* The child: nothing of the parent's may stay open here, least of all a pipe that a script reads
 * to its end. tracefs keeps its own descriptor, the pipe is moved out of the way. */
static void guard_run(const struct tracefs *tracefs, int keep, int pipe, const char *group)
{
	char byte;

	setsid();
	prctl(PR_SET_NAME, "wsgiscope-guard");
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	for (int fd = 0, max = sysconf(_SC_OPEN_MAX); fd < max && fd < 4096; fd++)
		if (fd != keep && fd != pipe)
			close(fd);
	if (chdir("/") || privilege_drop_all())
		_exit(1);
	while (read(pipe, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(tracefs_uprobes_remove(tracefs, group, REMOVE_SECONDS) ? 1 : 0);
}

int guard_start(struct tracefs *tracefs, const char *group, struct guard **out)
{
	struct guard *guard = calloc(1, sizeof(*guard));
	int ends[2];

	if (!guard)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC)) {
		free(guard);
		return -errno;
	}
	guard->pid = fork();
	if (!guard->pid)
		guard_run(tracefs, tracefs_fd(tracefs), ends[0], group);
	close(ends[0]);
	guard->pipe = ends[1];
	if (guard->pid < 0) {
		int err = -errno;

		close(ends[1]);
		free(guard);
		return err;
	}
	*out = guard;
	return 0;
}

/* The child that holds: it lets go of what somebody else may wait for the end of. */
static void hold_run(int pipe)
{
	char byte;

	setsid();
	prctl(PR_SET_NAME, "wsgiscope-hold");
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	privilege_drop_all();
	while (read(pipe, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

void guard_hold(void)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		close(ends[1]);
		hold_run(ends[0]);
	}
	close(ends[0]);
	if (pid < 0)
		close(ends[1]);
	/* Else our end stays open for as long as we live. */
}

void guard_stop(struct guard *guard, bool wait)
{
	if (!guard)
		return;
	close(guard->pipe);
	while (wait && waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(guard);
}
