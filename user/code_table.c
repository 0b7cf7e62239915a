/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hashes: places, open addressing, from (process, address, fingerprint) to a code; and codes by
 * what they hold, chained and counted, so that each is kept once.
 */
#include "code_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS	    16384
#define SLOTS_FIRST 1024
/* In place of a process: any that was forked from the same one. No process has this number. */
#define ANY_PID UINT32_MAX

struct place {
	uint64_t address;
	uint32_t pid, fingerprint;
	struct code *code; /* NULL: free */
};

struct code_table {
	struct place *slots; /* a power of two, at most half in use */
	size_t slot_count, used;
	struct code *chains[CHAINS];
	size_t bytes; /* of all codes */
	uint64_t lost;
};

struct code_table *code_table_new(void)
{
	struct code_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->slot_count = SLOTS_FIRST;
	table->slots = calloc(table->slot_count, sizeof(*table->slots));
	if (!table->slots) {
		free(table);
		return NULL;
	}
	return table;
}

void code_table_free(struct code_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < CHAINS; i++) {
		for (struct code *code = table->chains[i], *next; code; code = next) {
			next = code->chain;
			free(code);
		}
	}
	free(table->slots);
	free(table);
}

static size_t code_bytes(size_t lines, size_t name_bytes, size_t file_bytes)
{
	return sizeof(struct code) + lines * sizeof(struct event_line) + name_bytes + file_bytes;
}

static uint32_t hash_bytes(uint32_t hash, const void *data, size_t bytes)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * 16777619U; /* FNV-1a */
	return hash;
}

static uint32_t event_hash(const struct event_code *event)
{
	uint32_t hash = 2166136261U ^ event->first_line ^ (uint32_t)event->kind << 30;

	hash = hash_bytes(hash, event->name.ptr, event->name.bytes);
	hash = hash_bytes(hash, event->file.ptr, event->file.bytes);
	return hash_bytes(hash, event->lines, event->line_count * sizeof(event->lines[0]));
}

static bool text_same(struct request_text a, struct request_text b)
{
	return a.bytes == b.bytes && !memcmp(a.ptr, b.ptr, a.bytes);
}

static bool code_same(const struct code *code, const struct event_code *event)
{
	return code->kind == event->kind && code->failed == event->failed &&
	       code->first_line == event->first_line && text_same(code->name, event->name) &&
	       text_same(code->file, event->file) && code->line_count == event->line_count &&
	       !memcmp(code->lines, event->lines, event->line_count * sizeof(event->lines[0]));
}

static struct code *code_make(const struct event_code *event, uint32_t hash, size_t bytes)
{
	struct code *code = malloc(bytes);
	char *text;

	if (!code)
		return NULL;
	*code = (struct code){
		.hash = hash,
		.kind = event->kind,
		.failed = event->failed,
		.first_line = event->first_line,
		.line_count = event->line_count,
	};
	text = (char *)&code->lines[code->line_count];
	memcpy(code->lines, event->lines, code->line_count * sizeof(code->lines[0]));
	memcpy(text, event->name.ptr, event->name.bytes);
	memcpy(text + event->name.bytes, event->file.ptr, event->file.bytes);
	code->name = (struct request_text){text, event->name.bytes};
	code->file = (struct request_text){text + event->name.bytes, event->file.bytes};
	return code;
}

/* The one code that is as the event says. 0, -ENOSPC, -ENOMEM. */
static int code_get(struct code_table *table, const struct event_code *event, struct code **out)
{
	size_t bytes = code_bytes(event->line_count, event->name.bytes, event->file.bytes);
	uint32_t hash = event_hash(event);
	struct code **chain = &table->chains[hash & (CHAINS - 1)], *code;

	for (code = *chain; code; code = code->chain) {
		if (code->hash == hash && code_same(code, event)) {
			*out = code;
			return 0;
		}
	}
	if (bytes > CODE_TABLE_BYTES - table->bytes)
		return -ENOSPC;
	code = code_make(event, hash, bytes);
	if (!code)
		return -ENOMEM;
	code->chain = *chain;
	*chain = code;
	table->bytes += bytes;
	*out = code;
	return 0;
}

/* One place less leads to it. */
static void code_put(struct code_table *table, struct code *code)
{
	struct code **link = &table->chains[code->hash & (CHAINS - 1)];

	if (--code->places)
		return;
	while (*link != code)
		link = &(*link)->chain;
	*link = code->chain;
	table->bytes -= code_bytes(code->line_count, code->name.bytes, code->file.bytes);
	free(code);
}

