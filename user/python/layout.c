/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the tables. A new Python is a row here. Taken from the headers of each release
 * (Include/cpython, Include/internal), the same in all releases of a minor version and on x86-64
 * and arm64.
 * Must not know: processes, how memory is read.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "python/layout.h"

#define DEBUG_OFFSETS_COOKIE "xdebugpy"

/* PyThreadState._status.active: it is the one that runs, on its interpreter (from 3.12 on). */
#define STATUS_ACTIVE 0x10

/* Beyond any real one: an interpreter has less than half a megabyte. */
#define OFFSET_MAX ((uint64_t)1 << 20)

/* sizeof(PyASCIIObject) up to 3.11, and what a compact non-ASCII str has more. */
#define TEXT_OLD                                                                                   \
	.text_length = 16, .text_hash = 24, .text_state = 32, .text_kind_shift = 2,                \
	.text_ascii = 48, .text_data = 72
#define TEXT_NEW                                                                                   \
	.text_length = 16, .text_state = 32, .text_kind_shift = 2, .text_ascii = 40, .text_data = 56
#define OBJECTS .object_type = 8, .type_name = 24, .bytes_size = 16, .bytes_data = 32

/* Up to 3.10 each frame is an object, and they are the same but for f_lasti. */
#define WALK_OBJECTS                                                                               \
	.flags = PYSTACK_F_INDEX, .runtime_interpreters = 32, .interpreter_next = 0,               \
	.interpreter_threads = 8, .thread_next = 8, .thread_interpreter = 16, .thread_self = 176,  \
	.thread_frame = 24, .frame_code = 32, .frame_previous = 24, .frame_bytes = 112,            \
	.code_start = 0

/* Up to 3.12: constant over all releases of a minor version. */
static const struct fixed_layout {
	uint8_t minor;
	struct python_layout layout;
} fixed_layouts[] = {
	{9,
	 {.walk = {WALK_OBJECTS, .runtime_current = 568, .frame_instruction = 104,
		   .instruction_bytes = 1},
	  .objects = {OBJECTS, TEXT_OLD, .code_file = 104, .code_name = 112, .code_lines = 120,
		      .code_first_line = 40, .lines = LINES_LNOTAB}}},
	{10,
	 {.walk = {WALK_OBJECTS, .runtime_current = 568, .frame_instruction = 96,
		   .instruction_bytes = 2},
	  .objects = {OBJECTS, TEXT_OLD, .code_file = 104, .code_name = 112, .code_lines = 120,
		      .code_first_line = 40, .lines = LINES_RANGES}}},
	{11,
	 {.walk = {.flags = PYSTACK_F_CFRAME | PYSTACK_F_OWNER | PYSTACK_F_CHUNKS,
		   .runtime_interpreters = 40,
		   .runtime_current = 576,
		   .interpreter_next = 0,
		   .interpreter_threads = 16,
		   .thread_next = 8,
		   .thread_interpreter = 16,
		   .thread_self = 152,
		   .thread_frame = 56,
		   .cframe_frame = 8,
		   .frame_code = 32,
		   .frame_previous = 48,
		   .frame_instruction = 56,
		   .frame_owner = 69,
		   .frame_bytes = 72,
		   .code_start = 184},
	  .objects = {OBJECTS, TEXT_OLD, .code_file = 112, .code_name = 120, .code_qualname = 128,
		      .code_lines = 136, .code_first_line = 72, .lines = LINES_LOCATIONS}}},
	{12,
	 {.walk = {.flags = PYSTACK_F_CFRAME | PYSTACK_F_OWNER | PYSTACK_F_CHUNKS,
		   .runtime_interpreters = 40,
		   .interpreter_next = 0,
		   .interpreter_threads = 72,
		   .thread_next = 8,
		   .thread_interpreter = 16,
		   .thread_self = 136,
		   .thread_frame = 56,
		   .cframe_frame = 0,
		   .thread_status = 24,
		   .thread_attached = STATUS_ACTIVE,
		   .frame_code = 0,
		   .frame_previous = 8,
		   .frame_instruction = 56,
		   .frame_owner = 70,
		   .frame_bytes = 72,
		   .code_start = 192},
	  .objects = {OBJECTS, TEXT_NEW, .code_file = 112, .code_name = 120, .code_qualname = 128,
		      .code_lines = 136, .code_first_line = 68, .lines = LINES_LOCATIONS}}},
};

/* Before 3.11 a thread state has no gettid(), which is what arm64 goes by; from then on it lies
 * behind pthread_self(). */
