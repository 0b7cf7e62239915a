/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the table of traced processes as a hash with linear probing. Must not know what is done with
 * them.
 */
#include <stdlib.h>

#include "followed.h"

#define ROOM_FIRST 64

static size_t slot_of(const struct followed_table *table, pid_t pid)
{
	return ((uint32_t)pid * UINT32_C(0x9e3779b1)) & (table->room - 1);
}

/* Where the pid is, or the free slot where it would be. */
static size_t slot_find(const struct followed_table *table, pid_t pid)
{
	size_t slot = slot_of(table, pid);

	while (table->slots[slot] && table->slots[slot]->pid != pid)
		slot = (slot + 1) & (table->room - 1);
	return slot;
}

struct followed *followed_find(const struct followed_table *table, pid_t pid)
{
	return table->room ? table->slots[slot_find(table, pid)] : NULL;
}

static bool table_grow(struct followed_table *table)
{
	struct followed_table grown = {.room = table->room ? 2 * table->room : ROOM_FIRST,
				       .count = table->count};

	grown.slots = calloc(grown.room, sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (size_t i = 0; i < table->room; i++)
		if (table->slots[i])
			grown.slots[slot_find(&grown, table->slots[i]->pid)] = table->slots[i];
	free(table->slots);
	*table = grown;
	return true;
}

struct followed *followed_add(struct followed_table *table, pid_t pid, pid_t parent)
{
	struct followed *process;

	if (2 * (table->count + 1) > table->room && !table_grow(table))
		return NULL;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->parent = parent;
	table->slots[slot_find(table, pid)] = process;
	table->count++;
	return process;
}

/* Those behind the freed slot that would not be found any more move up (Knuth 6.4, algorithm R). */
void followed_remove(struct followed_table *table, struct followed *process)
{
	size_t mask = table->room - 1;
	size_t hole = slot_find(table, process->pid);

	for (size_t at = (hole + 1) & mask; table->slots[at]; at = (at + 1) & mask) {
		size_t home = slot_of(table, table->slots[at]->pid);

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		table->slots[hole] = table->slots[at];
		hole = at;
	}
	table->slots[hole] = NULL;
	table->count--;
	free(process);
}

struct followed *followed_next(const struct followed_table *table, size_t *at)
{
	while (*at < table->room)
		if (table->slots[(*at)++])
			return table->slots[*at - 1];
	return NULL;
}

void followed_free(struct followed_table *table)
{
	for (size_t i = 0; i < table->room; i++)
		free(table->slots[i]);
	free(table->slots);
}
