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
#include "stack_frames.h"
#include "stack_store.h"

#define NAMES_WAIT_NS UINT64_C(1000000000)
#define SEEN_MAX      64 /* functions told apart in a request; the first that come */

/* How much a frame is the application's own. */
enum closeness { STANDARD_LIBRARY, INSTALLED_PACKAGE, APPLICATION };

/* A request that waits; its texts lie in text. */
struct waiting {
	struct waiting *next;
	uint64_t since_ns;
	struct stack *stacks;
	struct request request;
	char text[];
};

struct seen_frame {
	const struct code *code;
	uint32_t line;
	enum closeness closeness;
	uint64_t weight_ns;
};

struct top_frames {
	int64_t realtime_offset_ns;
	top_frame_fn fn;
	void *context;
	struct code_table *codes;
	struct stack_store *open;
	struct waiting *first, *last;
	uint64_t now_ns;
	char text[512];
};

int top_frames_new(int64_t realtime_offset_ns, top_frame_fn fn, void *context,
		   struct top_frames **out)
{
	struct top_frames *tops = calloc(1, sizeof(*tops));

	if (!tops)
		return -ENOMEM;
	tops->realtime_offset_ns = realtime_offset_ns;
	tops->fn = fn;
	tops->context = context;
	tops->codes = code_table_new();
	tops->open = stack_store_new();
	if (!tops->codes || !tops->open) {
		top_frames_free(tops);
		return -ENOMEM;
	}
	*out = tops;
	return 0;
}

static void waiting_free(struct waiting *waiting)
{
	stack_list_free(waiting->stacks);
	free(waiting);
}

void top_frames_free(struct top_frames *tops)
{
	if (!tops)
		return;
	for (struct waiting *waiting = tops->first, *next; waiting; waiting = next) {
		next = waiting->next;
		waiting_free(waiting);
	}
	stack_store_free(tops->open);
	code_table_free(tops->codes);
	free(tops);
}

static int sample_take(struct top_frames *tops, const struct event *event)
{
	struct stack *stack;

	if (!event->sample.id)
		return 0;
	stack = stack_new(event->pid, &event->sample);
	if (!stack)
		return -ENOMEM;
	stack->time_ns = event->time_ns;
	return stack_store_add(tops->open, event->sample.id, stack);
}

int top_frames_event(struct top_frames *tops, const struct event *event)
{
	int error;

	if (event->time_ns > tops->now_ns)
		tops->now_ns = event->time_ns;
	switch (event->kind) {
	case EVENT_IS_CODE:
		error = code_table_add(tops->codes, event->pid, &event->code);
		return error == -ENOSPC ? 0 : error; /* counted there */
	case EVENT_IS_SAMPLE:
		return sample_take(tops, event);
	case EVENT_IS_PROCESS:
		if (event->process.what == PROCESS_EXECED)
			code_table_forget(tops->codes, event->pid);
		return 0;
	default:
		return 0;
	}
}

/* The texts of a request, each of which may be absent. */
static struct request_text *const *texts_of(struct request *request)
{
	static struct request_text *texts[9];

	texts[0] = &request->method;
	texts[1] = &request->path;
	texts[2] = &request->route;
	texts[3] = &request->path_group;
	texts[4] = &request->app;
	texts[5] = &request->exception;
	texts[6] = &request->traceparent;
	texts[7] = &request->peer;
	texts[8] = NULL;
	return texts;
}

/* A copy that lives by itself; NULL: no memory. */
static struct waiting *waiting_new(const struct request *from)
{
	struct request copy = *from;
	struct request_text *const *texts = texts_of(&copy);
	struct waiting *waiting;
	size_t bytes = 0;
	char *at;

	for (int i = 0; texts[i]; i++)
		bytes += texts[i]->ptr ? texts[i]->bytes : 0;
	waiting = malloc(sizeof(*waiting) + bytes);
	if (!waiting)
		return NULL;
	*waiting = (struct waiting){.request = *from};
	texts = texts_of(&waiting->request);
	at = waiting->text;
	for (int i = 0; texts[i]; i++) {
		if (!texts[i]->ptr)
			continue;
		memcpy(at, texts[i]->ptr, texts[i]->bytes);
		texts[i]->ptr = at;
		at += texts[i]->bytes;
	}
	return waiting;
}

void top_frames_drop(struct top_frames *tops, const struct request *request)
{
	stack_list_free(stack_store_take(tops->open, request->pid, request->id));
}

int top_frames_request(struct top_frames *tops, const struct request *request)
{
	struct waiting *waiting = waiting_new(request);

	if (!waiting)
		return -ENOMEM;
	waiting->since_ns = tops->now_ns;
	waiting->stacks = stack_list_cut(stack_store_take(tops->open, request->pid, request->id),
					 request_end_ns(request) - tops->realtime_offset_ns);
	*(tops->last ? &tops->last->next : &tops->first) = waiting;
	tops->last = waiting;
	return 0;
}

static bool is_named(const struct top_frames *tops, const struct waiting *waiting)
{
	for (const struct stack *stack = waiting->stacks; stack; stack = stack->next)
		if (!stack_is_named(stack, tops->codes, false))
			return false;
	return true;
}

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
static bool deepest(const struct top_frames *tops, const struct stack *stack,
		    struct seen_frame *out)
{
	bool found = false;

	for (unsigned int i = 0; i < stack->python; i++) {
		const struct event_frame *frame = &stack->frames[i];
		const struct code *code =
			code_table_find(tops->codes, stack->pid, frame->code, frame->fingerprint);
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

static int first_hand_out(struct top_frames *tops)
{
	struct waiting *waiting = tops->first;
	struct seen_frame seen[SEEN_MAX], frame;
	const struct seen_frame *top;
	unsigned int count = 0;
	int error;

	tops->first = waiting->next;
	if (!tops->first)
		tops->last = NULL;
	for (const struct stack *stack = waiting->stacks; stack; stack = stack->next)
		if (deepest(tops, stack, &frame))
			seen_add(seen, &count, &frame);
	top = most_seen(seen, count);
	if (top)
		waiting->request.top_frame = text_make(tops, top);
	error = tops->fn(tops->context, &waiting->request);
	waiting_free(waiting);
	return error;
}

int top_frames_settle(struct top_frames *tops)
{
	int error = 0;

	while (!error && tops->first &&
	       (is_named(tops, tops->first) ||
		tops->now_ns - tops->first->since_ns >= NAMES_WAIT_NS))
		error = first_hand_out(tops);
	return error;
}

int top_frames_end(struct top_frames *tops)
{
	int error = 0;

	while (!error && tops->first)
		error = first_hand_out(tops);
	return error;
}

uint64_t top_frames_lost(const struct top_frames *tops)
{
	return stack_store_lost(tops->open);
}