#ifdef __x86_64__
#define SELF_MINOR_MIN 9
#define SELF_SHIFT     0
#else
#define SELF_MINOR_MIN 11
#define SELF_SHIFT     8
#endif

/* PyInterpreterState.func_state.next_version of 3.13, which its debug offsets do not know: there
 * in all releases, but behind mutexes that have other sizes on other machines, and not in a build
 * without GIL. python_stack_try() looks whether it fits the code objects. */
#ifdef __x86_64__
#define MADE_313 17000
#else
#define MADE_313 0
#endif

/* From this one on, a free-threaded Python gives threads copies of the bytecode. */
#define COPIES_MINOR 14

/* From 3.13 on: where the numbers stand in _Py_DebugOffsets, each 8 bytes. */
static const struct debug_places {
	uint8_t minor;
	uint8_t free_threaded_kind_shift;
	uint16_t runtime_interpreters, interpreter_next, interpreter_threads;
	uint16_t interpreter_generation; /* 0: not there */
	uint16_t thread_next, thread_interpreter, thread_frame, thread_id, thread_status;
	uint16_t frame_previous, frame_code, frame_instruction, frame_owner;
	uint16_t code_file, code_name, code_qualname, code_lines, code_first_line, code_start;
	uint16_t object_type, type_name, bytes_size, bytes_data;
	uint16_t text_state, text_length, text_ascii;
	/* These are offsets themselves; 0: interpreter_generation is enough. */
	uint16_t interpreter_made, code_version;
} debug_places[] = {
	{13,  2,   40,	64,  72,  0,   168, 176, 184, 192, 216, 232, 240, 248,	    264,
	 280, 288, 296, 304, 312, 344, 360, 376, 520, 528, 544, 552, 560, MADE_313, 92},
	{14,  8,   40,	64,  72,  160, 192, 200, 208, 216, 240, 256, 264, 272, 288,
	 320, 328, 336, 344, 352, 384, 408, 424, 600, 608, 624, 632, 640, 0,   0},
	{15,  8,   40,	64,  72,  160, 192, 200, 208, 240, 264, 320, 328, 336, 352,
	 384, 392, 400, 408, 416, 448, 472, 488, 696, 704, 720, 728, 736, 0,   0},
};

/* The beginning of struct _Py_DebugOffsets, itself the beginning of _PyRuntime. */
struct debug_head {
	char cookie[8];
	uint64_t version;
	uint64_t free_threaded;
};

/* Takes numbers one by one and remembers whether one was out of bounds. */
struct debug_reader {
	const uint8_t *head;
	bool bad;
};

/* A number that is an offset of `bytes` inside a structure of which `room` are read. */
static uint32_t number_take(struct debug_reader *reader, uint16_t place, uint32_t bytes,
			    uint64_t room)
{
	uint64_t number;

	memcpy(&number, reader->head + place, sizeof(number));
	if (number > room - bytes || (bytes > 1 && number % (bytes < 8 ? 4 : 8)))
		reader->bad = true;
	return reader->bad ? 0 : (uint32_t)number;
}

static void walk_take(const struct debug_places *at, struct debug_reader *reader,
		      struct pystack_layout *walk)
{
	const uint64_t thread = PYSTACK_THREAD_BYTES, frame = PYSTACK_FRAME_BYTES;

	*walk = (struct pystack_layout){
		.flags = PYSTACK_F_OWNER | PYSTACK_F_CHUNKS,
		.runtime_interpreters =
			number_take(reader, at->runtime_interpreters, 8, OFFSET_MAX),
		.interpreter_next = number_take(reader, at->interpreter_next, 8, OFFSET_MAX),
		.interpreter_threads = number_take(reader, at->interpreter_threads, 8, OFFSET_MAX),
		.interpreter_generation =
			at->interpreter_generation
				? number_take(reader, at->interpreter_generation, 8, OFFSET_MAX)
				: 0,
		.thread_next = number_take(reader, at->thread_next, 8, thread),
		.thread_interpreter = number_take(reader, at->thread_interpreter, 8, thread),
		.thread_frame = number_take(reader, at->thread_frame, 8, thread),
		.thread_self =
			number_take(reader, at->thread_id, 8, thread - SELF_SHIFT) + SELF_SHIFT,
		.thread_status = number_take(reader, at->thread_status, 4, thread),
		.thread_attached = STATUS_ACTIVE,
		.frame_previous = number_take(reader, at->frame_previous, 8, frame),
		.frame_code = number_take(reader, at->frame_code, 8, frame),
		.frame_instruction = number_take(reader, at->frame_instruction, 8, frame),
		.frame_owner = number_take(reader, at->frame_owner, 1, frame),
		.frame_bytes = 80,
		.code_start = number_take(reader, at->code_start, 8, 4096),
	};
	if (walk->frame_owner >= walk->frame_bytes || walk->frame_previous >= walk->frame_bytes ||
	    walk->frame_instruction >= walk->frame_bytes || walk->frame_code >= walk->frame_bytes)
		reader->bad = true;
}

