/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies between samples and those who make something of them: stacks wait for the end of their
 * request, and then, with a copy of it, until their frames have names; which come soon after, if at
 * all: for so long they wait, by the clock of the events. Must not know what is made of them.
 */
#ifndef WSGISCOPE_STACK_QUEUE_H
#define WSGISCOPE_STACK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

struct code_table;
struct event;
struct stack;
struct stack_queue;

/* Stacks of one request, or of none. */
struct queued {
	struct queued *next;
	struct stack *stacks; /* as they came; NULL: it was never sampled */
	size_t bytes;
	uint64_t since_ns;
	bool is_request;
	struct request request; /* its texts lie in text */
	char text[];
};

/* Where what has its names goes on to, in its order; borrowed, valid until it returns. 0 or -errno,
 * which ends the call that it came from. */
typedef int (*stack_queue_fn)(void *context, struct queued *queued);

/* realtime_offset_ns as in struct source_clock. native: names of native frames are waited for, too.
 * 0 or -ENOMEM. */
int stack_queue_new(int64_t realtime_offset_ns, bool native, stack_queue_fn fn, void *context,
		    struct stack_queue **out);
void stack_queue_free(struct stack_queue *queue); /* NULL is fine */

/* Every event goes here first: its time, code objects, processes that end. 0 or -errno. */
int stack_queue_event(struct stack_queue *queue, const struct event *event);

/* An event of kind SAMPLE, whose stack is wanted. 0 or -errno. */
int stack_queue_sample(struct stack_queue *queue, const struct event *event);

/* The stacks of a request that has ended, now the caller's; NULL: none. */
struct stack *stack_queue_take(struct stack_queue *queue, const struct request *request);

/* Those of the request that has been open longest; NULL: none is left. */
struct stack *stack_queue_take_oldest(struct stack_queue *queue);

/* They wait for their names; owns stacks from here on. request NULL: of none. 0 or -errno. */
int stack_queue_put(struct stack_queue *queue, const struct request *request, struct stack *stacks);

/* Hands out what has its names: after each batch of events. 0 or -errno. */
int stack_queue_settle(struct stack_queue *queue);

/* Hands out all that waits: there will be no more events. 0 or -errno. */
int stack_queue_end(struct stack_queue *queue);

/* The names that have come; borrowed. */
const struct code_table *stack_queue_codes(const struct stack_queue *queue);

uint64_t stack_queue_now(const struct stack_queue *queue);  /* of the last event, CLOCK_MONOTONIC */
uint64_t stack_queue_lost(const struct stack_queue *queue); /* samples given up: too many waited */

#endif
