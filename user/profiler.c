/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns what is between a sample and a profile: the store of those whose request is open, and the
 * queue of those that are wanted and wait for the names of their frames (which come soon after, if
 * at all: for so long they wait, by the clock of the events).
 */
#include "profiler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "code_table.h"
#include "config.h"
#include "decode.h"
#include "profile_about.h"
#include "profile_files.h"
#include "profiler_counts.h"
#include "stack_frames.h"
#include "stack_store.h"

#define NAMES_WAIT_NS 1000000000ULL
/* Of stacks in the queue; past it the first one goes without the names that have not come. */
#define QUEUE_BYTES (64U << 20)
/* A process that has ended is still named by the last records of its requests. */
#define GONE_WAIT_NS 5000000000ULL
#define GONE_MAX     256
/* A weight beyond it (13 days) is a lie. */
#define WEIGHT_MAX_NS (1ULL << 50)

/* Samples that are wanted, of one request or of none. */
struct due {
	struct due *next;
	struct stack *stacks;
	size_t bytes;
	uint64_t since_ns;
	bool is_request;
	struct request request; /* its texts lie in text */
	char text[];
};

struct gone {
	uint32_t pid;
	uint64_t since_ns;
};

struct profiler {
	const struct config *config;
	struct profile *into;
	unsigned int side;
	struct profile_files *files;
	struct code_table *codes;
	struct stack_store *open;
	struct due *first, *last;
	size_t due_bytes;
	struct gone gone[GONE_MAX];
	unsigned int gone_count;
	int error;	 /* the first of writing files, said there; nothing is written after it */
	uint64_t now_ns; /* of the last event, CLOCK_MONOTONIC */
	int64_t realtime_offset_ns;
	struct stack_frames frames;
	struct profiler_counts counts;
};

int profiler_new(const struct config *config, int64_t realtime_offset_ns, struct profile *into,
		 unsigned int side, struct profile_files *files, struct profiler **out)
{
	struct profiler *profiler = calloc(1, sizeof(*profiler));

	if (!profiler)
		return -ENOMEM;
	profiler->config = config;
	profiler->realtime_offset_ns = realtime_offset_ns;
	profiler->into = into;
	profiler->side = side;
	profiler->files = files;
	profiler->frames.native = config->native;
	profiler->codes = code_table_new();
	profiler->open = stack_store_new();
	if (!profiler->codes || !profiler->open) {
		profiler_free(profiler);
		return -ENOMEM;
	}
	*out = profiler;
	return 0;
}

static void due_free(struct due *due)
{
	stack_list_free(due->stacks);
	free(due);
}

void profiler_free(struct profiler *profiler)
{
	if (!profiler)
		return;
	for (struct due *due = profiler->first, *next; due; due = next) {
		next = due->next;
		due_free(due);
	}
	stack_store_free(profiler->open);
	code_table_free(profiler->codes);
	free(profiler);
}

/* Copies a text behind the ones before it and has *to be the copy. */
static char *text_keep(char *at, struct request_text *to, struct request_text from)
{
	if (!from.ptr)
		return at;
	memcpy(at, from.ptr, from.bytes);
	*to = (struct request_text){at, from.bytes};
	return at + from.bytes;
}

/* request NULL: of none. NULL: no memory. The stacks stay the caller's until then. */
static struct due *due_new(const struct request *request, struct stack *stacks)
{
	static const struct request none;
	const struct request *from = request ? request : &none;
	struct due *due = malloc(sizeof(*due) + from->method.bytes + from->path.bytes +
				 from->route.bytes + from->path_group.bytes);
	char *at;

	if (!due)
		return NULL;
	*due = (struct due){.stacks = stacks, .is_request = request != NULL};
	due->request = (struct request){
		.id = from->id,
		.pid = from->pid,
		.time_ns = from->time_ns,
		.status = from->status,
		.application_ns = from->application_ns,
	};
	at = text_keep(due->text, &due->request.method, from->method);
	at = text_keep(at, &due->request.path, from->path);
	at = text_keep(at, &due->request.route, from->route);
	text_keep(at, &due->request.path_group, from->path_group);
	for (const struct stack *stack = stacks; stack; stack = stack->next)
		due->bytes += stack_bytes(stack);
	return due;
}

static bool due_is_named(const struct profiler *profiler, const struct due *due)
{
	for (const struct stack *stack = due->stacks; stack; stack = stack->next) {
		if (!stack_is_named(stack, profiler->codes, profiler->frames.native))
			return false;
	}
	return true;
}

