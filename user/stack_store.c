/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open requests, each with a list of samples, in a hash chain and in the list of all from the
 * oldest on.
 */
#include "stack_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHAINS 8192

struct open_request {
	uint64_t id;
	uint32_t pid;
	struct open_request *chain, *older, *newer;
	struct stack *first, *last;
	size_t bytes;
	uint64_t count;
};

struct stack_store {
	struct open_request *chains[CHAINS];
	struct open_request *oldest, *newest;
	size_t bytes;
	uint64_t lost;
};

struct stack_store *stack_store_new(void)
{
	return calloc(1, sizeof(struct stack_store));
}

void stack_store_free(struct stack_store *store)
{
	struct stack *stacks;

	if (!store)
		return;
	while ((stacks = stack_store_take_oldest(store)))
		stack_list_free(stacks);
	free(store);
}

struct stack *stack_new(uint32_t pid, const struct event_sample *sample)
{
	size_t frames = (size_t)sample->python + sample->native + sample->kernel;
	struct stack *stack = malloc(sizeof(*stack) + frames * sizeof(stack->frames[0]));

	if (!stack)
		return NULL;
	*stack = (struct stack){
		.pid = pid,
		.weight_ns = sample->weight_ns,
		.is_wait = sample->is_wait,
		.state = (uint8_t)sample->state,
		.truncated = sample->truncated,
		.native_cut = sample->native_cut,
		.kernel_cut = sample->kernel_cut,
		.missing = sample->missing,
		.python = (uint16_t)sample->python,
		.native = (uint16_t)sample->native,
		.kernel = (uint16_t)sample->kernel,
	};
	memcpy(stack->peer, sample->peer, sizeof(stack->peer));
	memcpy(stack->frames, sample->frames, frames * sizeof(stack->frames[0]));
	return stack;
}

size_t stack_bytes(const struct stack *stack)
{
	return sizeof(*stack) +
	       sizeof(stack->frames[0]) * ((size_t)stack->python + stack->native + stack->kernel);
}

void stack_list_free(struct stack *stacks)
{
	for (struct stack *next; stacks; stacks = next) {
		next = stacks->next;
		free(stacks);
	}
}

/* A wait that had begun is cut where the request ended. */
static bool stack_cut(struct stack *stack, uint64_t end_ns)
{
	uint64_t over_ns = stack->time_ns > end_ns ? stack->time_ns - end_ns : 0;

	if (!over_ns)
		return true;
	if (!stack->is_wait || over_ns >= stack->weight_ns)
		return false;
	stack->weight_ns -= over_ns;
	return true;
}

struct stack *stack_list_cut(struct stack *stacks, uint64_t end_ns)
{
	struct stack *kept = NULL, **tail = &kept, *next;

	for (; stacks; stacks = next) {
		next = stacks->next;
		stacks->next = NULL;
		if (!stack_cut(stacks, end_ns)) {
			free(stacks);
			continue;
		}
		*tail = stacks;
		tail = &stacks->next;
	}
	return kept;
}

static struct open_request **chain_of(struct stack_store *store, uint32_t pid, uint64_t id)
{
	uint64_t mixed = (id ^ (uint64_t)pid << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &store->chains[mixed >> 32 & (CHAINS - 1)];
}

static struct open_request *request_find(struct stack_store *store, uint32_t pid, uint64_t id)
{
	struct open_request *request = *chain_of(store, pid, id);

	while (request && (request->pid != pid || request->id != id))
		request = request->chain;
	return request;
}

static struct open_request *request_new(struct stack_store *store, uint32_t pid, uint64_t id)
{
	struct open_request **chain = chain_of(store, pid, id);
	struct open_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->id = id;
	request->pid = pid;
	request->chain = *chain;
	*chain = request;
	request->older = store->newest;
	*(store->newest ? &store->newest->newer : &store->oldest) = request;
	store->newest = request;
	store->bytes += sizeof(*request);
	return request;
}

/* Its samples, now the caller's; the request itself is gone. */
static struct stack *request_empty(struct stack_store *store, struct open_request *request)
{
	struct open_request **link = chain_of(store, request->pid, request->id);
	struct stack *stacks = request->first;

	while (*link != request)
		link = &(*link)->chain;
	*link = request->chain;
	*(request->older ? &request->older->newer : &store->oldest) = request->newer;
	*(request->newer ? &request->newer->older : &store->newest) = request->older;
	store->bytes -= sizeof(*request) + request->bytes;
	free(request);
	return stacks;
}

int stack_store_add(struct stack_store *store, uint64_t id, struct stack *stack)
{
	size_t bytes = stack_bytes(stack);
	struct open_request *request;

	while (store->oldest && store->bytes + bytes > STACK_STORE_BYTES) {
		store->lost += store->oldest->count;
		stack_list_free(request_empty(store, store->oldest));
	}
	request = request_find(store, stack->pid, id);
	if (!request)
		request = request_new(store, stack->pid, id);
	if (!request) {
		free(stack);
		return -ENOMEM;
	}
	stack->next = NULL;
	*(request->first ? &request->last->next : &request->first) = stack;
	request->last = stack;
	request->count++;
	request->bytes += bytes;
	store->bytes += bytes;
	return 0;
}

struct stack *stack_store_take(struct stack_store *store, uint32_t pid, uint64_t id)
{
	struct open_request *request = request_find(store, pid, id);

	return request ? request_empty(store, request) : NULL;
}

struct stack *stack_store_take_oldest(struct stack_store *store)
{
	return store->oldest ? request_empty(store, store->oldest) : NULL;
}

uint64_t stack_store_lost(const struct stack_store *store)
{
	return store->lost;
}
