/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child process that takes our uprobe events out of tracefs when we are gone, however we go: the
 * kernel disarms the probes of a killed process by itself, but keeps their definitions.
 */
#ifndef WSGISCOPE_GUARD_H
#define WSGISCOPE_GUARD_H

struct guard;
struct tracefs;

/* Starts it for the uprobe events of group. Call before anything is loaded: it keeps no descriptor
 * but tracefs's. 0 or -errno. */
int guard_start(struct tracefs *tracefs, const char *group, struct guard **out);

/* Lets it do its work and waits for it. NULL is fine. */
void guard_stop(struct guard *guard);

#endif
