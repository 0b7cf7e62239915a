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
static struct walk_sent sent;

/* Calls fn with the name of each image, at least one of each version. */
static void images_each(void (*fn)(const char *name))
{
	static const char *const names[] = {"3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fn(names[i]);
}

#define SECOND	 UINT64_C(1000000000)
#define START_NS (1000 * SECOND)

/* The frames of a thread of the image, when nothing is known of their code objects yet. */
static void thread_walk(const struct image *image, const struct python_layout *layout,
			uint64_t self)
{
	const struct walk_of of = {image->runtime, self, START_NS};

	walk_forget();
	sent.count = 0;
	walk_thread(layout, &of, &result, &sent);
}

static unsigned int line_of(const struct python_code *object, int offset)
{
	unsigned int line = 0;

	for (size_t i = 0; i < object->line_count && (int)object->lines[i].offset <= offset; i++)
		line = object->lines[i].line;
	return line;
}

/* What the kernel side copied of an object says the same as the process itself. */
static void copy_check(const struct python_layout *layout, const struct rec_raw_code *raw)
{
	static struct python_code copied;
	struct rec_raw_code other = *raw;

	assert_int_equal(python_code_read(1, layout, raw->code, raw->fingerprint, &code), 0);
	assert_int_equal(python_code_decode(layout, raw, &copied), 0);
	assert_int_equal(copied.first_line, code.first_line);
	assert_int_equal(copied.name_bytes, code.name_bytes);
	assert_memory_equal(copied.name, code.name, code.name_bytes);
	assert_int_equal(copied.file_bytes, code.file_bytes);
	assert_memory_equal(copied.file, code.file, code.file_bytes);
	assert_int_equal(copied.line_count, code.line_count);
	assert_memory_equal(copied.lines, code.lines, code.line_count * sizeof(code.lines[0]));
	other.fingerprint ^= 1;
	assert_int_equal(python_code_decode(layout, &other, &copied), -ESTALE);
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
		thread_walk(image, &layout, image->threads[i]);
		assert_int_equal(result.error, STACK_OK);
		assert_int_equal(result.flags, 0); /* they sleep: the GIL is not theirs */
		fprintf(out, "thread %llu\n", (unsigned long long)image->threads[i]);
		frames_print(&layout, out);
		assert_true(sent.count);
		for (unsigned int j = 0; j < sent.count; j++)
			copy_check(&layout, &sent.codes[j]);
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

static void test_frames_are_what_python_says(void **state)
{
	images_each(image_check);
}

static void image_open(const char *name, struct image *image, struct python_layout *layout)
{
	struct python_location where;
	struct stack_answer answer;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.image", directory, name);
	assert_int_equal(image_load(path, image), 0);
	where = (struct python_location){.runtime = image->runtime, .version = image->version};
	image_use(image);
	assert_int_equal(python_stack_try(1, &where, layout, &answer), 0);
	assert_int_equal(answer.verdict, STACK_USABLE);
}

/* What lies at an address becomes this; what it was. */
static uint64_t word_change(struct image *image, uint64_t address, uint64_t word)
{
	uint64_t was;

	assert_int_equal(image_read(address, &was, sizeof(was)), 0);
	assert_int_equal(image_write(image, address, &word, sizeof(word)), 0);
	return was;
}

static void freed_check(const char *name)
{
	/* No references; a free list's pointer, in a heap and in a program's own. */
	static const uint64_t dead[] = {0, 0x7f12deadbe40, 0x5555aabbcc40, 0x100000000};
	struct python_layout layout;
	struct image image;
	struct rec_raw_code *raw = &sent.codes[0];
	uint64_t was;

	image_open(name, &image, &layout);
	assert_true(layout.types.code && layout.types.text && layout.types.bytes);
	thread_walk(&image, &layout, image.threads[0]);
	for (size_t i = 0; i < sizeof(dead) / sizeof(dead[0]); i++) {
		was = word_change(&image, raw->code, dead[i]);
		assert_int_equal(python_code_read(1, &layout, raw->code, raw->fingerprint, &code),
				 -ESTALE);
		/* The copy was taken before; but what it lacks, nobody can tell any more. */
		assert_int_equal(python_code_decode(&layout, raw, &code), 0);
		raw->lines_bytes = 0;
		assert_int_equal(python_code_decode(&layout, raw, &code), -ESTALE);
		word_change(&image, raw->code, was);
		assert_int_equal(python_code_decode(&layout, raw, &code), 0);
		thread_walk(&image, &layout, image.threads[0]);
	}
	/* A str in its place, which leaves most of it as it was; another object for its name. */
	was = word_change(&image, raw->code + 8, layout.types.text);
	assert_int_equal(python_code_read(1, &layout, raw->code, raw->fingerprint, &code),
			 -EBADMSG);
	word_change(&image, raw->code + 8, was);
	raw->head[1] = layout.types.bytes;
	assert_int_equal(python_code_decode(&layout, raw, &code), -EBADMSG);
	thread_walk(&image, &layout, image.threads[0]);
	memcpy(raw->name + 8, &layout.types.bytes, 8);
	assert_int_equal(python_code_decode(&layout, raw, &code), -EBADMSG);
	image_free(&image);
}

static void test_freed_code_has_no_name(void **state)
{
	images_each(freed_check);
}

/* Of threads with bytecode of their own the frames are known, where they stand in them is not. */
static void test_copied_bytecode_has_no_lines(void **state)
{
	struct python_layout layout;
	struct image image;
	uint64_t outermost;

	image_open("3.14", &image, &layout);
	assert_false(layout.walk.flags & PYSTACK_F_NO_LINES);
	thread_walk(&image, &layout, image.threads[0]);
	assert_true(result.count && result.frames[0].offset >= 0);
	outermost = result.frames[result.count - 1].code;
	layout.walk.flags |= PYSTACK_F_NO_LINES;
	thread_walk(&image, &layout, image.threads[0]);
	assert_int_equal(result.frames[result.count - 1].code, outermost);
	for (unsigned int i = 0; i < result.count; i++)
		assert_int_equal(result.frames[i].offset, -1);
	image_free(&image);
}

/* The innermost frame's fingerprint at a time. */
static uint32_t print_at(const struct image *image, const struct python_layout *layout,
			 uint64_t now_ns)
{
	const struct walk_of of = {image->runtime, image->threads[0], now_ns};

	sent.count = 0;
	walk_thread(layout, &of, &result, &sent);
	assert_true(result.count);
	return result.frames[0].fingerprint;
}

static void replaced_check(const char *name)
{
	const uint64_t old_ns = START_NS + 10 * SECOND;
	struct python_layout layout;
	struct image image;
	uint64_t lines;
	uint32_t print;

	image_open(name, &image, &layout);
	if (layout.walk.interpreter_generation) {
		image_free(&image);
		return;
	}
	walk_forget();
	print = print_at(&image, &layout, START_NS);
	assert_true(sent.count);
	assert_int_equal(print_at(&image, &layout, old_ns), print);
	assert_int_equal(sent.count, 0);
	/* It has been there for long: so it is believed for a moment, which is counted. */
	lines = result.frames[0].code + layout.walk.code_lines;
	word_change(&image, lines, word_change(&image, lines, 0) + 8);
	assert_int_equal(print_at(&image, &layout, old_ns + SECOND / 5), print);
	assert_int_equal(sent.count, 0);
	assert_int_equal(walk_stale(), 0);
	assert_int_not_equal(print_at(&image, &layout, old_ns + SECOND / 4), print);
	assert_int_equal(sent.count, 1);
	assert_int_equal(walk_stale(), 1);
	/* From then on, nothing at that address is. */
	print = print_at(&image, &layout, old_ns + 9 * SECOND);
	word_change(&image, lines, word_change(&image, lines, 0) + 8);
	assert_int_not_equal(print_at(&image, &layout, old_ns + 9 * SECOND + 1), print);
	assert_int_equal(sent.count, 1);
	assert_int_equal(walk_stale(), 1);
	/* Nor is what has been there for a short time. */
	walk_forget();
	print = print_at(&image, &layout, START_NS);
	word_change(&image, lines, word_change(&image, lines, 0) + 8);
	assert_int_not_equal(print_at(&image, &layout, START_NS + 1), print);
	assert_int_equal(walk_stale(), 0);
	image_free(&image);
}

static void test_replaced_code_is_seen(void **state)
{
	images_each(replaced_check);
}

static unsigned int images_counted;

static void counted_check(const char *name)
{
	struct python_location where = {0};
	uint64_t interpreter, counted, lines;
	struct python_layout layout;
	struct stack_answer answer;
	struct image image;
	uint32_t print;

	image_open(name, &image, &layout);
	where.runtime = image.runtime;
	where.version = image.version;
	if (!layout.walk.interpreter_generation) {
		image_free(&image);
		return;
	}
	assert_int_equal(image_read(image.runtime + layout.walk.runtime_interpreters, &interpreter,
				    sizeof(interpreter)),
			 0);
	/* The threads of the image are of the main interpreter, the last of the list. */
	for (uint64_t next = interpreter; next;
	     assert_int_equal(image_read(interpreter + layout.walk.interpreter_next, &next, 8), 0))
		interpreter = next;
	counted = interpreter + layout.walk.interpreter_generation;
	walk_forget();
	print = print_at(&image, &layout, START_NS);
	lines = result.frames[0].code + layout.walk.code_lines;
	word_change(&image, lines, word_change(&image, lines, 0) + 8);
	assert_int_equal(print_at(&image, &layout, START_NS + 9 * SECOND), print);
	word_change(&image, counted, word_change(&image, counted, 0) + 1);
	assert_int_not_equal(print_at(&image, &layout, START_NS + 9 * SECOND + 1), print);
	assert_int_equal(sent.count, 1);
	assert_int_equal(walk_stale(), 0);
	images_counted++;
	/* Where the next object's number is one that an object has, nothing is counted there. */
	word_change(&image, counted, 1);
	assert_int_equal(python_stack_try(1, &where, &layout, &answer), 0);
	assert_int_equal(answer.verdict, STACK_USABLE);
	if (layout.walk.flags & PYSTACK_F_MADE)
		assert_int_equal(layout.walk.interpreter_generation, 0);
	image_free(&image);
}

/* 3.13, 3.14 and 3.15. */
static void test_counted_code_is_exact(void **state)
{
	images_counted = 0;
	images_each(counted_check);
	assert_int_equal(images_counted, 3);
}

/* A thread that is no thread of this process. */
static void stranger_check(const char *name)
{
	struct python_layout layout;
	struct image image;

	image_open(name, &image, &layout);
	thread_walk(&image, &layout, image.threads[0] + 8);
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
		thread_walk(image, &layout, image->threads[i]);
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
		cmocka_unit_test(test_freed_code_has_no_name),
		cmocka_unit_test(test_copied_bytecode_has_no_lines),
		cmocka_unit_test(test_replaced_code_is_seen),
		cmocka_unit_test(test_counted_code_is_exact),
		cmocka_unit_test(test_strangers_have_none),
		cmocka_unit_test(test_damaged_images_end),
	};

	if (argc > 1)
		directory = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
