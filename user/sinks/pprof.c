/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pprof file: one gzip'd message (profile.proto), packed by protobuf-c. Lines are told apart: a
 * location is a line of a function.
 */
#include "profile_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "profile.h"
#include "profile_about.h"
#include "profile_words.h"
#include "sinks/profile.pb-c.h"

/* sample_type, and the values of each sample. */
#define VALUES 2

/* The numbers in the string table of what is in every file. The texts of functions, two each,
 * come behind them. */
enum fixed_string {
	STRING_EMPTY,
	STRING_SAMPLES,
	STRING_COUNT,
	STRING_TIME,
	STRING_NANOSECONDS,
	STRING_PYTHON,
	STRING_HEADING,
	STRINGS_FIXED,
};

/* All that the message points at: one block of each kind. */
struct message {
	Pprof__Profile profile;
	Pprof__ValueType types[VALUES];
	Pprof__ValueType *type_list[VALUES];
	Pprof__Mapping mapping, *mapping_list[1];
	int64_t comment;
	char *heading;
	char **strings;
	size_t string_count;
	Pprof__Function *functions, **function_list;
	Pprof__Line *lines, **line_list;
	Pprof__Location *locations, **location_list;
	uint64_t *node_locations; /* of each node, its location's id */
	uint64_t *stack_ids, *stack_next;
	int64_t *values;
	Pprof__Sample *samples, **sample_list;
};

/* A text of its own, printable UTF-8; NULL: no memory. */
static char *text_make(struct request_text text)
{
	char *made = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&made, &bytes);

	if (!memory)
		return NULL;
	profile_text_put(memory, text);
	if (fclose(memory)) {
		free(made);
		return NULL;
	}
	return made;
}

static int heading_make(struct message *message, const struct profile *profile,
			const struct profile_about *about)
{
	size_t bytes;
	FILE *memory = open_memstream(&message->heading, &bytes);

	if (!memory)
		return -ENOMEM;
	profile_heading_put(memory, profile, about);
	return fclose(memory) ? -ENOMEM : 0;
}

static const char *time_word(const struct profile_about *about)
{
	return about->cpu && about->waits ? "wall" : about->cpu ? "cpu" : "off-cpu";
}

static int strings_fill(struct message *message, const struct profile *profile,
			const struct profile_about *about)
{
	size_t count = STRINGS_FIXED + 2 * (size_t)profile->function_count;
	int error = heading_make(message, profile, about);

	message->strings = calloc(count, sizeof(*message->strings));
	if (error || !message->strings)
		return -ENOMEM;
	message->strings[STRING_EMPTY] = "";
	message->strings[STRING_SAMPLES] = "samples";
	message->strings[STRING_COUNT] = "count";
	message->strings[STRING_TIME] = (char *)time_word(about);
	message->strings[STRING_NANOSECONDS] = "nanoseconds";
	message->strings[STRING_PYTHON] = "python";
	message->strings[STRING_HEADING] = message->heading;
	message->string_count = STRINGS_FIXED;
	for (uint32_t i = 0; i < profile->function_count; i++) {
		const struct profile_function *function = &profile->functions[i];
		const struct request_text texts[] = {function->name, function->file};

		for (int which = 0; which < 2; which++) {
			char *text = text_make(texts[which]);

			if (!text)
				return -ENOMEM;
			message->strings[message->string_count++] = text;
		}
	}
	return 0;
}

static int functions_fill(struct message *message, const struct profile *profile)
{
	uint32_t count = profile->function_count;

	message->functions = calloc(count, sizeof(*message->functions));
	message->function_list = calloc(count, sizeof(*message->function_list));
	if (!message->functions || !message->function_list)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		Pprof__Function *function = &message->functions[i];

		pprof__function__init(function);
		function->id = i + 1;
		function->name = function->system_name = STRINGS_FIXED + 2 * (int64_t)i;
		function->filename = function->name + 1;
		function->start_line = profile->functions[i].first_line;
		message->function_list[i] = function;
	}
	return 0;
}

