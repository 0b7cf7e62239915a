/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns an open hash with linear probing over an array of entries. Nothing is ever taken out, so
 * there are no holes. At most half of the slots are in use.
 */
#include "key_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define SLOTS_MIN 64 /* a power of two */

struct entry {
	void *key; /* owned */
	size_t bytes;
	void *value;
};

struct slot {
	uint32_t hash;
	uint32_t index; /* of the entry, from 1; 0: free */
};

struct key_table {
	struct slot *slots; /* owned */
	size_t slot_count;
	struct entry *entries; /* owned; room for half of slot_count */
	size_t count, limit;
	uint64_t seed;
};

static int table_resize(struct key_table *table, size_t slot_count)
{
	struct slot *slots = calloc(slot_count, sizeof(*slots));
	struct entry *entries =
		slots ? realloc(table->entries, slot_count / 2 * sizeof(*entries)) : NULL;

	if (!entries) {
		free(slots);
		return -ENOMEM;
	}
	table->entries = entries;
	for (size_t i = 0; i < table->slot_count; i++) {
		size_t to = table->slots[i].hash & (slot_count - 1);

		if (!table->slots[i].index)
			continue;
		while (slots[to].index)
			to = (to + 1) & (slot_count - 1);
		slots[to] = table->slots[i];
	}
	free(table->slots);
	table->slots = slots;
	table->slot_count = slot_count;
	return 0;
}

struct key_table *key_table_new(size_t limit)
{
	struct key_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->limit = limit;
	table->seed = hash_seed();
	if (table_resize(table, SLOTS_MIN)) {
		free(table);
		return NULL;
	}
	return table;
}

void key_table_free(struct key_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		free(table->entries[i].key);
	free(table->entries);
	free(table->slots);
	free(table);
}

/* The key's slot, or the free one where it belongs. */
static size_t slot_find(const struct key_table *table, uint32_t hash, const void *key, size_t bytes)
{
	size_t at = hash & (table->slot_count - 1);

	for (;; at = (at + 1) & (table->slot_count - 1)) {
		const struct slot *slot = &table->slots[at];
		const struct entry *entry;

		if (!slot->index)
			return at;
		if (slot->hash != hash)
			continue;
		entry = &table->entries[slot->index - 1];
		if (entry->bytes == bytes && !memcmp(entry->key, key, bytes))
			return at;
	}
}

void *key_table_get(const struct key_table *table, const void *key, size_t bytes)
{
	size_t at = slot_find(table, hash_bytes(table->seed, key, bytes), key, bytes);

	return table->slots[at].index ? table->entries[table->slots[at].index - 1].value : NULL;
}

int key_table_add(struct key_table *table, const void *key, size_t bytes, void *value)
{
	uint32_t hash = hash_bytes(table->seed, key, bytes);
	void *copy;

	if (table->count >= table->limit)
		return -ENOSPC;
	if (table->count >= table->slot_count / 2 && table_resize(table, 2 * table->slot_count))
		return -ENOMEM;
	copy = malloc(bytes + 1); /* not of size 0 */
	if (!copy)
		return -ENOMEM;
	memcpy(copy, key, bytes);
	table->entries[table->count++] = (struct entry){copy, bytes, value};
	table->slots[slot_find(table, hash, key, bytes)] =
		(struct slot){hash, (uint32_t)table->count};
	return 0;
}

void key_table_limit(struct key_table *table, size_t limit)
{
	table->limit = limit;
}

size_t key_table_count(const struct key_table *table)
{
	return table->count;
}

void *key_table_at(const struct key_table *table, size_t index)
{
	return table->entries[index].value;
}
