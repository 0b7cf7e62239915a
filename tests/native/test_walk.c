/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame walk and the reading of code objects over images of real processes: what each thread's
 * frames must be was said by that Python itself. Then over damaged ones: it ends, in bounds.
 */
#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "python/code.h"
#include "python/stack.h"
#include "walk.h"

#define ROUNDS 3000 /* of damage, for each image */

static const char *directory = "tests/native/images";
static struct python_code code;
static struct walk_result result;

static unsigned int line_of(const struct python_code *object, int offset)
{
	unsigned int line = 0;

	for (size_t i = 0; i < object->line_count && (int)object->lines[i].offset <= offset; i++)
		line = object->lines[i].line;
	return line;
}

/* An object as far as the image has it; what lies between what was looked at is not there. */
static uint16_t object_copy(uint8_t *to, size_t max, uint64_t from)
{
	size_t bytes = 0;

	for (size_t i = 0; i < max; i++)
		if (!image_read(from + i, to + i, 1))
			bytes = i + 1;
	return (uint16_t)bytes;
}

/* What the kernel side would have copied of it says the same as the process itself. */
static void copy_check(const struct python_layout *layout, const struct rec_frame *frame)
{
	static struct python_code copied;
	static struct rec_raw_code raw;
	const struct pystack_layout *walk = &layout->walk;
	const uint64_t *window = (const uint64_t *)raw.window;

	memset(&raw, 0, sizeof(raw));
	raw.code = frame->code;
	raw.fingerprint = frame->fingerprint;
	assert_int_equal(
		image_read(frame->code + walk->code_print, raw.window, PYSTACK_PRINT_BYTES), 0);
	raw.name_bytes = object_copy(raw.name, sizeof(raw.name),
				     window[(walk->code_name - walk->code_print) / 8]);
	raw.file_bytes = object_copy(raw.file, sizeof(raw.file),
				     window[(walk->code_file - walk->code_print) / 8]);
	raw.lines_bytes = object_copy(raw.lines, sizeof(raw.lines),
				      window[(walk->code_lines - walk->code_print) / 8]);
	assert_int_equal(python_code_decode(layout, &raw, &copied), 0);
	assert_int_equal(copied.first_line, code.first_line);
	assert_int_equal(copied.name_bytes, code.name_bytes);
	assert_memory_equal(copied.name, code.name, code.name_bytes);
	assert_int_equal(copied.file_bytes, code.file_bytes);
	assert_memory_equal(copied.file, code.file, code.file_bytes);
	assert_int_equal(copied.line_count, code.line_count);
	assert_memory_equal(copied.lines, code.lines, code.line_count * sizeof(code.lines[0]));
	raw.fingerprint ^= 1;
	assert_int_equal(python_code_decode(layout, &raw, &copied), -ESTALE);
}

/* The interpreter's own frame of 3.13 and later, which user/symbols.c leaves out. */
static bool is_shim(const struct python_code *object)
{
	return object->file_bytes == 8 && !memcmp(object->file, "__init__", 8);
}

static void frames_print(const struct python_layout *layout, FILE *out)
{
	for (unsigned int i = 0; i < result.count; i++) {
		const struct rec_frame *frame = &result.frames[i];

		assert_int_equal(
			python_code_read(1, layout, frame->code, frame->fingerprint, &code), 0);
		copy_check(layout, frame);
		if (is_shim(&code))
			continue;
		fprintf(out, "%.*s %.*s:%u\n", (int)code.name_bytes, code.name,
			(int)code.file_bytes, code.file, line_of(&code, frame->offset));
	}
}

static void image_print(const struct image *image, FILE *out)
{
	const struct python_location where = {.runtime = image->runtime, .version = image->version};
	struct python_layout layout;
	struct stack_answer answer;

	image_use(image);
	assert_int_equal(python_stack_try(1, &where, &layout, &answer), 0);
	if (answer.why)
		fail_msg("%s", answer.why);
	for (uint32_t i = 0; i < image->thread_count; i++) {
		walk_thread(&layout, image->runtime, image->threads[i], &result);
		assert_int_equal(result.error, STACK_OK);
		assert_int_equal(result.flags, 0); /* they sleep: the GIL is not theirs */
		fprintf(out, "thread %llu\n", (unsigned long long)image->threads[i]);
		frames_print(&layout, out);
	}
}