static void objects_take(const struct debug_places *at, struct debug_reader *reader,
			 bool free_threaded, struct python_objects *out)
{
	*out = (struct python_objects){
		.object_type = number_take(reader, at->object_type, 8, 64),
		.type_name = number_take(reader, at->type_name, 8, 256),
		.bytes_size = number_take(reader, at->bytes_size, 8, 64),
		.bytes_data = number_take(reader, at->bytes_data, 8, 128),
		.text_state = number_take(reader, at->text_state, 4, 128),
		.text_length = number_take(reader, at->text_length, 8, 128),
		.text_ascii = number_take(reader, at->text_ascii, 8, 128),
		.text_kind_shift = free_threaded ? at->free_threaded_kind_shift : 2,
		.code_file = number_take(reader, at->code_file, 8, 512),
		.code_name = number_take(reader, at->code_name, 8, 512),
		.code_qualname = number_take(reader, at->code_qualname, 8, 512),
		.code_lines = number_take(reader, at->code_lines, 8, 512),
		.code_first_line = number_take(reader, at->code_first_line, 4, 512),
		.lines = LINES_LOCATIONS,
	};
	/* PyCompactUnicodeObject: the length and the address of a UTF-8 form, behind the ASCII. */
	out->text_data = out->text_ascii + 16;
	if (out->code_lines < PYSTACK_PRINT_BYTES)
		reader->bad = true;
}

static int debug_layout_find(const struct debug_head *debug, const uint8_t *head,
			     struct python_layout *out)
{
	struct debug_reader reader = {.head = head};
	const struct debug_places *at = debug_places;
	const struct debug_places *end = at + sizeof(debug_places) / sizeof(*at);

	while (at < end && debug->version >> 16 != (0x300u | at->minor))
		at++;
	if (at == end)
		return -ENOTSUP;
	walk_take(at, &reader, &out->walk);
	objects_take(at, &reader, debug->free_threaded, &out->objects);
	if (at->interpreter_made && !debug->free_threaded) {
		out->walk.interpreter_generation = at->interpreter_made;
		out->walk.flags |= PYSTACK_F_MADE;
		out->objects.code_version = at->code_version;
	}
	if (debug->free_threaded && at->minor >= COPIES_MINOR)
		out->walk.flags |= PYSTACK_F_NO_LINES;
	return reader.bad || debug->free_threaded > 1 ? -EBADMSG : 0;
}

/* What the kernel side reads of a code object's window, the same for all versions. 0, -EBADMSG. */
static int window_set(struct python_layout *layout)
{
	const struct python_objects *at = &layout->objects;
	struct pystack_layout *walk = &layout->walk;
	const uint32_t members[] = {python_code_name(at), at->code_name, at->code_file,
				    at->code_lines};

	walk->code_print = at->code_lines + 8 - PYSTACK_PRINT_BYTES;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (members[i] < walk->code_print || members[i] > at->code_lines || members[i] % 8)
			return -EBADMSG;
	walk->code_name = python_code_name(at);
	walk->code_file = at->code_file;
	walk->code_lines = at->code_lines;
	walk->code_hashed = at->code_name;
	walk->text_hash = (__u16)at->text_hash;
	return 0;
}

int python_layout_find(uint32_t version, const uint8_t head[PYTHON_DEBUG_BYTES],
		       struct python_layout *out)
{
	struct debug_head debug;

	memcpy(&debug, head, sizeof(debug));
	if (memcmp(debug.cookie, DEBUG_OFFSETS_COOKIE, sizeof(debug.cookie)) == 0) {
		int err = debug_layout_find(&debug, head, out);

		return err ? err : window_set(out);
	}
	for (size_t i = 0; i < sizeof(fixed_layouts) / sizeof(*fixed_layouts); i++) {
		const struct fixed_layout *row = &fixed_layouts[i];

		if (version >> 16 != (0x300u | row->minor) || row->minor < SELF_MINOR_MIN)
			continue;
		*out = row->layout;
		out->walk.thread_self += SELF_SHIFT;
		return window_set(out);
	}
	return -ENOTSUP;
}
