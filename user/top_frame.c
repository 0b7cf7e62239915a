/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the rule by which a frame is the application's: what is of the standard library or of an
 * installed package is not, as long as there is anything else. A frame here is a function; of its
 * lines the one that was seen most is shown.
 */
#include "top_frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code_table.h"
#include "decode.h"
#include "request.h"
#include "stack_queue.h"
#include "stack_store.h"

#define SEEN_MAX 64 /* functions told apart in a request; the first that come */

/* How much a frame is the application's own. */
enum closeness { STANDARD_LIBRARY, INSTALLED_PACKAGE, APPLICATION };

struct seen_frame {
	const struct code *code;
	uint32_t line;
	enum closeness closeness;
	uint64_t weight_ns;
};

struct top_frames {
	top_frame_fn fn;
	void *context;
	struct stack_queue *queue;
	char text[512];
};

static bool text_has(struct request_text text, const char *part)
{
	return text.ptr && memmem(text.ptr, text.bytes, part, strlen(part));
}

static enum closeness closeness_of(const struct code *code)
{
	if (text_has(code->file, "/site-packages/") || text_has(code->file, "/dist-packages/"))
		return INSTALLED_PACKAGE;
	if (text_has(code->file, "/lib/python") || text_has(code->file, "<frozen "))
		return STANDARD_LIBRARY;
	return APPLICATION;
}

/* The deepest frame of a stack that is the application's, else that of a package, else any. */
static bool deepest(const struct code_table *codes, const struct stack *stack,
		    struct seen_frame *out)
{
	bool found = false;

	for (unsigned int i = 0; i < stack->python; i++) {
		const struct event_frame *frame = &stack->frames[i];
		const struct code *code =
			code_table_find(codes, stack->pid, frame->code, frame->fingerprint);
		enum closeness closeness;

		if (!code || code->failed)
			continue;
		closeness = closeness_of(code);
		if (found && closeness <= out->closeness)
			continue;
		*out = (struct seen_frame){code, code_line(code, frame->offset), closeness,
					   stack->weight_ns};
		found = true;
	}
	return found;
}

static void seen_add(struct seen_frame seen[SEEN_MAX], unsigned int *count,
		     const struct seen_frame *frame)
{
	for (unsigned int i = 0; i < *count; i++) {
		if (seen[i].code != frame->code || seen[i].line != frame->line)
			continue;
		seen[i].weight_ns += frame->weight_ns;
		return;
	}
	if (*count < SEEN_MAX)
		seen[(*count)++] = *frame;
}

/* The application's before any other; of those, by function, the one that was seen most. */
static const struct seen_frame *most_seen(const struct seen_frame seen[SEEN_MAX],
					  unsigned int count)
{
	const struct seen_frame *best = NULL;
	uint64_t best_ns = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t sum_ns = 0;

		for (unsigned int j = 0; j < count; j++)
			sum_ns += seen[j].code == seen[i].code ? seen[j].weight_ns : 0;
		if (best && (seen[i].closeness < best->closeness ||
			     (seen[i].closeness == best->closeness &&
			      (sum_ns < best_ns ||
			       (sum_ns == best_ns && seen[i].weight_ns <= best->weight_ns)))))
			continue;
		best = &seen[i];
		best_ns = sum_ns;
	}
	return best;
}

static struct request_text text_make(struct top_frames *tops, const struct seen_frame *frame)
{
	struct request_text name = frame->code->name, file = frame->code->file;
	int used = snprintf(tops->text, sizeof(tops->text), "%.*s (%.*s:%u)", (int)name.bytes,
			    name.bytes ? name.ptr : "", (int)file.bytes, file.bytes ? file.ptr : "",
			    frame->line);

	if (used < 0)
		return (struct request_text){NULL, 0};
	return (struct request_text){tops->text, strlen(tops->text)};
}

static int queued_take(void *context, struct queued *queued)
{
	struct top_frames *tops = context;
	const struct code_table *codes = stack_queue_codes(tops->queue);
	struct seen_frame seen[SEEN_MAX], frame;
	const struct seen_frame *top;
	unsigned int count = 0;

	for (const struct stack *stack = queued->stacks; stack; stack = stack->next)
		if (deepest(codes, stack, &frame))
			seen_add(seen, &count, &frame);
	top = most_seen(seen, count);
	if (top)
		queued->request.top_frame = text_make(tops, top);
	return tops->fn(tops->context, &queued->request);
}

int top_frames_new(int64_t realtime_offset_ns, top_frame_fn fn, void *context,
		   struct top_frames **out)
{
	struct top_frames *tops = calloc(1, sizeof(*tops));

	if (!tops)
		return -ENOMEM;
	tops->fn = fn;
	tops->context = context;
	if (stack_queue_new(realtime_offset_ns, false, queued_take, tops, &tops->queue)) {
		free(tops);
		return -ENOMEM;
	}
	*out = tops;
	return 0;
}

void top_frames_free(struct top_frames *tops)
{
	if (!tops)
		return;
	stack_queue_free(tops->queue);
	free(tops);
}

int top_frames_event(struct top_frames *tops, const struct event *event)
{
	int error = stack_queue_event(tops->queue, event);

	if (error || event->kind != EVENT_IS_SAMPLE || !event->sample.id)
		return error;
	return stack_queue_sample(tops->queue, event);
}

void top_frames_drop(struct top_frames *tops, const struct request *request)
{
	stack_list_free(stack_queue_take(tops->queue, request));
}

int top_frames_request(struct top_frames *tops, const struct request *request)
{
	return stack_queue_put(tops->queue, request, stack_queue_take(tops->queue, request));
}

int top_frames_settle(struct top_frames *tops)
{
	return stack_queue_settle(tops->queue);
}

int top_frames_end(struct top_frames *tops)
{
	return stack_queue_end(tops->queue);
}

uint64_t top_frames_lost(const struct top_frames *tops)
{
	return stack_queue_lost(tops->queue);
}
