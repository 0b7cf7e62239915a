/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the tables. A new Python is a row here, and nothing anywhere else.
 * Must not know: processes, how memory is read, what the numbers are used for.
 */
#include <errno.h>
#include <string.h>

#include "python/offsets.h"

#define DEBUG_OFFSETS_COOKIE "xdebugpy"

/* glibc's, which are not the tracer's where that one is built with another C library. */
#define COND_BYTES 48
#ifdef __aarch64__
#define MUTEX_BYTES 48
#else
#define MUTEX_BYTES 40
#endif

/* Beyond any real one: _PyRuntime has about half a megabyte, an interpreter less than that. */
#define STRUCTURE_MAX ((uint64_t)16 << 20)

/* Up to 3.12: constant over all releases of a minor version, and the same on both machines. */
static const struct {
	uint8_t minor;
	uint16_t runtime_interpreters, runtime_gil;
	uint16_t interpreter_next, interpreter_id, interpreter_gil;
} fixed_offsets[] = {
	{9, 32, 352, 0, 24, 0},
	{10, 32, 352, 0, 24, 0},
	{11, 40, 360, 0, 48, 0},
	{12, 40, 0, 0, 8, 384},
};

/* From 3.13: where the numbers stand in _Py_DebugOffsets, each 8 bytes. Fixed per minor version. */
static const struct debug_offsets {
	uint8_t minor;
	uint16_t runtime_size, runtime_interpreters;
	uint16_t interpreter_size, interpreter_id, interpreter_next, interpreter_gil;
	/* of the GIL inside its interpreter, and of members inside that */
	uint16_t gil, gil_enabled, gil_locked, gil_holder;
} debug_offsets[] = {
	{13, 24, 40, 48, 56, 64, 112, 120, 128, 136, 144},
	{14, 24, 40, 48, 56, 64, 120, 128, 136, 144, 152},
	{15, 24, 40, 48, 56, 64, 120, 128, 136, 144, 152},
};

/* All versions have these; a build that can do without the GIL has `enabled` in front of them. */
static const struct gil_offsets gil_plain = {
	.interval = 0,
	.last_holder = 8,
	.locked = 16,
	.bytes = 32 + 2 * COND_BYTES + 2 * MUTEX_BYTES,
};

static const struct gil_offsets gil_optional = {
	.enabled = 0,
	.interval = 8,
	.last_holder = 16,
	.locked = 24,
	.bytes = 40 + 2 * COND_BYTES + 2 * MUTEX_BYTES,
};

/* The beginning of struct _Py_DebugOffsets, itself the beginning of _PyRuntime. */
struct debug_head {
	char cookie[8];
	uint64_t version;
	uint64_t free_threaded;
};

/* A number of the debug offsets: the tables stay below PYTHON_RUNTIME_HEAD. */
static uint64_t number_at(const uint8_t *head, uint16_t at)
{
	uint64_t number;

	memcpy(&number, head + at, sizeof(number));
	return number;
}

/* An offset of a member of `bytes` inside a structure of `size`, aligned as C would have it. */
static bool offset_take(uint64_t offset, uint64_t bytes, uint64_t size, uint32_t *out)
{
	if (size > STRUCTURE_MAX || size < bytes || offset > size - bytes || offset % 8)
		return false;
	*out = (uint32_t)offset;
	return true;
}

/* What the runtime says of its GIL must be what gil_offsets says of it. */
static bool gil_agrees(const struct debug_offsets *row, const uint8_t *head,
		       const struct python_offsets *offsets)
{
	const struct gil_offsets *gil = &offsets->gil;
	uint64_t start = number_at(head, row->gil);
	uint32_t place;

	if (!offset_take(start, gil->bytes, number_at(head, row->interpreter_size), &place))
		return false;
	if (offsets->free_threaded && number_at(head, row->gil_enabled) != start + gil->enabled)
		return false;
	return number_at(head, row->gil_locked) == start + gil->locked &&
	       number_at(head, row->gil_holder) == start + gil->last_holder;
}

static int debug_offsets_take(const struct debug_offsets *row, const uint8_t *head,
			      bool free_threaded, struct python_offsets *out)
{
	uint64_t runtime = number_at(head, row->runtime_size);
	uint64_t interpreter = number_at(head, row->interpreter_size);

	out->free_threaded = free_threaded;
	out->runtime_gil = 0;
	out->gil = free_threaded ? gil_optional : gil_plain;
	if (!offset_take(number_at(head, row->runtime_interpreters), 8, runtime,
			 &out->runtime_interpreters) ||
	    !offset_take(number_at(head, row->interpreter_id), 8, interpreter,
			 &out->interpreter_id) ||
	    !offset_take(number_at(head, row->interpreter_next), 8, interpreter,
			 &out->interpreter_next) ||
	    !offset_take(number_at(head, row->interpreter_gil), 8, interpreter,
			 &out->interpreter_gil))
		return -EBADMSG;
	return gil_agrees(row, head, out) ? 0 : -EBADMSG;
}

static int debug_offsets_find(const struct debug_head *debug, const uint8_t *head,
			      struct python_offsets *out)
{
	if (debug->free_threaded > 1)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(debug_offsets) / sizeof(*debug_offsets); i++)
		if (debug->version >> 16 == (0x300u | debug_offsets[i].minor))
			return debug_offsets_take(&debug_offsets[i], head, debug->free_threaded,
						  out);
	return -ENOTSUP;
}

int python_offsets_find(uint32_t version, const uint8_t head[PYTHON_RUNTIME_HEAD],
			struct python_offsets *out)
{
	struct debug_head debug;

	memcpy(&debug, head, sizeof(debug));
	if (memcmp(debug.cookie, DEBUG_OFFSETS_COOKIE, sizeof(debug.cookie)) == 0)
		return debug_offsets_find(&debug, head, out);
	for (size_t i = 0; i < sizeof(fixed_offsets) / sizeof(*fixed_offsets); i++) {
		if (version >> 16 != (0x300u | fixed_offsets[i].minor))
			continue;
		*out = (struct python_offsets){
			.runtime_interpreters = fixed_offsets[i].runtime_interpreters,
			.runtime_gil = fixed_offsets[i].runtime_gil,
			.interpreter_next = fixed_offsets[i].interpreter_next,
			.interpreter_id = fixed_offsets[i].interpreter_id,
			.interpreter_gil = fixed_offsets[i].interpreter_gil,
			.gil = gil_plain,
		};
		return 0;
	}
	return -ENOTSUP;
}
