/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values by keys of bytes, at most so many, in the order in which they came. Keys may be chosen by
 * who wishes us ill: the hash is seeded. Knows nothing of what keys mean; values are the caller's.
 */
#ifndef WSGISCOPE_KEY_TABLE_H
#define WSGISCOPE_KEY_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct key_table;

struct key_table *key_table_new(size_t limit); /* NULL: no memory */
void key_table_free(struct key_table *table);  /* not the values; NULL is fine */

/* NULL: not there. */
void *key_table_get(const struct key_table *table, const void *key, size_t bytes);

/* A key that is not there yet, which is copied. 0; -ENOSPC: the limit is reached; -ENOMEM. */
int key_table_add(struct key_table *table, const void *key, size_t bytes, void *value);

/* A limit below the count takes nothing away. */
void key_table_limit(struct key_table *table, size_t limit);

size_t key_table_count(const struct key_table *table);
void *key_table_at(const struct key_table *table, size_t index); /* index < count */

#endif
