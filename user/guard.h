/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child process that takes our uprobe events out of tracefs when we are gone, however we go: the
 * kernel disarms the probes of a killed process by itself, but keeps their definitions.
 */
#ifndef WSGISCOPE_GUARD_H
#define WSGISCOPE_GUARD_H

#include <stdbool.h>

struct guard;
struct tracefs;

/* Starts it for the uprobe events of group. Call before anything is loaded: it keeps no descriptor
 * but tracefs's. 0 or -errno. */
int guard_start(struct tracefs *tracefs, const char *group, struct guard **out);

/* Lets it do its work, and waits for it or not. NULL is fine. */
void guard_stop(struct guard *guard, bool wait);

/*
 * To be gone soon: a second child keeps every descriptor that is open now until we have ended, and
 * then ends itself. Whatever takes the kernel long to close (a second for the probes on system
 * calls) is so closed after us; and the guard, whose pipe it keeps, too, does its work after that.
 * Without memory for a child all is closed by us, which takes longer.
 */
void guard_hold(void);

#endif
