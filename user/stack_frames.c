/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns what a stack looks like: the order of its parts, what stands for what is missing. Native
 * frames are walked by frame pointers and mix the program's with the interpreter's; only those
 * above the interpreter's innermost evaluation loop belong above the innermost Python frame.
 */
#include "stack_frames.h"

#include <stdio.h>
#include <string.h>

#include "code_table.h"
#include "sinks/words.h"
#include "stack_store.h"

/* The kernel's symbols are no process's. */
#define KERNEL_PID 0

static const char name_not_come[] = "[no name: it never came]";
static const char too_deep[] = "[frames missing: deeper than 512]";
static const char too_deep_wait[] = "[frames missing: deeper than is kept of a wait]";
static const char native_cut[] = "[native frames missing: too deep]";
static const char kernel_cut[] = "[kernel frames missing: too deep]";
static const char no_python[] = "[no Python code]";
static const char unnamed[] = "(unnamed)";

static void reason_count(struct stack_reason *reasons, const char *text)
{
	for (int i = 0; i < STACK_REASONS_MAX; i++) {
		if (reasons[i].text && reasons[i].text != text)
			continue;
		reasons[i].text = text;
		reasons[i].count++;
		return;
	}
}

static struct request_text text_of(const char *text)
{
	return (struct request_text){text, strlen(text)};
}

static void frame_put(struct stack_frames *frames, struct profile_frame frame)
{
	if (frames->count < PROFILE_DEPTH_MAX)
		frames->frames[frames->count++] = frame;
}

static void missing_put(struct stack_frames *frames, const char *text)
{
	frame_put(frames, (struct profile_frame){.kind = PROFILE_MISSING, .name = text_of(text)});
}

/* Stands for frames that a stack does not have; the footer says how many stacks. */
static void missing_count_put(struct stack_frames *frames, const char *text)
{
	reason_count(frames->stacks, text);
	missing_put(frames, text);
}

static const struct code *code_of(const struct stack *stack, const struct code_table *codes,
				  unsigned int i)
{
	const struct event_frame *frame = &stack->frames[i];
	unsigned int kernel_from = (unsigned int)stack->python + stack->native;

	return code_table_find(codes, i < kernel_from ? stack->pid : KERNEL_PID, frame->code,
			       frame->fingerprint);
}

bool stack_is_named(const struct stack *stack, const struct code_table *codes, bool native)
{
	unsigned int count = stack->python;

	count += native ? (unsigned int)stack->native + stack->kernel : 0;
	for (unsigned int i = 0; i < count; i++) {
		if (!code_of(stack, codes, i))
			return false;
	}
	return true;
}

static void code_put(struct stack_frames *frames, const struct code *code, int32_t offset)
{
	static const enum profile_kind kinds[] = {
		[CODE_IS_PYTHON] = PROFILE_PYTHON,
		[CODE_IS_NATIVE] = PROFILE_NATIVE,
		[CODE_IS_KERNEL] = PROFILE_KERNEL,
	};

	if (!code || code->failed) {
		reason_count(frames->names, code ? code->failed : name_not_come);
		missing_put(frames, code ? code->failed : name_not_come);
		return;
	}
	frame_put(frames, (struct profile_frame){
				  .kind = kinds[code->kind],
				  .name = code->name.bytes ? code->name : text_of(unnamed),
				  .file = code->file,
				  .first_line = code->first_line,
				  .line = code_line(code, offset),
			  });
}

/* The interpreter's own: what it was called from is the Python frame, shown already. */
static bool is_evaluation(const struct code *code)
{
	static const char *const names[] = {"_PyEval_EvalFrame", "PyEval_EvalFrame"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t bytes = strlen(names[i]);

		if (code->name.bytes >= bytes && !memcmp(code->name.ptr, names[i], bytes))
			return true;
	}
	return false;
}

/* How many native frames, from the innermost on, lie above the Python ones and have names. */
static unsigned int native_above(const struct stack *stack, const struct code_table *codes)
{
	unsigned int above = 0;

	while (above < stack->native) {
		const struct code *code = code_of(stack, codes, stack->python + above);

		if (!code || code->failed || (stack->python && is_evaluation(code)))
			break;
		above++;
	}
	return above;
}

/* From the last of the frames to the first: they are kept innermost first. */
static void part_put(struct stack_frames *frames, const struct stack *stack,
		     const struct code_table *codes, unsigned int first, unsigned int count)
{
	for (unsigned int i = first + count; i-- > first;)
		code_put(frames, code_of(stack, codes, i), stack->frames[i].offset);
}

/* What lies above the innermost Python frame, by the native and the kernel's walks. */
static void native_parts_put(struct stack_frames *frames, const struct stack *stack,
			     const struct code_table *codes)
{
	unsigned int above = native_above(stack, codes);

	/* Where they end at the interpreter, only its own are missing. */
	if (stack->native_cut && above == stack->native)
		missing_count_put(frames, native_cut);
	part_put(frames, stack, codes, stack->python, above);
	if (stack->kernel_cut)
		missing_count_put(frames, kernel_cut);
	part_put(frames, stack, codes, (unsigned int)stack->python + stack->native, stack->kernel);
}

static void state_put(struct stack_frames *frames, const struct stack *stack)
{
	const char *name = state_name((enum request_state)stack->state);

	snprintf(frames->state_text, sizeof(frames->state_text), "[%s%s%s]", name,
		 stack->peer[0] ? " " : "", stack->peer);
	frame_put(frames, (struct profile_frame){
				  .kind = PROFILE_STATE,
				  .state = (enum request_state)stack->state,
				  .name = text_of(frames->state_text),
			  });
}

void stack_frames_fill(struct stack_frames *frames, const struct stack *stack,
		       const struct code_table *codes, struct request_text outermost)
{
	frames->count = 0;
	if (outermost.ptr)
		frame_put(frames, (struct profile_frame){.kind = PROFILE_ROUTE, .name = outermost});
	if (stack->missing)
		missing_count_put(frames, stack->missing);
	else if (stack->truncated)
		missing_count_put(frames, stack->is_wait ? too_deep_wait : too_deep);
	else if (!stack->python)
		missing_count_put(frames, no_python);
	part_put(frames, stack, codes, 0, stack->python);
	if (frames->native)
		native_parts_put(frames, stack, codes);
	if (stack->is_wait)
		state_put(frames, stack);
}
