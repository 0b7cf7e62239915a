/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The marker put into running processes, or taken away, by their own interpreter (python/remote.h):
 * asked for, waited for, taken back where it did not come about.
 */
#ifndef WSGISCOPE_REMOTE_MARK_H
#define WSGISCOPE_REMOTE_MARK_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "errand.h"
#include "python/remote.h"

struct worker;

enum remote_mark_state {
	REMOTE_MARK_WAITING, /* asked; the process has not come to it yet */
	REMOTE_MARK_DONE,    /* text: what was done */
	REMOTE_MARK_NONE,    /* it has no application; text: what it says */
	REMOTE_MARK_FAILED,  /* text: why; nothing was changed, unless it says so */
	REMOTE_MARK_GONE,    /* it ended meanwhile */
};

struct remote_mark {
	pid_t pid;
	enum remote_mark_state state;
	char text[ERRAND_ANSWER_MAX]; /* hostile where the process said it */
	uint64_t asked_ns, done_ns;   /* CLOCK_MONOTONIC */
	bool shown;		      /* the caller's own */
	/* remote_mark.c's own */
	struct errand errand;
	struct remote_request request;
};

/*
 * Asks a process that worker_inspect() has filled. action: "mark" or "unmark". home: where the
 * marker's package is, for a process that has none of its own and can see that directory. The
 * outcome is in *out; WAITING is to be polled, and ended.
 */
void remote_mark_ask(const struct worker *worker, const char *action, const char *home,
		     struct remote_mark *out);

/* Looks for the answer. True: it is not WAITING any more. */
bool remote_mark_poll(struct remote_mark *mark);

/* Gives up waiting: afterwards it is not WAITING, and the process will not do it later. */
void remote_mark_withdraw(struct remote_mark *mark);

#endif
