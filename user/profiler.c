/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns which samples are wanted, what becomes of those whose names have come, and the count of
 * both. In between they are the queue's (stack_queue.h).
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
#include "stack_queue.h"
#include "stack_store.h"

/* A weight beyond it (13 days) is a lie. */
#define WEIGHT_MAX_NS (1ULL << 50)

struct profiler {
	const struct config *config;
	struct profile *into;
	unsigned int side;
	struct profile_files *files;
	struct stack_queue *queue;
	int error; /* the first of writing files, said there; nothing is written after it */
	int64_t realtime_offset_ns;
	struct stack_frames frames;
	struct profiler_counts counts;
};

/* The outermost frame, with --by route. */
static struct request_text group_of(const struct config *config, const struct queued *queued)
{
	if (!config->by)
		return (struct request_text){NULL, 0};
	if (!queued->is_request)
		return config->outside ? (struct request_text){"[no request]", 12}
				       : (struct request_text){"[request had not ended]", 23};
	if (queued->request.route.ptr)
		return queued->request.route;
	if (queued->request.path_group.ptr)
		return queued->request.path_group;
	return (struct request_text){"-", 1};
}

static int stacks_add(struct profiler *profiler, const struct queued *queued, struct profile *into)
{
	struct request_text group = group_of(profiler->config, queued);
	const struct code_table *codes = stack_queue_codes(profiler->queue);
	struct stack_frames *frames = &profiler->frames;
	int error = 0;

	for (const struct stack *stack = queued->stacks; stack && !error; stack = stack->next) {
		stack_frames_fill(frames, stack, codes, group);
		error = profile_add(into, profiler->side, frames->frames, frames->count,
				    stack->weight_ns);
		profiler->counts.shown++;
		if (profiler->counts.shown_ns < UINT64_MAX - stack->weight_ns)
			profiler->counts.shown_ns += stack->weight_ns;
	}
	return error;
}

/* One request's own profile. */
static int request_write(struct profiler *profiler, const struct queued *queued)
{
	struct profile_about about = {.notes = ""};
	struct profile *profile;
	int error = profile_new(profile_files_by_line(profiler->files), &profile);

	if (error)
		return error;
	error = stacks_add(profiler, queued, profile);
	if (!error)
		error = profile_finish(profile);
	if (!error) {
		profiler_describe(profiler, &about);
		error = profile_files_write(profiler->files, &queued->request, profile, &about);
	}
	profile_free(profile);
	return error;
}

static int queued_take(void *context, struct queued *queued)
{
	struct profiler *profiler = context;

	if (!profiler->files)
		return stacks_add(profiler, queued, profiler->into);
	if (!profiler->error)
		profiler->error = request_write(profiler, queued);
	return profiler->error;
}

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
	if (stack_queue_new(realtime_offset_ns, config->native, queued_take, profiler,
			    &profiler->queue)) {
		free(profiler);
		return -ENOMEM;
	}
	*out = profiler;
	return 0;
}

void profiler_free(struct profiler *profiler)
{
	if (!profiler)
		return;
	stack_queue_free(profiler->queue);
	free(profiler);
}

int profiler_settle(struct profiler *profiler)
{
	return stack_queue_settle(profiler->queue);
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

	counts->samples++;
	if (!counts->first_ns)
		counts->first_ns = event->time_ns;
	if (!sample->is_wait)
		counts->period_ns = sample->weight_ns;
	if (!sample_is_wanted(profiler, sample))
		return 0;
	return stack_queue_sample(profiler->queue, event);
}

int profiler_event(struct profiler *profiler, const struct event *event)
{
	int error = stack_queue_event(profiler->queue, event);

	if (error)
		return error;
	if (event->kind == EVENT_IS_SAMPLE)
		return sample_take(profiler, event);
	if (event->kind == EVENT_IS_COUNTERS)
		profiler->counts.waits_unasked = event->counters.waits_unasked;
	return 0;
}

int profiler_request(struct profiler *profiler, const struct request *request, bool passes)
{
	struct stack *stacks = stack_queue_take(profiler->queue, request);

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
	return stack_queue_put(profiler->queue, request, stacks);
}

/* Requests that had not ended: nothing is known of them that a filter could go by. */
static int open_settle(struct profiler *profiler)
{
	const struct config *config = profiler->config;
	bool wanted = !profiler->files && !config->route && !config->path_glob && !config->method &&
		      !config->status && config->slower_ms <= 0 && config->min_ms <= 0;
	struct stack *stacks;
	int error = 0;

	while (!error && (stacks = stack_queue_take_oldest(profiler->queue))) {
		for (const struct stack *stack = stacks; stack; stack = stack->next)
			*(wanted ? &profiler->counts.open_shown
				 : &profiler->counts.open_unwanted) += 1;
		if (wanted)
			error = stack_queue_put(profiler->queue, NULL, stacks);
		else
			stack_list_free(stacks);
	}
	return error;
}

int profiler_end(struct profiler *profiler)
{
	int error = open_settle(profiler);

	return error ? error : stack_queue_end(profiler->queue);
}

void profiler_describe(const struct profiler *profiler, struct profile_about *about)
{
	const struct profiler_counts *counts = &profiler->counts;
	const struct config *config = profiler->config;
	const uint64_t now_ns = stack_queue_now(profiler->queue);

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
	if (now_ns - counts->first_ns <= INT64_MAX)
		about->duration_ns = (int64_t)(now_ns - counts->first_ns);
}

void profiler_notes(const struct profiler *profiler, FILE *out)
{
	struct profiler_counts counts = profiler->counts;

	counts.given_up = stack_queue_lost(profiler->queue);
	counts.codes_lost = code_table_lost(stack_queue_codes(profiler->queue));
	counts.cut = profiler->into ? profiler->into->cut : 0;
	counts.files_unwritten = profiler->files ? profile_files_unwritten(profiler->files) : 0;
	profiler_counts_print(out, &counts, &profiler->frames);
}