/* The outermost frame, with --by route. */
static struct request_text due_group(const struct config *config, const struct due *due)
{
	if (!config->by)
		return (struct request_text){NULL, 0};
	if (!due->is_request)
		return config->outside ? (struct request_text){"[no request]", 12}
				       : (struct request_text){"[request had not ended]", 23};
	if (due->request.route.ptr)
		return due->request.route;
	if (due->request.path_group.ptr)
		return due->request.path_group;
	return (struct request_text){"-", 1};
}

static int due_add(struct profiler *profiler, const struct due *due, struct profile *into)
{
	struct request_text group = due_group(profiler->config, due);
	struct stack_frames *frames = &profiler->frames;
	int error = 0;

	for (const struct stack *stack = due->stacks; stack && !error; stack = stack->next) {
		stack_frames_fill(frames, stack, profiler->codes, group);
		error = profile_add(into, profiler->side, frames->frames, frames->count,
				    stack->weight_ns);
		profiler->counts.shown++;
		if (profiler->counts.shown_ns < UINT64_MAX - stack->weight_ns)
			profiler->counts.shown_ns += stack->weight_ns;
	}
	return error;
}

/* One request's own profile. */
static int due_write(struct profiler *profiler, const struct due *due)
{
	struct profile_about about = {.notes = ""};
	struct profile *profile;
	int error = profile_new(profile_files_by_line(profiler->files), &profile);

	if (error)
		return error;
	error = due_add(profiler, due, profile);
	if (!error)
		error = profile_finish(profile);
	if (!error) {
		profiler_describe(profiler, &about);
		error = profile_files_write(profiler->files, &due->request, profile, &about);
	}
	profile_free(profile);
	return error;
}

static int first_settle(struct profiler *profiler)
{
	struct due *due = profiler->first;
	int error;

	profiler->first = due->next;
	if (!profiler->first)
		profiler->last = NULL;
	profiler->due_bytes -= due->bytes;
	if (!profiler->files)
		error = due_add(profiler, due, profiler->into);
	else if (!profiler->error)
		error = profiler->error = due_write(profiler, due);
	else
		error = profiler->error;
	due_free(due);
	return error;
}

static int due_put(struct profiler *profiler, const struct request *request, struct stack *stacks)
{
	struct due *due = due_new(request, stacks);

	if (!due) {
		stack_list_free(stacks);
		return -ENOMEM;
	}
	due->since_ns = profiler->now_ns;
	*(profiler->last ? &profiler->last->next : &profiler->first) = due;
	profiler->last = due;
	profiler->due_bytes += due->bytes;
	return profiler->due_bytes > QUEUE_BYTES ? first_settle(profiler) : 0;
}

static int all_settle(struct profiler *profiler)
{
	int error = 0;

	while (profiler->first && !error)
		error = first_settle(profiler);
	return error;
}

static void gone_forget(struct profiler *profiler)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < profiler->gone_count; i++) {
		if (profiler->now_ns - profiler->gone[i].since_ns < GONE_WAIT_NS)
			profiler->gone[kept++] = profiler->gone[i];
		else
			code_table_forget(profiler->codes, profiler->gone[i].pid);
	}
	profiler->gone_count = kept;
}

int profiler_settle(struct profiler *profiler)
{
	int error = 0;

	while (profiler->first && !error &&
	       (profiler->now_ns - profiler->first->since_ns >= NAMES_WAIT_NS ||
		due_is_named(profiler, profiler->first)))
		error = first_settle(profiler);
	if (profiler->gone_count)
		gone_forget(profiler);
	return error;
}

static bool sample_is_wanted(struct profiler *profiler, const struct event_sample *sample)
{
	const struct config *config = profiler->config;
	struct profiler_counts *counts = &profiler->counts;

	if (sample->weight_ns > WEIGHT_MAX_NS) {
		counts->bad_weight++;
		return false;
	}
	if (sample->is_wait ? !config->off_cpu && !config->wall
			    : config->off_cpu && !config->wall) {
		*(sample->is_wait ? &counts->waits_unwanted : &counts->cpu_unwanted) += 1;
		return false;
	}
	if (config->outside ? sample->id != 0 : sample->id == 0) {
		*(sample->id ? &counts->inside_unwanted : &counts->outside_unwanted) += 1;
		return false;
	}
	return true;
}

