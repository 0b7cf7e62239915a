/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns epoll, the signals and the timers. A source without a descriptor (a file) always has more:
 * the loop then only looks whether something else has happened in between.
 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "log.h"

#define TICK_NS	   100000000
#define EVENTS_MAX 8

enum loop_item {
	ITEM_SOURCE,
	ITEM_SIGNAL,
	ITEM_TICK,
	ITEM_DURATION,
	ITEM_PEER,
	ITEM_HANGUP,
	ITEM_OTHERS, /* the first of those that were added; struct loop.others has them */
};

#define OTHERS_MAX 8

/* What to do where a descriptor is someone else's. */
struct other {
	loop_fn fn;
	void *context; /* borrowed */
};

struct loop {
	int epoll_fd, signal_fd, tick_fd, duration_fd, hangup_fd;
	struct other hangup;
	struct other others[OTHERS_MAX];
	unsigned int other_count;
	sigset_t old_signals;
	struct sigaction old_pipe, old_size;
	bool stop;
};

static int item_add(struct loop *loop, int fd, unsigned int item, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = item};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int signals_take(struct loop *loop)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, &loop->old_signals) ||
	    sigaction(SIGPIPE, &ignore, &loop->old_pipe) ||
	    sigaction(SIGXFSZ, &ignore, &loop->old_size))
		return -errno;
	loop->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return loop->signal_fd < 0 ? -errno : item_add(loop, loop->signal_fd, ITEM_SIGNAL, EPOLLIN);
}

