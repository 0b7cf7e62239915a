/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks wait here for the end of their request, so that they are shown with it and only where it
 * is shown. Bounded: beyond so many blocks the oldest request's are given up, and counted.
 */
#ifndef WSGISCOPE_BLOCK_STORE_H
#define WSGISCOPE_BLOCK_STORE_H

#include <stdint.h>

#define BLOCK_STORE_BLOCKS   65536
#define BLOCK_STORE_REQUESTS 8192

struct request_block;
struct block_store;

struct block_store *block_store_new(void);	  /* NULL: no memory */
void block_store_free(struct block_store *store); /* NULL is fine */

void block_store_add(struct block_store *store, const struct request_block *block);

/* Calls fn for each block of the request as they came, until it returns non-zero, which is handed
 * back; forgets them all. fn NULL: only forgets. */
int block_store_take(struct block_store *store, uint32_t pid, uint64_t id,
		     int (*fn)(void *context, const struct request_block *block), void *context);

/* Blocks given up so far. */
uint64_t block_store_lost(const struct block_store *store);

#endif