/* The place of this key, or the free one where it belongs. */
static struct place *place_find(const struct code_table *table, uint32_t pid, uint64_t address,
				uint32_t fingerprint)
{
	uint64_t mixed = (address ^ (uint64_t)pid << 40 ^ fingerprint) * 0x9e3779b97f4a7c15ULL;
	size_t i = (size_t)(mixed >> 24) & (table->slot_count - 1);

	for (;; i = (i + 1) & (table->slot_count - 1)) {
		struct place *place = &table->slots[i];

		if (!place->code || (place->address == address && place->pid == pid &&
				     place->fingerprint == fingerprint))
			return place;
	}
}

/* Puts every place but those of a process into as many new slots. 0 or -ENOMEM. */
static int slots_rebuild(struct code_table *table, size_t slot_count, const uint32_t *but_pid)
{
	struct place *old = table->slots, *fresh = calloc(slot_count, sizeof(*fresh));
	size_t old_count = table->slot_count;

	if (!fresh)
		return -ENOMEM;
	table->slots = fresh;
	table->slot_count = slot_count;
	table->used = 0;
	for (size_t i = 0; i < old_count; i++) {
		if (!old[i].code)
			continue;
		if (but_pid && old[i].pid == *but_pid) {
			code_put(table, old[i].code);
			continue;
		}
		*place_find(table, old[i].pid, old[i].address, old[i].fingerprint) = old[i];
		table->used++;
	}
	free(old);
	return 0;
}

/* Has the place lead to the code. 0, -ENOSPC, -ENOMEM. */
static int place_set(struct code_table *table, uint32_t pid, const struct event_code *event,
		     struct code *code)
{
	struct place *place = place_find(table, pid, event->code, event->fingerprint);
	int error;

	if (place->code == code || (place->code && code->failed && !place->code->failed))
		return 0;
	if (!place->code && table->used >= CODE_TABLE_PLACES)
		return -ENOSPC;
	if (!place->code && 2 * (table->used + 1) > table->slot_count) {
		error = slots_rebuild(table, 2 * table->slot_count, NULL);
		if (error)
			return error;
		place = place_find(table, pid, event->code, event->fingerprint);
	}
	code->places++; /* before the other's is taken, which may be the last */
	if (place->code)
		code_put(table, place->code);
	else
		table->used++;
	*place = (struct place){event->code, pid, event->fingerprint, code};
	return 0;
}

static int code_place(struct code_table *table, uint32_t pid, const struct event_code *event)
{
	bool for_any = event->kind == CODE_IS_PYTHON && event->fingerprint && !event->failed;
	struct code *code;
	int error = code_get(table, event, &code);

	if (error)
		return error;
	code->places++; /* so that it stays until it is placed */
	error = place_set(table, pid, event, code);
	if (!error && for_any)
		error = place_set(table, ANY_PID, event, code);
	code_put(table, code);
	return error;
}

int code_table_add(struct code_table *table, uint32_t pid, const struct event_code *event)
{
	int error = code_place(table, pid, event);

	if (error == -ENOSPC) { /* what ended processes have left behind gives way first */
		code_table_forget(table, ANY_PID);
		error = code_place(table, pid, event);
	}
	table->lost += error == -ENOSPC;
	return error;
}

const struct code *code_table_find(const struct code_table *table, uint32_t pid, uint64_t address,
				   uint32_t fingerprint)
{
	const struct code *code = place_find(table, pid, address, fingerprint)->code;

	if ((code && !code->failed) || !fingerprint)
		return code;
	return place_find(table, ANY_PID, address, fingerprint)->code ?: code;
}

void code_table_forget(struct code_table *table, uint32_t pid)
{
	/* Without the memory for it the process stays: it is bounded all the same. */
	(void)!slots_rebuild(table, table->slot_count, &pid);
}

uint64_t code_table_lost(const struct code_table *table)
{
	return table->lost;
}

uint32_t code_line(const struct code *code, int32_t offset)
{
	uint32_t low = 0, high = code->line_count;

	if (offset < 0)
		return 0;
	while (low < high) { /* the last one that begins at or before the offset */
		uint32_t middle = low + (high - low) / 2;

		if (code->lines[middle].offset <= (uint32_t)offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? code->lines[low - 1].line : 0;
}
