/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of sets of eight: a process can only lie in its own set, where a newcomer takes the
 * place of the one that came first. Names are interned, since requests borrow them.
 */
#include "worker_table.h"

#include <stdlib.h>
#include <string.h>

#define SETS	   1024
#define WAYS	   8
#define NAMES_MAX  64 /* more servers than there are: beyond it only a lying recording goes */
#define NAME_BYTES 16

struct worker_table {
	struct set {
		uint32_t pids[WAYS];	   /* 0: free */
		unsigned char names[WAYS]; /* index into names */
		unsigned char next;	   /* the way to be taken next */
	} sets[SETS];
	char names[NAMES_MAX][NAME_BYTES];
	unsigned int name_count;
};

struct worker_table *worker_table_new(void)
{
	return calloc(1, sizeof(struct worker_table));
}

void worker_table_free(struct worker_table *table)
{
	free(table);
}

static struct set *set_of(struct worker_table *table, uint32_t pid)
{
	return &table->sets[pid % SETS];
}

/* The index of a name, NAMES_MAX where there is no room left for it. */
static unsigned int name_intern(struct worker_table *table, const char *name)
{
	for (unsigned int i = 0; i < table->name_count; i++) {
		if (!strcmp(table->names[i], name))
			return i;
	}
	if (table->name_count == NAMES_MAX || strlen(name) >= NAME_BYTES)
		return NAMES_MAX;
	strcpy(table->names[table->name_count], name);
	return table->name_count++;
}

void worker_table_set(struct worker_table *table, uint32_t pid, const char *server)
{
	struct set *set = set_of(table, pid);
	unsigned int name = *server ? name_intern(table, server) : NAMES_MAX;
	unsigned int way;

	if (!pid)
		return;
	for (way = 0; way < WAYS; way++) {
		if (set->pids[way] == pid)
			break;
	}
	if (name == NAMES_MAX) {
		if (way < WAYS)
			set->pids[way] = 0;
		return;
	}
	if (way == WAYS) {
		way = set->next;
		set->next = (set->next + 1) % WAYS;
	}
	set->pids[way] = pid;
	set->names[way] = (unsigned char)name;
}

const char *worker_table_get(const struct worker_table *table, uint32_t pid)
{
	const struct set *set = &table->sets[pid % SETS];

	for (unsigned int way = 0; pid && way < WAYS; way++) {
		if (set->pids[way] == pid)
			return table->names[set->names[way]];
	}
	return NULL;
}
