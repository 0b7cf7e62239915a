/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns a hash with linear probing, at most half full. Must not know what it holds.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "pid_table.h"

#define ROOM_FIRST 64

static size_t home_of(const struct pid_table *table, pid_t pid)
{
	return ((uint32_t)pid * UINT32_C(0x9e3779b1) >> 7) & (table->room - 1);
}

/* Where the pid is, or the free slot where it would be. */
static size_t slot_find(const struct pid_table *table, pid_t pid)
{
	size_t slot = home_of(table, pid);

	while (table->slots[slot].pid && table->slots[slot].pid != pid)
		slot = (slot + 1) & (table->room - 1);
	return slot;
}

void *pid_table_find(const struct pid_table *table, pid_t pid)
{
	return table->room ? table->slots[slot_find(table, pid)].value : NULL;
}

static int table_grow(struct pid_table *table)
{
	struct pid_table grown = {.room = table->room ? 2 * table->room : ROOM_FIRST,
				  .count = table->count};

	grown.slots = calloc(grown.room, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->room; i++)
		if (table->slots[i].pid)
			grown.slots[slot_find(&grown, table->slots[i].pid)] = table->slots[i];
	free(table->slots);
	*table = grown;
	return 0;
}

int pid_table_add(struct pid_table *table, pid_t pid, void *value)
{
	if (2 * (table->count + 1) > table->room && table_grow(table))
		return -ENOMEM;
	table->slots[slot_find(table, pid)] = (struct pid_slot){pid, value};
	table->count++;
	return 0;
}

/* Those behind the freed slot that would not be found any more move up (Knuth, volume 3, 6.4,
 * algorithm R). */
void *pid_table_remove(struct pid_table *table, pid_t pid)
{
	size_t mask = table->room - 1, hole;
	void *value = pid_table_find(table, pid);

	if (!value)
		return NULL;
	hole = slot_find(table, pid);
	for (size_t at = (hole + 1) & mask; table->slots[at].pid; at = (at + 1) & mask) {
		size_t home = home_of(table, table->slots[at].pid);

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		table->slots[hole] = table->slots[at];
		hole = at;
	}
	table->slots[hole] = (struct pid_slot){0};
	table->count--;
	return value;
}

void *pid_table_next(const struct pid_table *table, size_t *at)
{
	while (*at < table->room)
		if (table->slots[(*at)++].pid)
			return table->slots[*at - 1].value;
	return NULL;
}

void pid_table_free(struct pid_table *table)
{
	free(table->slots);
	*table = (struct pid_table){0};
}