/* What makes two nodes one location. */
struct place {
	uint32_t function, line, node;
};

static int place_compare(const void *a, const void *b)
{
	const struct place *first = a, *second = b;

	if (first->function != second->function)
		return first->function > second->function ? 1 : -1;
	return (first->line > second->line) - (first->line < second->line);
}

static size_t locations_number(struct message *message, struct place *places, size_t count)
{
	size_t used = 0;

	qsort(places, count, sizeof(*places), place_compare);
	for (size_t i = 0; i < count; i++) {
		if (!i || place_compare(&places[i], &places[i - 1])) {
			Pprof__Line *line = &message->lines[used];
			Pprof__Location *location = &message->locations[used];

			pprof__line__init(line);
			pprof__location__init(location);
			line->function_id = (uint64_t)places[i].function + 1;
			line->line = places[i].line;
			message->line_list[used] = line;
			message->location_list[used] = location;
			location->id = ++used;
			location->mapping_id = 1;
			location->n_line = 1;
			location->line = &message->line_list[used - 1];
		}
		message->node_locations[places[i].node] = used;
	}
	return used;
}

/* One of each function and line in the tree, the root aside. 0 or -ENOMEM. */
static int locations_fill(struct message *message, const struct profile *profile)
{
	size_t count = profile->node_count - 1;
	struct place *places = calloc(count + 1, sizeof(*places));

	message->lines = calloc(count + 1, sizeof(*message->lines));
	message->line_list = calloc(count + 1, sizeof(*message->line_list));
	message->locations = calloc(count + 1, sizeof(*message->locations));
	message->location_list = calloc(count + 1, sizeof(*message->location_list));
	message->node_locations = calloc(count + 1, sizeof(*message->node_locations));
	if (!places || !message->lines || !message->line_list || !message->locations ||
	    !message->location_list || !message->node_locations) {
		free(places);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct profile_node *node = &profile->nodes[i + 1];

		places[i] = (struct place){node->function, node->line, i + 1};
	}
	message->profile.n_location = locations_number(message, places, count);
	message->profile.location = message->location_list;
	free(places);
	return 0;
}

static void sample_fill(struct message *message, const struct profile *profile, uint32_t node,
			size_t number)
{
	Pprof__Sample *sample = &message->samples[number];
	const struct profile_weight *self = &profile->nodes[node].self[0];

	pprof__sample__init(sample);
	sample->location_id = message->stack_next;
	for (; node; node = profile->nodes[node].parent)
		*message->stack_next++ = message->node_locations[node];
	sample->n_location_id = (size_t)(message->stack_next - sample->location_id);
	sample->value = &message->values[number * VALUES];
	sample->n_value = VALUES;
	sample->value[0] = (int64_t)self->samples;
	sample->value[1] = (int64_t)self->ns;
	message->sample_list[number] = sample;
}

static int samples_fill(struct message *message, const struct profile *profile)
{
	size_t count = 0, depths = 0;

	for (uint32_t i = 0; i < profile->node_count; i++) {
		count += profile->nodes[i].self[0].samples > 0;
		depths += profile->nodes[i].self[0].samples ? profile->nodes[i].depth : 0;
	}
	message->stack_ids = message->stack_next = calloc(depths + 1, sizeof(uint64_t));
	message->values = calloc(count + 1, VALUES * sizeof(int64_t));
	message->samples = calloc(count + 1, sizeof(*message->samples));
	message->sample_list = calloc(count + 1, sizeof(*message->sample_list));
	if (!message->stack_ids || !message->values || !message->samples || !message->sample_list)
		return -ENOMEM;
	message->profile.n_sample = count;
	message->profile.sample = message->sample_list;
	count = 0;
	for (uint32_t i = 0; i < profile->node_count; i++) {
		if (profile->nodes[i].self[0].samples)
			sample_fill(message, profile, i, count++);
	}
	return 0;
}

