/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the store of stacks whose request is open, the queue of those that wait for names, the names
 * themselves, and what is still to be forgotten of processes that have ended.
 */
#include "stack_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "code_table.h"
#include "decode.h"
#include "stack_frames.h"
#include "stack_store.h"

#define NAMES_WAIT_NS UINT64_C(1000000000)
/* Of what is in the queue; past it the first one goes without the names that have not come. */
#define QUEUE_BYTES (64U << 20)
/* A process that has ended is still named by the last records of its requests. */
#define GONE_WAIT_NS UINT64_C(5000000000)
#define GONE_MAX     256

struct gone {
	uint32_t pid;
	uint64_t since_ns;
};

struct stack_queue {
	int64_t realtime_offset_ns;
	bool native;
	stack_queue_fn fn;
	void *context;
	struct code_table *codes;
	struct stack_store *open;
	struct queued *first, *last;
	size_t bytes; /* of what is queued */
	struct gone gone[GONE_MAX];
	unsigned int gone_count;
	uint64_t now_ns;
};

int stack_queue_new(int64_t realtime_offset_ns, bool native, stack_queue_fn fn, void *context,
		    struct stack_queue **out)
{
	struct stack_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return -ENOMEM;
	queue->realtime_offset_ns = realtime_offset_ns;
	queue->native = native;
	queue->fn = fn;
	queue->context = context;
	queue->codes = code_table_new();
	queue->open = stack_store_new();
	if (!queue->codes || !queue->open) {
		stack_queue_free(queue);
		return -ENOMEM;
	}
	*out = queue;
	return 0;
}

static void queued_free(struct queued *queued)
{
	stack_list_free(queued->stacks);
	free(queued);
}

void stack_queue_free(struct stack_queue *queue)
{
	if (!queue)
		return;
	for (struct queued *queued = queue->first, *next; queued; queued = next) {
		next = queued->next;
		queued_free(queued);
	}
	stack_store_free(queue->open);
	code_table_free(queue->codes);
	free(queue);
}

/* The texts of a request, each of which may be absent; but top_frame, which is made later. */
static const size_t text_offsets[] = {
	offsetof(struct request, method),      offsetof(struct request, path),
	offsetof(struct request, route),       offsetof(struct request, path_group),
	offsetof(struct request, app),	       offsetof(struct request, exception),
	offsetof(struct request, traceparent), offsetof(struct request, peer),
};

#define TEXTS (sizeof(text_offsets) / sizeof(text_offsets[0]))

static struct request_text *text_at(struct request *request, size_t i)
{
	return (void *)((char *)request + text_offsets[i]);
}

/* A copy of the request that lives by itself. NULL: no memory. */
static struct queued *queued_new(const struct request *request)
{
	struct request copy = {0};
	struct queued *queued;
	size_t bytes = sizeof(*queued);
	char *at;

	if (request)
		copy = *request;
	for (size_t i = 0; i < TEXTS; i++)
		bytes += text_at(&copy, i)->ptr ? text_at(&copy, i)->bytes : 0;
	queued = malloc(bytes);
	if (!queued)
		return NULL;
	*queued = (struct queued){.bytes = bytes, .is_request = request != NULL, .request = copy};
	at = queued->text;
	for (size_t i = 0; i < TEXTS; i++) {
		struct request_text *text = text_at(&queued->request, i);

		if (!text->ptr)
			continue;
		memcpy(at, text->ptr, text->bytes);
		text->ptr = at;
		at += text->bytes;
	}
	return queued;
}

static bool queued_is_named(const struct stack_queue *queue, const struct queued *queued)
{
	for (const struct stack *stack = queued->stacks; stack; stack = stack->next)
		if (!stack_is_named(stack, queue->codes, queue->native))
			return false;
	return true;
}

static int first_hand_out(struct stack_queue *queue)
{
	struct queued *queued = queue->first;
	int error;

	queue->first = queued->next;
	if (!queue->first)
		queue->last = NULL;
	queue->bytes -= queued->bytes;
	error = queue->fn(queue->context, queued);
	queued_free(queued);
	return error;
}

