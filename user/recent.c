/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns a table in which each key has one place and a newer one takes it. The key is all of a
 * request that decides its label set, as it came.
 */
#include "recent.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "request.h"

#define ENTRIES 512 /* a power of two */

struct recent {
	uint64_t seed;
	struct recent_entry entries[ENTRIES];
};

struct recent *recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (recent)
		recent->seed = hash_seed();
	return recent;
}

void recent_free(struct recent *recent)
{
	free(recent);
}

struct key {
	size_t bytes; /* past RECENT_KEY_BYTES: it did not fit */
	char text[RECENT_KEY_BYTES];
};

static void key_put(struct key *key, const void *bytes, size_t count)
{
	if (key->bytes + count <= RECENT_KEY_BYTES)
		memcpy(key->text + key->bytes, bytes, count);
	key->bytes += count;
}

/* With its length before it, so that no two keys run into one; absent differs from empty. */
static void key_put_text(struct key *key, struct request_text text)
{
	uint16_t length = text.bytes < UINT16_MAX ? (uint16_t)text.bytes : UINT16_MAX;

	length = text.ptr ? length : UINT16_MAX;
	key_put(key, &length, sizeof(length));
	if (text.ptr)
		key_put(key, text.ptr, text.bytes);
}

static void key_make(struct key *key, const struct request *request, bool by_path)
{
	const struct {
		int16_t status, wire_status;
		uint8_t mode, outcome, by_route;
	} __attribute__((packed)) fixed = {
		(int16_t)request->status,  (int16_t)request->wire_status, (uint8_t)request->mode,
		(uint8_t)request->outcome, request->route.ptr != NULL,
	};

	key->bytes = 0;
	key_put(key, &fixed, sizeof(fixed));
	key_put_text(key, request->method);
	key_put_text(key, request->app);
	if (request->outcome == OUTCOME_EXCEPTION)
		key_put_text(key, request->exception);
	if (fixed.by_route)
		key_put_text(key, request->route);
	else
		key_put_text(key, by_path ? request->path : request->path_group);
}

struct recent_entry *recent_get(struct recent *recent, const struct request *request, bool by_path,
				uint64_t changes, bool *found)
{
	struct recent_entry *entry;
	struct key key;

	*found = false;
	key_make(&key, request, by_path);
	if (key.bytes > RECENT_KEY_BYTES)
		return NULL;
	entry = &recent->entries[hash_bytes(recent->seed, key.text, key.bytes) & (ENTRIES - 1)];
	*found = entry->series && entry->changes == changes && entry->key_bytes == key.bytes &&
		 !memcmp(entry->key, key.text, key.bytes);
	if (*found)
		return entry;
	memcpy(entry->key, key.text, key.bytes);
	entry->key_bytes = (uint16_t)key.bytes;
	return entry;
}