static int sample_take(struct profiler *profiler, const struct event *event)
{
	const struct event_sample *sample = &event->sample;
	struct profiler_counts *counts = &profiler->counts;
	struct stack *stack;

	counts->samples++;
	if (!counts->first_ns)
		counts->first_ns = event->time_ns;
	if (!sample->is_wait)
		counts->period_ns = sample->weight_ns;
	if (!sample_is_wanted(profiler, sample))
		return 0;
	stack = stack_new(event->pid, sample);
	if (!stack)
		return -ENOMEM;
	stack->time_ns = event->time_ns;
	if (sample->id)
		return stack_store_add(profiler->open, sample->id, stack);
	stack->next = NULL;
	return due_put(profiler, NULL, stack);
}

static int process_take(struct profiler *profiler, const struct event *event)
{
	int error;

	switch (event->process.what) {
	case PROCESS_EXECED:
		error = all_settle(profiler); /* by the names of before */
		code_table_forget(profiler->codes, event->pid);
		return error;
	case PROCESS_EXITED:
		if (profiler->gone_count == GONE_MAX)
			code_table_forget(profiler->codes,
					  profiler->gone[--profiler->gone_count].pid);
		profiler->gone[profiler->gone_count++] =
			(struct gone){event->pid, profiler->now_ns};
		return 0;
	default:
		return 0;
	}
}

int profiler_event(struct profiler *profiler, const struct event *event)
{
	int error;

	if (event->time_ns > profiler->now_ns)
		profiler->now_ns = event->time_ns;
	switch (event->kind) {
	case EVENT_IS_CODE:
		error = code_table_add(profiler->codes, event->pid, &event->code);
		return error == -ENOSPC ? 0 : error; /* counted there */
	case EVENT_IS_SAMPLE:
		return sample_take(profiler, event);
	case EVENT_IS_PROCESS:
		return process_take(profiler, event);
	case EVENT_IS_COUNTERS:
		profiler->counts.waits_unasked = event->counters.waits_unasked;
		return 0;
	default:
		return 0;
	}
}

int profiler_request(struct profiler *profiler, const struct request *request, bool passes)
{
	struct stack *stacks = stack_store_take(profiler->open, request->pid, request->id);

	if (request->mode == REQUEST_WIRE)
		stacks = stack_list_cut(stacks,
					request_end_ns(request) - profiler->realtime_offset_ns);
	if (!passes) {
		for (const struct stack *stack = stacks; stack; stack = stack->next)
			profiler->counts.filtered++;
		stack_list_free(stacks);
		return 0;
	}
	profiler->counts.requests++;
	profiler->counts.requests_unsampled += !stacks;
	if (!stacks)
		return 0;
	return due_put(profiler, request, stacks);
}

/* Requests that had not ended: nothing is known of them that a filter could go by. */
static int open_settle(struct profiler *profiler)
{
	const struct config *config = profiler->config;
	bool wanted = !profiler->files && !config->route && !config->path_glob && !config->method &&
		      !config->status && config->slower_ms <= 0 && config->min_ms <= 0;
	struct stack *stacks;
	int error = 0;

	while (!error && (stacks = stack_store_take_oldest(profiler->open))) {
		for (const struct stack *stack = stacks; stack; stack = stack->next)
			*(wanted ? &profiler->counts.open_shown
				 : &profiler->counts.open_unwanted) += 1;
		if (wanted)
			error = due_put(profiler, NULL, stacks);
		else
			stack_list_free(stacks);
	}
	return error;
}

int profiler_end(struct profiler *profiler)
{
	int error = open_settle(profiler);

	return error ? error : all_settle(profiler);
}

void profiler_describe(const struct profiler *profiler, struct profile_about *about)
{
	const struct profiler_counts *counts = &profiler->counts;
	const struct config *config = profiler->config;

	about->cpu = !config->off_cpu || config->wall;
	about->waits = config->off_cpu || config->wall;
	about->outside = config->outside;
	about->requests[profiler->side] = counts->requests;
	about->period_ns = counts->period_ns;
	if (!counts->first_ns || counts->first_ns > INT64_MAX)
		return;
	if (__builtin_add_overflow((int64_t)counts->first_ns, profiler->realtime_offset_ns,
				   &about->time_ns))
		about->time_ns = 0;
	if (profiler->now_ns - counts->first_ns <= INT64_MAX)
		about->duration_ns = (int64_t)(profiler->now_ns - counts->first_ns);
}

void profiler_notes(const struct profiler *profiler, FILE *out)
{
	struct profiler_counts counts = profiler->counts;

	counts.given_up = stack_store_lost(profiler->open);
	counts.codes_lost = code_table_lost(profiler->codes);
	counts.cut = profiler->into ? profiler->into->cut : 0;
	counts.files_unwritten = profiler->files ? profile_files_unwritten(profiler->files) : 0;
	profiler_counts_print(out, &counts, &profiler->frames);
}
