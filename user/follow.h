/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which processes are traced: the tree of -p, or every process with the marker; forks, execs and
 * exits; when to look at a process again. Tells attach.c what to arm and tracer.c whom to count.
 */
#ifndef WSGISCOPE_FOLLOW_H
#define WSGISCOPE_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "source.h"

struct attach;
struct config;
struct follow;
struct rec_process;
struct rec_worker;
struct stacks;
struct tracefs;
struct tracer;

/*
 * Finds and arms. Without -p it is fine if there is none yet. 0 or -errno, message printed: no such
 * process, not Python, PyPy, no marker where only that is wanted, a marker of another version.
 * stacks NULL: none are taken. All is borrowed.
 */
int follow_open(const struct config *config, struct tracer *tracer, struct attach *attach,
		const struct tracefs *tracefs, struct stacks *stacks, struct follow **out);
void follow_close(struct follow *follow); /* NULL is fine */

/* Readable when there is much for follow_watch(); -1: never. Stays follow's own. */
int follow_fd(const struct follow *follow);

/* Arms for the processes that have mapped a marker since the last call. For every tick. */
void follow_watch(struct follow *follow);

/* What the kernel said of a process. */
void follow_event(struct follow *follow, const struct rec_process *record);

/* Records were lost. Finds out what they may have said, and hands out the ends that were missed as
 * the records that were lost. */
void follow_resync(struct follow *follow, source_record_fn fn, void *context);

/* Looks again at the processes for which it is time. now_ns: CLOCK_MONOTONIC. */
void follow_tick(struct follow *follow, uint64_t now_ns);

/* A process that is not traced maps the marker and pays for our probes: from now on they are armed
 * for the traced ones alone. */
void follow_narrow(struct follow *follow, uint64_t now_ns);

/* The next process of which something new is known, as a record for the stream. False: none. */
bool follow_announce(struct follow *follow, struct rec_worker *out);

/* Whether a request that began at start_ns (kernel's time) can still end: its process lives and
 * has not execed since. */
bool follow_is_alive(const struct follow *follow, pid_t pid, uint64_t start_ns);

/* How many processes are traced now, by the marker or by the wire. */
size_t follow_count(const struct follow *follow);

/* Says on stderr to what we are attached. */
void follow_say(const struct follow *follow);

#endif
