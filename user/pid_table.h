/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of things by the number of their process or thread. The things are the caller's.
 */
#ifndef WSGISCOPE_PID_TABLE_H
#define WSGISCOPE_PID_TABLE_H

#include <stddef.h>
#include <sys/types.h>

struct pid_slot {
	pid_t pid; /* 0: free */
	void *value;
};

/* All zero: an empty one. */
struct pid_table {
	struct pid_slot *slots;
	size_t room; /* a power of two, or 0 */
	size_t count;
};

/* NULL: not there. */
void *pid_table_find(const struct pid_table *table, pid_t pid);

/* pid above 0 and not there yet; value not NULL. 0 or -ENOMEM. */
int pid_table_add(struct pid_table *table, pid_t pid, void *value);

/* What was there, NULL: nothing. */
void *pid_table_remove(struct pid_table *table, pid_t pid);

/* One value after the other, *at begins as 0. NULL: no more. A removal meanwhile may leave some
 * out; an addition must not happen. */
void *pid_table_next(const struct pid_table *table, size_t *at);

/* Frees the slots, not what they hold. */
void pid_table_free(struct pid_table *table);

#endif
