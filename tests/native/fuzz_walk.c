/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: the trial walk, the frame walk and the reading of code objects over images of real
 * processes that the input damages. It chooses the image, then says which words become what.
 * Images: WSGISCOPE_IMAGES, else tests/native/images.
 */
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "python/code.h"
#include "python/stack.h"
#include "walk.h"

#define IMAGES 7

/* A change of the image: one word at a place. */
struct change {
	uint16_t place; /* in words, wraps */
	uint16_t piece; /* of kind 1: to the start of which piece the word points */
	uint32_t number;
	uint8_t kind;
} __attribute__((packed));

static struct image images[IMAGES];
static uint64_t now_ns = UINT64_C(1) << 40;
static uint8_t *sound[IMAGES];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const names[IMAGES] = {"3.9",  "3.10", "3.11", "3.12",
						  "3.13", "3.14", "3.15"};
	const char *directory = getenv("WSGISCOPE_IMAGES");
	char path[512];

	for (int i = 0; i < IMAGES; i++) {
		snprintf(path, sizeof(path), "%s/%s.image",
			 directory ? directory : "tests/native/images", names[i]);
		if (image_load(path, &images[i])) {
			fprintf(stderr, "cannot load %s\n", path);
			exit(1);
		}
		sound[i] = malloc(images[i].memory_bytes);
		memcpy(sound[i], images[i].memory, images[i].memory_bytes);
	}
	return 0;
}

static void change_make(struct image *image, const struct change *change)
{
	size_t at = change->place % (image->memory_bytes / 8) * 8;
	uint64_t word = change->number;

	memcpy(&word, image->memory + at, sizeof(word));
	if (change->kind % 3 == 0)
		word = change->number;
	else if (change->kind % 3 == 1)
		word = image->pieces[change->piece % image->piece_count].address + change->number;
	else
		word ^= (uint64_t)change->number << (change->kind & 32);
	memcpy(image->memory + at, &word, sizeof(word));
}

static void copy_decode(const struct python_layout *layout, const struct rec_raw_code *raw)
{
	static struct python_code code;

	if (!python_code_decode(layout, raw, &code) &&
	    (code.name_bytes > sizeof(code.name) || code.file_bytes > sizeof(code.file) ||
	     code.line_count > REC_CODE_LINES_MAX))
		abort();
}

static void threads_walk(const struct image *image, const struct python_layout *layout)
{
	static struct python_code code;
	static struct walk_result result;
	static struct walk_sent sent;

	for (uint32_t i = 0; i < image->thread_count; i++) {
		const struct walk_of of = {image->runtime, image->threads[i], now_ns};

		/* What an input before this one has left in the table may be anything, too. */
		now_ns += 50000000;
		sent.count = 0;
		walk_thread(layout, &of, &result, &sent);
		if (result.count > STACK_PYTHON_MAX || result.error >= STACK_ERRORS)
			abort();
		for (unsigned int j = 0; j < sent.count; j++)
			copy_decode(layout, &sent.codes[j]);
		for (unsigned int j = 0; j < result.count && j < 32; j++)
			if (!python_code_read(1, layout, result.frames[j].code, 0, &code) &&
			    (code.name_bytes > sizeof(code.name) ||
			     code.file_bytes > sizeof(code.file) ||
			     code.line_count > REC_CODE_LINES_MAX))
				abort();
	}
}

/* The input as a copied code object of that version, whatever it says. */
static void input_decode(const struct python_layout *layout, const uint8_t *data, size_t size)
{
	static struct rec_raw_code raw;

	memset(&raw, 0, sizeof(raw));
	memcpy(&raw, data, size < sizeof(raw) ? size : sizeof(raw));
	raw.fingerprint = 0;
	copy_decode(layout, &raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *image = &images[size ? data[0] % IMAGES : 0];
	const struct python_location where = {.runtime = image->runtime, .version = image->version};
	struct python_layout layout;
	struct stack_answer answer;
	struct change change;

	for (size_t at = 1; at + sizeof(change) <= size; at += sizeof(change)) {
		memcpy(&change, data + at, sizeof(change));
		change_make(image, &change);
	}
	image_use(image);
	if (!python_stack_try(1, &where, &layout, &answer) && answer.verdict == STACK_USABLE) {
		threads_walk(image, &layout);
		input_decode(&layout, data, size);
	}
	memcpy(image->memory, sound[image - images], image->memory_bytes);
	return 0;
}
