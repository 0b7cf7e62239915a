/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two pools of fixed size, linked by index (0: none): blocks, each in its request's list, and open
 * requests, each in a hash chain and in the list of all from the oldest on.
 */
#include "block_store.h"

#include <stdlib.h>

#include "request.h"

#define CHAINS 4096

struct node {
	struct request_block block;
	uint32_t next; /* of the same request, or of the free list */
};

struct open_request {
	uint64_t id;
	uint32_t pid;
	uint32_t first, last; /* nodes */
	uint32_t count;
	uint32_t chain_next; /* or of the free list */
	uint32_t older, newer;
};

struct block_store {
	struct node nodes[BLOCK_STORE_BLOCKS + 1];
	struct open_request requests[BLOCK_STORE_REQUESTS + 1];
	uint32_t chains[CHAINS];
	uint32_t nodes_used, requests_used; /* beyond them lies what was never touched */
	uint32_t nodes_free, requests_free; /* free lists of what was */
	uint32_t oldest, newest;
	uint64_t lost;
};

struct block_store *block_store_new(void)
{
	return calloc(1, sizeof(struct block_store));
}

void block_store_free(struct block_store *store)
{
	free(store);
}

static uint32_t *chain_of(struct block_store *store, uint32_t pid, uint64_t id)
{
	uint64_t mixed = (id ^ (uint64_t)pid << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &store->chains[mixed >> 32 & (CHAINS - 1)];
}

static uint32_t request_find(struct block_store *store, uint32_t pid, uint64_t id)
{
	uint32_t i = *chain_of(store, pid, id);

	while (i && (store->requests[i].pid != pid || store->requests[i].id != id))
		i = store->requests[i].chain_next;
	return i;
}

/* Takes a request out of its chain and its age list; its nodes and itself become free. */
static void request_forget(struct block_store *store, uint32_t i)
{
	struct open_request *request = &store->requests[i];
	uint32_t *link = chain_of(store, request->pid, request->id);

	while (*link != i)
		link = &store->requests[*link].chain_next;
	*link = request->chain_next;
	*(request->older ? &store->requests[request->older].newer : &store->oldest) =
		request->newer;
	*(request->newer ? &store->requests[request->newer].older : &store->newest) =
		request->older;
	if (request->first) {
		store->nodes[request->last].next = store->nodes_free;
		store->nodes_free = request->first;
	}
	request->chain_next = store->requests_free;
	store->requests_free = i;
}

static void oldest_give_up(struct block_store *store)
{
	store->lost += store->requests[store->oldest].count;
	request_forget(store, store->oldest);
}

static uint32_t request_new(struct block_store *store, uint32_t pid, uint64_t id)
{
	uint32_t *chain = chain_of(store, pid, id);
	uint32_t i;

	if (!store->requests_free && store->requests_used == BLOCK_STORE_REQUESTS)
		oldest_give_up(store);
	i = store->requests_free;
	if (i)
		store->requests_free = store->requests[i].chain_next;
	else
		i = ++store->requests_used;
	store->requests[i] = (struct open_request){
		.id = id,
		.pid = pid,
		.chain_next = *chain,
		.older = store->newest,
	};
	*chain = i;
	*(store->newest ? &store->requests[store->newest].newer : &store->oldest) = i;
	store->newest = i;
	return i;
}

static uint32_t node_new(struct block_store *store)
{
	uint32_t i;

	if (!store->nodes_free && store->nodes_used == BLOCK_STORE_BLOCKS)
		oldest_give_up(store);
	i = store->nodes_free;
	if (i)
		store->nodes_free = store->nodes[i].next;
	else
		i = ++store->nodes_used;
	return i;
}

void block_store_add(struct block_store *store, const struct request_block *block)
{
	uint32_t node = node_new(store); /* first: this may give up the request itself */
	uint32_t i = request_find(store, block->pid, block->id);
	struct open_request *request;

	if (!i)
		i = request_new(store, block->pid, block->id);
	request = &store->requests[i];
	store->nodes[node] = (struct node){.block = *block};
	*(request->first ? &store->nodes[request->last].next : &request->first) = node;
	request->last = node;
	request->count++;
}

int block_store_take(struct block_store *store, uint32_t pid, uint64_t id,
		     int (*fn)(void *context, const struct request_block *block), void *context)
{
	uint32_t i = request_find(store, pid, id);
	int result = 0;

	if (!i)
		return 0;
	for (uint32_t node = store->requests[i].first; fn && node && !result;
	     node = store->nodes[node].next)
		result = fn(context, &store->nodes[node].block);
	request_forget(store, i);
	return result;
}

uint64_t block_store_lost(const struct block_store *store)
{
	return store->lost;
}
