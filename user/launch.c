/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the two children: the order in which they begin and end, the pipes between them, and the
 * signals. Must not know what the tracer shows, nor what the command is.
 *
 * The command is an ordinary child, in our process group, with the signals as we found them. It
 * stands still until a byte comes through the pipe `go`; by then its tracer, who knows its PID and
 * finds the marker in it, is attached, or has failed, which is no reason not to begin. The tracer
 * is in a process group of its own: what a terminal's Ctrl-C ends is the command, and what the
 * tracer has to say comes after.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "log.h"
#include "marker_home.h"

/* What servers take orders by. SIGCHLD is ours. */
static const int forwarded[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH};

struct launch {
	char *const *command;
	const char *home;
	const struct launch_tracer *tracer;
	pid_t server_pid, tracer_pid; /* 0: it has ended, or was never there */
	int server_end, tracer_end;   /* as waitpid() has them */
	int go[2];		      /* to the server: begin; closed: do not */
	int failed[2];		      /* from the server: errno of its exec */
	int ready[2];		      /* from the tracer: a byte once it is attached */
	int signal_fd;
	sigset_t old_signals;
};

int launch_refuse(const char *command, int error)
{
	log_error("cannot run %s: %s", command, strerror(error));
	return error == ENOENT ? LAUNCH_NOT_FOUND : LAUNCH_CANNOT_RUN;
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int signals_take(struct launch *launch)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&signals, forwarded[i]);
	if (sigprocmask(SIG_BLOCK, &signals, &launch->old_signals))
		return -errno;
	launch->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return launch->signal_fd < 0 ? -errno : 0;
}

static void server_child(struct launch *launch)
{
	char byte;
	int error;

	/* Whoever waits at the other end of these is to see that the tracer's has gone. */
	fd_close(&launch->go[1]);
	fd_close(&launch->ready[1]);
	sigprocmask(SIG_SETMASK, &launch->old_signals, NULL);
	marker_home_map(launch->home);
	if (read(launch->go[0], &byte, 1) != 1)
		_exit(EXIT_STATUS_FAILED);
	execvp(launch->command[0], launch->command);
	error = errno;
	(void)!write(launch->failed[1], &error, sizeof(error));
	_exit(LAUNCH_CANNOT_RUN);
}

/* The tracer ends with us, however we end; its signals are its own again. */
static void tracer_child(struct launch *launch)
{
	const struct config_launch about = {launch->server_pid, launch->ready[1]};
	pid_t parent = getppid();
	int status;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_STATUS_FAILED);
	setpgid(0, 0);
	fd_close(&launch->go[0]);
	fd_close(&launch->go[1]);
	fd_close(&launch->failed[0]);
	fd_close(&launch->failed[1]);
	fd_close(&launch->ready[0]);
	fd_close(&launch->signal_fd);
	sigprocmask(SIG_SETMASK, &launch->old_signals, NULL);
	status = launch->tracer->run(launch->tracer->argc, launch->tracer->argv, &about);
	log_end();
	exit(status);
}

static int children_start(struct launch *launch)
{
	launch->server_pid = fork();
	if (!launch->server_pid)
		server_child(launch);
	if (launch->server_pid < 0)
		return -errno;
	launch->tracer_pid = fork();
	if (!launch->tracer_pid)
		tracer_child(launch);
	fd_close(&launch->go[0]);
	fd_close(&launch->failed[1]);
	fd_close(&launch->ready[1]);
	return launch->tracer_pid < 0 ? -errno : 0;
}

/* Takes note of who has ended. */
static void children_reap(struct launch *launch)
{
	if (launch->server_pid > 0 && waitpid(launch->server_pid, &launch->server_end, WNOHANG) > 0)
		launch->server_pid = 0;
	if (launch->tracer_pid > 0 && waitpid(launch->tracer_pid, &launch->tracer_end, WNOHANG) > 0)
		launch->tracer_pid = 0;
}

