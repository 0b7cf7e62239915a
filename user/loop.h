/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one event loop: a source, signals, the tick, the end of the duration, and descriptors that
 * others watch. Knows neither what a record is nor who shows it.
 */
#ifndef WSGISCOPE_LOOP_H
#define WSGISCOPE_LOOP_H

#include "source.h"

struct loop;

/* Who takes the records. */
struct loop_client {
	/* 0; -ECANCELED: enough, end in peace; any other -errno ends the run as failed. */
	source_record_fn on_record;
	/* What was there has been handed out: time to flush. As on_record; NULL: not wanted. */
	int (*on_batch)(void *context);
	void *context;
};

/*
 * From here on SIGINT and SIGTERM wait for loop_run(), SIGPIPE and SIGXFSZ (a file that may not
 * grow further) are ignored, so that a signal leaves nothing half done. 0 or -errno, message
 * printed.
 */
int loop_new(struct loop **out);
void loop_free(struct loop *loop); /* gives the signals back; NULL is fine */

/* Readable as soon as a signal to end has come. */
int loop_stop_fd(const struct loop *loop);

/*
 * Someone else's descriptor: fn is called whenever it is readable. 0 to go on; -ECANCELED ends the
 * run in peace, any other -errno as failed. context: borrowed. 0 or -errno, nothing printed.
 */
typedef int (*loop_fn)(void *context);
int loop_add(struct loop *loop, int fd, loop_fn fn, void *context);

/* SIGHUP calls fn, as loop_add()'s; it does not end the program from here on. 0 or -errno, message
 * printed. */
int loop_on_hangup(struct loop *loop, loop_fn fn, void *context);

/* Ends the run in peace when the other end of fd (a pipe, a socket) goes, even if nothing is
 * written. Files and the like have no other end. */
void loop_watch_peer(struct loop *loop, int fd);

/*
 * Runs until the source ends, a signal, duration_s (0: none), or the client's end; then has the
 * source finish, whose last records the client still gets. 0, or the first -errno.
 */
int loop_run(struct loop *loop, struct source *source, const struct loop_client *client,
	     double duration_s);

#endif