int stack_queue_put(struct stack_queue *queue, const struct request *request, struct stack *stacks)
{
	struct queued *queued = queued_new(request);

	if (!queued) {
		stack_list_free(stacks);
		return -ENOMEM;
	}
	queued->stacks = stacks;
	queued->since_ns = queue->now_ns;
	for (const struct stack *stack = stacks; stack; stack = stack->next)
		queued->bytes += stack_bytes(stack);
	*(queue->last ? &queue->last->next : &queue->first) = queued;
	queue->last = queued;
	queue->bytes += queued->bytes;
	return queue->bytes > QUEUE_BYTES ? first_hand_out(queue) : 0;
}

int stack_queue_end(struct stack_queue *queue)
{
	int error = 0;

	while (queue->first && !error)
		error = first_hand_out(queue);
	return error;
}

static void gone_forget(struct stack_queue *queue)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < queue->gone_count; i++) {
		if (queue->now_ns - queue->gone[i].since_ns < GONE_WAIT_NS)
			queue->gone[kept++] = queue->gone[i];
		else
			code_table_forget(queue->codes, queue->gone[i].pid);
	}
	queue->gone_count = kept;
}

int stack_queue_settle(struct stack_queue *queue)
{
	int error = 0;

	while (queue->first && !error &&
	       (queue->now_ns - queue->first->since_ns >= NAMES_WAIT_NS ||
		queued_is_named(queue, queue->first)))
		error = first_hand_out(queue);
	if (queue->gone_count)
		gone_forget(queue);
	return error;
}

static int process_take(struct stack_queue *queue, const struct event *event)
{
	int error;

	switch (event->process.what) {
	case PROCESS_EXECED:
		error = stack_queue_end(queue); /* by the names of before */
		code_table_forget(queue->codes, event->pid);
		return error;
	case PROCESS_EXITED:
		if (queue->gone_count == GONE_MAX)
			code_table_forget(queue->codes, queue->gone[--queue->gone_count].pid);
		queue->gone[queue->gone_count++] = (struct gone){event->pid, queue->now_ns};
		return 0;
	default:
		return 0;
	}
}

int stack_queue_event(struct stack_queue *queue, const struct event *event)
{
	int error;

	if (event->time_ns > queue->now_ns)
		queue->now_ns = event->time_ns;
	switch (event->kind) {
	case EVENT_IS_CODE:
		error = code_table_add(queue->codes, event->pid, &event->code);
		return error == -ENOSPC ? 0 : error; /* counted there */
	case EVENT_IS_PROCESS:
		return process_take(queue, event);
	default:
		return 0;
	}
}

int stack_queue_sample(struct stack_queue *queue, const struct event *event)
{
	struct stack *stack = stack_new(event->pid, &event->sample);

	if (!stack)
		return -ENOMEM;
	stack->time_ns = event->time_ns;
	if (event->sample.id)
		return stack_store_add(queue->open, event->sample.id, stack);
	stack->next = NULL;
	return stack_queue_put(queue, NULL, stack);
}

struct stack *stack_queue_take(struct stack_queue *queue, const struct request *request)
{
	struct stack *stacks = stack_store_take(queue->open, request->pid, request->id);

	if (request->mode != REQUEST_WIRE)
		return stacks;
	return stack_list_cut(stacks, request_end_ns(request) - queue->realtime_offset_ns);
}

struct stack *stack_queue_take_oldest(struct stack_queue *queue)
{
	return stack_store_take_oldest(queue->open);
}

const struct code_table *stack_queue_codes(const struct stack_queue *queue)
{
	return queue->codes;
}

uint64_t stack_queue_now(const struct stack_queue *queue)
{
	return queue->now_ns;
}

uint64_t stack_queue_lost(const struct stack_queue *queue)
{
	return stack_store_lost(queue->open);
}
