/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where CPython keeps its global interpreter lock in a live process. A thread that waits for the
 * GIL does so by a futex inside that structure (its conditions and mutexes), on glibc: so a futex
 * address within a gil_place tells a GIL wait, with no probe in the interpreter. musl waits on the
 * waiter's own stack, which tells nothing.
 */
#ifndef WSGISCOPE_PYTHON_GIL_H
#define WSGISCOPE_PYTHON_GIL_H

#include <stdint.h>
#include <sys/types.h>

#include "python/locate.h"

/* Interpreters with a GIL of their own (3.12 on) that are told apart in one process. */
#define GIL_PLACES_MAX 16

enum gil_state {
	GIL_UNKNOWN, /* cannot be told: waits for it look like those for any other lock */
	GIL_KNOWN,
	GIL_ABSENT, /* a free-threaded Python that runs without, at the time of the call */
};

struct gil_place {
	uint64_t address; /* of the structure in the process; 0 where GIL_UNKNOWN */
	uint32_t bytes;	  /* from there to the end of its last lock */
	enum gil_state state;
	const char *why; /* where not GIL_KNOWN: a few static words for people */
};

/*
 * The main interpreter's GIL, which all use that have none of their own; before 3.12 the only one.
 * Memory that is not what it should be is GIL_UNKNOWN, which is no error: 0, -ESRCH (the process is
 * gone), -EPERM (it may not be read), -errno.
 */
int gil_find(pid_t pid, const struct python_location *where, struct gil_place *out);

/*
 * As gil_find() into out[0], then the GILs of other interpreters that have one of their own, in no
 * order; one that cannot be told, as of an interpreter that is only being made, is left out. How
 * many there are, at least 1, of which the first GIL_PLACES_MAX are filled in; -errno. Interpreters
 * come and go: what is here is what was there.
 */
int gil_find_all(pid_t pid, const struct python_location *where,
		 struct gil_place out[GIL_PLACES_MAX]);

#endif
