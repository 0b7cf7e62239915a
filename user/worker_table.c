/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of sets of eight: a process can only lie in its own set, where a newcomer takes the
 * place of the one that came first. Names are interned, since requests borrow them.
 */
#include "worker_table.h"

#include <stdlib.h>
#include <string.h>

#define SETS	     1024
#define WAYS	     8
#define SERVERS_MAX  64 /* more than there are: beyond it only a lying recording goes */
#define SERVER_BYTES 16
#define APPS_MAX     1024 /* the first is OTHER, for all that find no room */
#define OTHER	     0
#define APP_BYTES    64

/* Its strings lie one behind the other, each in so many bytes. */
struct names {
	char *text;
	unsigned int bytes, count, max;
};

struct known {
	uint32_t pid;		  /* 0: free */
	unsigned short server;	  /* index into servers, SERVERS_MAX: not known */
	unsigned short app;	  /* index into apps, APPS_MAX: not known */
	unsigned char app_source; /* enum request_app_source */
};

struct set {
	struct known ways[WAYS];
	unsigned char next; /* the way to be taken next */
};

struct worker_table {
	struct set sets[SETS];
	struct names servers, apps;
	char server_text[SERVERS_MAX * SERVER_BYTES];
	char app_text[APPS_MAX * APP_BYTES];
};

struct worker_table *worker_table_new(void)
{
	struct worker_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->servers = (struct names){table->server_text, SERVER_BYTES, 0, SERVERS_MAX};
	table->apps = (struct names){table->app_text, APP_BYTES, OTHER + 1, APPS_MAX};
	strcpy(table->app_text, "other");
	return table;
}

void worker_table_free(struct worker_table *table)
{
	free(table);
}

static const char *name_at(const struct names *names, unsigned int index)
{
	return index < names->count ? names->text + (size_t)index * names->bytes : NULL;
}

/* The index of a name; names->max: there is none, or no room for it. */
static unsigned int name_intern(struct names *names, const char *name)
{
	if (!name || !*name || strlen(name) >= names->bytes)
		return names->max;
	for (unsigned int i = 0; i < names->count; i++) {
		if (!strcmp(name_at(names, i), name))
			return i;
	}
	if (names->count == names->max)
		return names->max;
	strcpy(names->text + (size_t)names->count * names->bytes, name);
	return names->count++;
}

/* The way of a process in its set, WAYS: it is not there. */
static unsigned int way_find(const struct set *set, uint32_t pid)
{
	unsigned int way = 0;

	while (way < WAYS && (!pid || set->ways[way].pid != pid))
		way++;
	return way;
}

void worker_table_set(struct worker_table *table, uint32_t pid, const struct worker_names *names)
{
	struct set *set = &table->sets[pid % SETS];
	struct known known = {
		.pid = pid,
		.server = (unsigned short)name_intern(&table->servers, names->server),
		.app = (unsigned short)name_intern(&table->apps, names->app),
		.app_source = (unsigned char)names->app_source,
	};
	unsigned int way = way_find(set, pid);

	if (!pid)
		return;
	if (known.app == APPS_MAX && names->app && *names->app)
		known.app = OTHER;
	if (known.server == SERVERS_MAX && known.app == APPS_MAX) {
		if (way < WAYS)
			set->ways[way].pid = 0;
		return;
	}
	if (way == WAYS) {
		way = set->next;
		set->next = (set->next + 1) % WAYS;
	}
	set->ways[way] = known;
}

struct worker_names worker_table_get(const struct worker_table *table, uint32_t pid)
{
	const struct set *set = &table->sets[pid % SETS];
	unsigned int way = way_find(set, pid);
	struct worker_names names = {0};

	if (way == WAYS)
		return names;
	names.server = name_at(&table->servers, set->ways[way].server);
	names.app = name_at(&table->apps, set->ways[way].app);
	if (names.app)
		names.app_source = set->ways[way].app_source;
	return names;
}
