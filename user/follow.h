/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which processes are traced: the tree of -p, or every process with the marker; forks, execs and
 * exits; when to look at a process again. Tells attach.c what to arm and tracer.c whom to count.
 */
#ifndef WSGISCOPE_FOLLOW_H
#define WSGISCOPE_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct attach;
struct config;
struct follow;
struct rec_process;
struct rec_worker;
struct stacks;
struct tracefs;
struct tracer;

/*
 * Finds and arms. 0 or -errno, message printed: no such process, not Python, PyPy, no marker, a
 * marker of another version. tracer, attach, tracefs and stacks (NULL: none are
 * taken) are borrowed.
 */
int follow_open(const struct config *config, struct tracer *tracer, struct attach *attach,
		const struct tracefs *tracefs, struct stacks *stacks, struct follow **out);
void follow_close(struct follow *follow); /* NULL is fine */

/* What the kernel said of a process. */
void follow_event(struct follow *follow, const struct rec_process *record);

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

/* Says on stderr to what we are attached. */
void follow_say(const struct follow *follow);

#endif