static char *file_read(const char *path)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = fopen(path, "re");

	if (file && getdelim(&text, &bytes, '\0', file) < 0)
		text = NULL;
	if (file)
		fclose(file);
	return text;
}

static void image_check(const char *name)
{
	char path[512], *expected, *found = NULL;
	struct image image;
	size_t bytes;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s.image", directory, name);
	assert_int_equal(image_load(path, &image), 0);
	snprintf(path, sizeof(path), "%s/%s.expected", directory, name);
	expected = file_read(path);
	assert_non_null(expected);
	out = open_memstream(&found, &bytes);
	image_print(&image, out);
	fclose(out);
	assert_string_equal(found, expected);
	free(found);
	free(expected);
	image_free(&image);
}

/* Calls fn with the name of each image, at least one of each version. */
static void images_each(void (*fn)(const char *name))
{
	static const char *const names[] = {"3.9", "3.10", "3.11", "3.12", "3.13", "3.14"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fn(names[i]);
}

static void test_frames_are_what_python_says(void **state)
{
	images_each(image_check);
}

/* A thread that is no thread of this process. */
static void stranger_check(const char *name)
{
	struct python_location where;
	struct python_layout layout;
	struct stack_answer answer;
	struct image image;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.image", directory, name);
	assert_int_equal(image_load(path, &image), 0);
	where = (struct python_location){.runtime = image.runtime, .version = image.version};
	image_use(&image);
	assert_int_equal(python_stack_try(1, &where, &layout, &answer), 0);
	walk_thread(&layout, image.runtime, image.threads[0] + 8, &result);
	assert_int_equal(result.error, STACK_NO_THREAD_STATE);
	assert_int_equal(result.count, 0);
	image_free(&image);
}

static void test_strangers_have_none(void **state)
{
	images_each(stranger_check);
}

/* Everything that may be done with a process, whatever it is made of. */
static void image_use_all(const struct image *image)
{
	const struct python_location where = {.runtime = image->runtime, .version = image->version};
	struct python_layout layout;
	struct stack_answer answer;

	image_use(image);
	if (python_stack_try(1, &where, &layout, &answer) || answer.verdict != STACK_USABLE)
		return;
	for (uint32_t i = 0; i < image->thread_count; i++) {
		walk_thread(&layout, image->runtime, image->threads[i], &result);
		assert_true(result.count <= STACK_PYTHON_MAX);
		assert_true(result.error < STACK_ERRORS);
		for (unsigned int j = 0; j < result.count && j < 64; j++)
			python_code_read(1, &layout, result.frames[j].code, 0, &code);
	}
}

/* Words become other words, many of them addresses of the same image: so walks go in circles. */
static void image_damage(struct image *image)
{
	for (int i = rand() % 8; i >= 0; i--) {
		const struct image_piece *piece = &image->pieces[rand() % image->piece_count];
		uint64_t word = piece->address;

		switch (rand() % 4) {
		case 0:
			word = (uint64_t)rand() << 32 | (uint64_t)rand();
			break;
		case 1:
			word = (uint64_t)rand() % 1024;
			break;
		}
		memcpy(image->memory + (uint64_t)rand() % (image->memory_bytes / 8) * 8, &word,
		       sizeof(word));
	}
}

static void damaged_check(const char *name)
{
	struct image image;
	uint8_t *sound;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.image", directory, name);
	assert_int_equal(image_load(path, &image), 0);
	sound = malloc(image.memory_bytes);
	assert_non_null(sound);
	memcpy(sound, image.memory, image.memory_bytes);
	srand(1);
	for (int i = 0; i < ROUNDS; i++) {
		image_damage(&image);
		image_use_all(&image);
		memcpy(image.memory, sound, image.memory_bytes);
	}
	free(sound);
	image_free(&image);
}

static void test_damaged_images_end(void **state)
{
	images_each(damaged_check);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_are_what_python_says),
		cmocka_unit_test(test_strangers_have_none),
		cmocka_unit_test(test_damaged_images_end),
	};

	if (argc > 1)
		directory = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
