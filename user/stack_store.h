/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples wait here for the end of their request, since only then is it known whether they are
 * wanted. Bounded: beyond so many bytes the oldest request's are given up, and counted.
 */
#ifndef WSGISCOPE_STACK_STORE_H
#define WSGISCOPE_STACK_STORE_H

#include <stdint.h>

#include "decode.h"

#define STACK_STORE_BYTES (64U << 20)

/* A sample, as long as its frames are many. */
struct stack {
	struct stack *next;
	uint32_t pid;
	uint64_t time_ns; /* CLOCK_MONOTONIC, when it was taken; of a wait: when that ended */
	uint64_t weight_ns;
	bool is_wait;
	uint8_t state;				/* enum request_state */
	bool truncated, native_cut, kernel_cut; /* as in event_sample */
	const char *missing;			/* static, as there */
	uint16_t python, native, kernel;
	char peer[EVENT_PEER_BYTES];
	struct event_frame frames[];
};

struct stack_store;

struct stack_store *stack_store_new(void);	  /* NULL: no memory */
void stack_store_free(struct stack_store *store); /* NULL is fine */

/* A copy of its own, to be freed by free(); NULL: no memory. */
struct stack *stack_new(uint32_t pid, const struct event_sample *sample);
size_t stack_bytes(const struct stack *stack);
void stack_list_free(struct stack *stacks);

/* Without what was after end_ns (CLOCK_MONOTONIC), which is freed: of a request on the wire only
 * its end tells which samples were still its own. */
struct stack *stack_list_cut(struct stack *stacks, uint64_t end_ns);

/* Keeps it for its request; owns it from here on. 0 or -ENOMEM (then it is freed). */
int stack_store_add(struct stack_store *store, uint64_t id, struct stack *stack);

/* All of a request, as they came, now the caller's; NULL: none. */
struct stack *stack_store_take(struct stack_store *store, uint32_t pid, uint64_t id);

/* All of the request that has waited longest; NULL: none is left. */
struct stack *stack_store_take_oldest(struct stack_store *store);

/* Samples given up so far. */
uint64_t stack_store_lost(const struct stack_store *store);

#endif
