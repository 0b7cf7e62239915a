/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file format of speedscope (https://www.speedscope.app/file-format-schema.json): a list of
 * frames, and one sampled profile whose stacks are in no order of time. Written by jansson.
 */
#include "profile_format.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "profile.h"
#include "profile_about.h"
#include "profile_words.h"

/* A string that is valid UTF-8 whatever the text; NULL: no memory. */
static json_t *text_json(struct request_text text)
{
	char *escaped = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&escaped, &bytes);
	json_t *json = NULL;

	if (!memory)
		return NULL;
	profile_text_put(memory, text);
	if (!fclose(memory))
		json = json_stringn(escaped, bytes);
	free(escaped);
	return json;
}

static json_t *heading_json(const struct profile *profile, const struct profile_about *about)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);
	json_t *json = NULL;

	if (!memory)
		return NULL;
	profile_heading_put(memory, profile, about);
	if (!fclose(memory))
		json = json_stringn(text, bytes);
	free(text);
	return json;
}

static int frame_append(json_t *frames, const struct profile *profile, uint32_t node)
{
	const struct profile_function *function =
		&profile->functions[profile->nodes[node].function];
	uint32_t line = profile->by_line ? profile->nodes[node].line : function->first_line;
	json_t *frame = json_object();
	int error = json_object_set_new(frame, "name", text_json(function->name));

	if (function->file.bytes)
		error |= json_object_set_new(frame, "file", text_json(function->file));
	if (line)
		error |= json_object_set_new(frame, "line", json_integer(line));
	error |= json_array_append_new(frames, frame);
	return error ? -ENOMEM : 0;
}

/* A frame's number is that of its function and line: numbers[node]. */
static int frames_fill(json_t *frames, const struct profile *profile, uint32_t *numbers)
{
	uint32_t *by_function = calloc(profile->function_count, sizeof(*by_function));
	uint32_t count = 0;
	int error = by_function ? 0 : -ENOMEM;

	for (uint32_t node = 1; node < profile->node_count && !error; node++) {
		uint32_t *known = &by_function[profile->nodes[node].function];

		/* Where lines are told apart, each node has a frame of its own: the reader merges
		 * those of the same name, file and line. */
		if (!*known || profile->by_line) {
			error = frame_append(frames, profile, node);
			*known = ++count;
		}
		numbers[node] = *known - 1;
	}
	free(by_function);
	return error;
}

static int stacks_fill(json_t *samples, json_t *weights, const struct profile *profile,
		       const uint32_t *numbers)
{
	uint32_t path[PROFILE_DEPTH_MAX + 1];
	int error = 0;

	for (uint32_t node = profile_next(profile, 0); node && !error;
	     node = profile_next(profile, node)) {
		const struct profile_node *at = &profile->nodes[node];
		json_t *stack;

		path[at->depth] = numbers[node];
		if (!at->self[0].ns)
			continue;
		stack = json_array();
		for (uint32_t i = 1; i <= at->depth; i++)
			error |= json_array_append_new(stack, json_integer(path[i]));
		error |= json_array_append_new(samples, stack);
		error |= json_array_append_new(weights, json_integer((json_int_t)at->self[0].ns));
	}
	return error ? -ENOMEM : 0;
}

static json_t *profile_json(const struct profile *profile, const struct profile_about *about,
			    json_t *samples, json_t *weights)
{
	json_int_t total =
		(json_int_t)(profile->nodes[0].total[0].ns - profile->nodes[0].self[0].ns);

	return json_pack("{s:s, s:o, s:s, s:i, s:I, s:O, s:O}", "type", "sampled", "name",
			 heading_json(profile, about), "unit", "nanoseconds", "startValue", 0,
			 "endValue", total, "samples", samples, "weights", weights);
}

static int stream_put(const char *buffer, size_t bytes, void *out)
{
	return fwrite(buffer, 1, bytes, out) == bytes ? 0 : -1;
}

static int document_put(const struct profile *profile, const struct profile_about *about,
			json_t *frames, json_t *samples, json_t *weights, FILE *out)
{
	json_t *document =
		json_pack("{s:s, s:s, s:o, s:i, s:{s:O}, s:[o]}", "$schema",
			  "https://www.speedscope.app/file-format-schema.json", "exporter",
			  "wsgiscope " WSGISCOPE_VERSION, "name", heading_json(profile, about),
			  "activeProfileIndex", 0, "shared", "frames", frames, "profiles",
			  profile_json(profile, about, samples, weights));

	if (!document)
		return -ENOMEM;
	/* What becomes of the stream is the caller's to see. */
	json_dump_callback(document, stream_put, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(document);
	return 0;
}

static int speedscope_write(const struct profile *profile, const struct profile_about *about,
			    FILE *out)
{
	uint32_t *numbers = calloc(profile->node_count, sizeof(*numbers));
	json_t *frames = json_array(), *samples = json_array(), *weights = json_array();
	int error = numbers && frames && samples && weights ? 0 : -ENOMEM;

	if (!error)
		error = frames_fill(frames, profile, numbers);
	if (!error)
		error = stacks_fill(samples, weights, profile, numbers);
	if (!error)
		error = document_put(profile, about, frames, samples, weights, out);
	json_decref(frames);
	json_decref(samples);
	json_decref(weights);
	free(numbers);
	return error;
}

const struct profile_format format_speedscope = {
	.name = "speedscope",
	.ending = "json",
	.write = speedscope_write,
};