/* A timer that fires after and every so many nanoseconds (every 0: once). fd or -errno. */
static int timer_open(struct loop *loop, uint64_t after_ns, uint64_t every_ns, enum loop_item item)
{
	struct itimerspec spec = {
		.it_value = {(time_t)(after_ns / 1000000000), (long)(after_ns % 1000000000)},
		.it_interval = {(time_t)(every_ns / 1000000000), (long)(every_ns % 1000000000)},
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int error;

	if (fd < 0)
		return -errno;
	error = timerfd_settime(fd, 0, &spec, NULL) ? -errno : item_add(loop, fd, item, EPOLLIN);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

int loop_new(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int error = -ENOMEM;

	if (!loop)
		goto out;
	loop->signal_fd = loop->tick_fd = loop->duration_fd = loop->hangup_fd = -1;
	sigprocmask(SIG_BLOCK, NULL, &loop->old_signals);
	sigaction(SIGPIPE, NULL, &loop->old_pipe);
	sigaction(SIGXFSZ, NULL, &loop->old_size);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	error = loop->epoll_fd < 0 ? -errno : signals_take(loop);
out:
	if (error) {
		log_error("cannot set up the event loop: %s", strerror(-error));
		loop_free(loop);
		return error;
	}
	*out = loop;
	return 0;
}

static void fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loop_free(struct loop *loop)
{
	struct signalfd_siginfo taken;

	if (!loop)
		return;
	/* What has ended the run must not also kill us once it is let through again. */
	while (loop->signal_fd >= 0 && read(loop->signal_fd, &taken, sizeof(taken)) > 0)
		;
	while (loop->hangup_fd >= 0 && read(loop->hangup_fd, &taken, sizeof(taken)) > 0)
		;
	fd_close(loop->signal_fd);
	fd_close(loop->hangup_fd);
	fd_close(loop->tick_fd);
	fd_close(loop->duration_fd);
	fd_close(loop->epoll_fd);
	sigaction(SIGPIPE, &loop->old_pipe, NULL);
	sigaction(SIGXFSZ, &loop->old_size, NULL);
	sigprocmask(SIG_SETMASK, &loop->old_signals, NULL);
	free(loop);
}

int loop_stop_fd(const struct loop *loop)
{
	return loop->signal_fd;
}

int loop_add(struct loop *loop, int fd, loop_fn fn, void *context)
{
	unsigned int number = loop->other_count;
	int error = number < OTHERS_MAX ? 0 : -ENOSPC;

	if (!error)
		error = item_add(loop, fd, ITEM_OTHERS + number, EPOLLIN);
	if (error)
		return error;
	loop->others[number] = (struct other){fn, context};
	loop->other_count++;
	return 0;
}

int loop_on_hangup(struct loop *loop, loop_fn fn, void *context)
{
	sigset_t hangup;
	int error;

	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	error = sigprocmask(SIG_BLOCK, &hangup, NULL) ? -errno : 0;
	if (!error)
		loop->hangup_fd = signalfd(-1, &hangup, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!error && loop->hangup_fd < 0)
		error = -errno;
	if (!error)
		error = item_add(loop, loop->hangup_fd, ITEM_HANGUP, EPOLLIN);
	if (error)
		log_error("cannot wait for SIGHUP: %s", strerror(-error));
	loop->hangup = (struct other){fn, context};
	return error;
}

void loop_watch_peer(struct loop *loop, int fd)
{
	/* EPERM: a file, which has no peer. EPOLLERR and EPOLLHUP come unasked. */
	if (item_add(loop, fd, ITEM_PEER, 0))
		log_debug("fd %d has no other end to watch", fd);
}

static int timers_open(struct loop *loop, const struct source *source, double duration_s)
{
	if (source->ops->tick) {
		loop->tick_fd = timer_open(loop, TICK_NS, TICK_NS, ITEM_TICK);
		if (loop->tick_fd < 0)
			return loop->tick_fd;
	}
	if (duration_s > 0) {
		uint64_t after_ns = (uint64_t)(duration_s * 1e9);

		loop->duration_fd = timer_open(loop, after_ns ? after_ns : 1, 0, ITEM_DURATION);
		if (loop->duration_fd < 0)
			return loop->duration_fd;
	}
	return 0;
}

static int source_dispatch(struct loop *loop, struct source *source,
			   const struct loop_client *client)
{
	int more = source->ops->dispatch(source, client->on_record, client->context);

	if (more <= 0)
		loop->stop = true;
	return more < 0 ? more : 0;
}

static int hangup_handle(struct loop *loop)
{
	struct signalfd_siginfo taken;

	while (read(loop->hangup_fd, &taken, sizeof(taken)) > 0)
		; /* several at once are one */
	return loop->hangup.fn(loop->hangup.context);
}

static int item_handle(struct loop *loop, unsigned int item, struct source *source,
		       const struct loop_client *client)
{
	uint64_t expirations;

	if (item >= ITEM_OTHERS) {
		const struct other *other = &loop->others[item - ITEM_OTHERS];

		return other->fn(other->context);
	}
	switch ((enum loop_item)item) {
	case ITEM_SOURCE:
		return source_dispatch(loop, source, client);
	case ITEM_TICK:
		(void)!read(loop->tick_fd, &expirations, sizeof(expirations));
		return source->ops->tick(source, client->on_record, client->context);
	case ITEM_HANGUP:
		return hangup_handle(loop);
	case ITEM_OTHERS: /* dealt with above */
		break;
	case ITEM_SIGNAL: /* left unread: who waits for loop_stop_fd() must see it, too */
	case ITEM_DURATION:
	case ITEM_PEER:
		loop->stop = true;
		break;
	}
	return 0;
}

static int loop_turn(struct loop *loop, struct source *source, const struct loop_client *client,
		     bool always_ready)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, always_ready ? 0 : -1);
	int error = 0;

	if (count < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < count && !error; i++)
		error = item_handle(loop, events[i].data.u32, source, client);
	if (!error && always_ready && !loop->stop)
		error = source_dispatch(loop, source, client);
	if (!error && client->on_batch)
		error = client->on_batch(client->context);
	return error;
}

int loop_run(struct loop *loop, struct source *source, const struct loop_client *client,
	     double duration_s)
{
	int fd = source->ops->fd(source);
	int error = timers_open(loop, source, duration_s), finish_error;

	if (!error && fd >= 0)
		error = item_add(loop, fd, ITEM_SOURCE, EPOLLIN);
	if (error)
		log_error("cannot set up the event loop: %s", strerror(-error));
	while (!error && !loop->stop)
		error = loop_turn(loop, source, client, fd < 0);
	if (error == -ECANCELED)
		error = 0;
	finish_error = source->ops->finish(source, client->on_record, client->context);
	if (finish_error == -ECANCELED)
		finish_error = 0;
	if (!finish_error && client->on_batch)
		finish_error = client->on_batch(client->context);
	return error ? error : finish_error;
}
