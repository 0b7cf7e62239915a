/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which server and application a process belongs to, as the recording or the live source said.
 * Bounded: of very many processes the earliest are forgotten. Knows nothing of /proc.
 */
#ifndef WSGISCOPE_WORKER_TABLE_H
#define WSGISCOPE_WORKER_TABLE_H

#include <stdint.h>

#include "request.h"

struct worker_table;

struct worker_table *worker_table_new(void);	    /* NULL: no memory */
void worker_table_free(struct worker_table *table); /* NULL is fine */

struct worker_names {
	const char *server; /* NULL: not known */
	const char *app;    /* the same */
	enum request_app_source app_source;
};

/* Copies the names. With none, forgets the process. */
void worker_table_set(struct worker_table *table, uint32_t pid, const struct worker_names *names);

/* What is known; the names live as long as the table. */
struct worker_names worker_table_get(const struct worker_table *table, uint32_t pid);

#endif