/* What a terminal sends, it sends to the whole process group: the server has it already. */
static void signals_forward(struct launch *launch)
{
	struct signalfd_siginfo info;

	while (read(launch->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			children_reap(launch);
		else if (info.ssi_code != SI_KERNEL && launch->server_pid > 0)
			kill(launch->server_pid, (int)info.ssi_signo);
	}
}

/* Handles signals until fd (-1: none) has something to say. False: the server has ended. */
static bool signals_handle(struct launch *launch, int fd)
{
	struct pollfd fds[] = {{.fd = launch->signal_fd, .events = POLLIN},
			       {.fd = fd, .events = POLLIN}};

	while (launch->server_pid > 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return true;
		if (fds[0].revents)
			signals_forward(launch);
		if (fds[1].revents)
			return true;
	}
	return false;
}

static int tracer_wait(struct launch *launch)
{
	while (launch->tracer_pid > 0) {
		if (waitpid(launch->tracer_pid, &launch->tracer_end, 0) > 0 || errno != EINTR)
			launch->tracer_pid = 0;
	}
	return WIFEXITED(launch->tracer_end) ? WEXITSTATUS(launch->tracer_end) : EXIT_STATUS_FAILED;
}

/* Until the tracer is attached. False: the server is not to begin. */
static bool tracer_await(struct launch *launch)
{
	char byte;

	if (!signals_handle(launch, launch->ready[0]))
		return false;
	if (read(launch->ready[0], &byte, 1) == 1)
		return true;
	if (tracer_wait(launch) == EXIT_STATUS_USAGE)
		return false;
	log_warn("%s runs, and is not traced", launch->command[0]);
	return true;
}

/* Lets the server begin. 0, or the errno of its exec. */
static int server_begin(struct launch *launch)
{
	int error = 0;

	(void)!write(launch->go[1], "", 1);
	fd_close(&launch->go[1]);
	if (read(launch->failed[0], &error, sizeof(error)) != (ssize_t)sizeof(error))
		error = 0;
	return error;
}

static void server_attend(struct launch *launch)
{
	bool traced = launch->tracer_pid > 0;

	while (launch->server_pid > 0) {
		struct pollfd fd = {.fd = launch->signal_fd, .events = POLLIN};

		poll(&fd, 1, -1);
		signals_forward(launch);
		if (traced && launch->tracer_pid <= 0 && launch->server_pid > 0) {
			log_info("tracing has ended; %s goes on", launch->command[0]);
			traced = false;
		}
	}
}

static int end_status(int end)
{
	return WIFSIGNALED(end) ? 128 + WTERMSIG(end) : WEXITSTATUS(end);
}

static int launch_attend(struct launch *launch)
{
	int error;

	if (!tracer_await(launch)) {
		bool ended = launch->server_pid <= 0;

		fd_close(&launch->go[1]);
		if (!ended)
			waitpid(launch->server_pid, &launch->server_end, 0);
		if (launch->tracer_pid > 0)
			kill(launch->tracer_pid, SIGINT);
		tracer_wait(launch);
		return ended ? end_status(launch->server_end) : EXIT_STATUS_USAGE;
	}
	error = server_begin(launch);
	server_attend(launch);
	if (launch->tracer_pid > 0)
		kill(launch->tracer_pid, SIGINT);
	tracer_wait(launch);
	return error ? launch_refuse(launch->command[0], error) : end_status(launch->server_end);
}

int launch_run(char *const command[], const char *home, const struct launch_tracer *tracer)
{
	struct launch launch = {
		.command = command,
		.home = home,
		.tracer = tracer,
		.go = {-1, -1},
		.failed = {-1, -1},
		.ready = {-1, -1},
		.signal_fd = -1,
	};
	int status = EXIT_STATUS_FAILED, err = 0;

	if (pipe2(launch.go, O_CLOEXEC) || pipe2(launch.failed, O_CLOEXEC) ||
	    pipe2(launch.ready, O_CLOEXEC))
		err = -errno;
	if (!err)
		err = signals_take(&launch);
	if (!err)
		err = children_start(&launch);
	if (err)
		log_error("starting %s: %s", command[0], strerror(-err));
	else
		status = launch_attend(&launch);
	for (int end = 0; end < 2; end++) {
		fd_close(&launch.go[end]);
		fd_close(&launch.failed[end]);
		fd_close(&launch.ready[end]);
	}
	fd_close(&launch.signal_fd);
	sigprocmask(SIG_SETMASK, &launch.old_signals, NULL);
	return status;
}
