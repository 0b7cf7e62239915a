/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which server a process belongs to, as the recording or the live source said. Bounded: of very
 * many processes the earliest are forgotten. Knows nothing of /proc.
 */
#ifndef WSGISCOPE_WORKER_TABLE_H
#define WSGISCOPE_WORKER_TABLE_H

#include <stdint.h>

struct worker_table;

struct worker_table *worker_table_new(void);	    /* NULL: no memory */
void worker_table_free(struct worker_table *table); /* NULL is fine */

/* Server name "": forgets the process. */
void worker_table_set(struct worker_table *table, uint32_t pid, const char *server);

/* Lives as long as the table; NULL: not known. */
const char *worker_table_get(const struct worker_table *table, uint32_t pid);

#endif