static void heads_fill(struct message *message, const struct profile *profile,
		       const struct profile_about *about)
{
	Pprof__Profile *out = &message->profile;

	for (int i = 0; i < VALUES; i++) {
		pprof__value_type__init(&message->types[i]);
		message->type_list[i] = &message->types[i];
	}
	message->types[0].type = STRING_SAMPLES;
	message->types[0].unit = STRING_COUNT;
	message->types[1].type = STRING_TIME;
	message->types[1].unit = STRING_NANOSECONDS;
	out->n_sample_type = VALUES;
	out->sample_type = message->type_list;
	out->period_type = &message->types[1];
	out->period = (int64_t)about->period_ns;
	out->default_sample_type = STRING_TIME;
	pprof__mapping__init(&message->mapping);
	message->mapping.id = 1;
	message->mapping.filename = STRING_PYTHON;
	message->mapping.has_functions = true;
	message->mapping.has_filenames = true;
	message->mapping.has_line_numbers = true;
	message->mapping_list[0] = &message->mapping;
	out->n_mapping = 1;
	out->mapping = message->mapping_list;
	message->comment = STRING_HEADING;
	out->n_comment = 1;
	out->comment = &message->comment;
	out->n_function = profile->function_count;
	out->function = message->function_list;
	out->n_string_table = message->string_count;
	out->string_table = message->strings;
	out->time_nanos = about->time_ns;
	out->duration_nanos = about->duration_ns;
}

static void message_clear(struct message *message)
{
	for (size_t i = STRINGS_FIXED; i < message->string_count; i++)
		free(message->strings[i]);
	free(message->strings);
	free(message->heading);
	free(message->functions);
	free(message->function_list);
	free(message->lines);
	free(message->line_list);
	free(message->locations);
	free(message->location_list);
	free(message->node_locations);
	free(message->stack_ids);
	free(message->values);
	free(message->samples);
	free(message->sample_list);
}

/* Writes bytes as a gzip file of one member. 0 or -ENOMEM. */
static int gzip_write(FILE *out, unsigned char *data, size_t bytes)
{
	z_stream stream = {0};
	unsigned char buffer[16384];
	int status = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
				  Z_DEFAULT_STRATEGY); /* + 16: with a gzip header */

	if (status != Z_OK)
		return -ENOMEM;
	do {
		uInt part = bytes > 1U << 30 ? 1U << 30 : (uInt)bytes;

		stream.next_in = data;
		stream.avail_in = part;
		data += part;
		bytes -= part;
		do {
			stream.next_out = buffer;
			stream.avail_out = sizeof(buffer);
			status = deflate(&stream, bytes ? Z_NO_FLUSH : Z_FINISH);
			fwrite(buffer, 1, sizeof(buffer) - stream.avail_out, out);
		} while (!stream.avail_out);
	} while (bytes);
	deflateEnd(&stream);
	return status == Z_STREAM_END ? 0 : -EIO;
}

static int message_write(const struct message *message, FILE *out)
{
	size_t bytes = pprof__profile__get_packed_size(&message->profile);
	unsigned char *packed = malloc(bytes);
	int error;

	if (!packed)
		return -ENOMEM;
	pprof__profile__pack(&message->profile, packed);
	error = gzip_write(out, packed, bytes);
	free(packed);
	return error;
}

static int pprof_write(const struct profile *profile, const struct profile_about *about, FILE *out)
{
	struct message message = {.profile = PPROF__PROFILE__INIT};
	int error = strings_fill(&message, profile, about);

	if (!error)
		error = functions_fill(&message, profile);
	if (!error)
		error = locations_fill(&message, profile);
	if (!error)
		error = samples_fill(&message, profile);
	if (!error) {
		heads_fill(&message, profile, about);
		error = message_write(&message, out);
	}
	message_clear(&message);
	return error;
}

const struct profile_format format_pprof = {
	.name = "pprof",
	.ending = "pb",
	.is_binary = true,
	.by_line = true,
	.write = pprof_write,
};
