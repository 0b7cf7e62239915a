/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the way from _PyRuntime to the GILs in the memory of a live process, which is hostile, and
 * changes while it is read: each step is one bounded copy, each walk has an end, and what is found
 * must look like a GIL.
 * Must not know: any version's layout (offsets.c), how the runtime was found, futexes, BPF.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "memory.h"
#include "python/gil.h"
#include "python/offsets.h"

/* A cycle ends here. More interpreters than that is no WSGI worker. */
#define INTERPRETERS_MAX 1024
/* An interpreter that ends takes its list entry along: look again, that often. */
#define WALKS_MAX 3
/*
 * sys.setswitchinterval() takes any number of seconds; what is longer than eleven days is rather a
 * pointer, all of which are larger than this.
 */
#define INTERVAL_MAX_US 1000000000000u

/* The process and what its version tells; the same for all its GILs. */
struct gil_reader {
	pid_t pid;
	uint64_t runtime;
	struct python_offsets offsets;
};

/* One interpreter of the list, as it was when it was copied. */
struct interpreter {
	uint64_t address, next;
	int64_t id;
};

static const char why_no_runtime[] = "no CPython in the process";
static const char why_libc[] = "a C library other than glibc";
static const char why_version[] = "a Python version that is not known";
static const char why_not_started[] = "Python is not running yet";
static const char why_memory[] = "memory that is not what this Python version would have";
static const char why_disabled[] = "a free-threaded Python that runs without";

static void place_set(struct gil_place *place, enum gil_state state, const char *why)
{
	if (state == GIL_UNKNOWN)
		*place = (struct gil_place){0};
	place->state = state;
	place->why = why;
}

/* Does it look like a GIL? 0; -EBADMSG: it does not; -errno. */
static int gil_check(const struct gil_reader *reader, const uint8_t *gil)
{
	const struct gil_offsets *at = &reader->offsets.gil;
	uint64_t interval, holder, unused;
	int32_t locked;

	memcpy(&interval, gil + at->interval, sizeof(interval));
	memcpy(&holder, gil + at->last_holder, sizeof(holder));
	memcpy(&locked, gil + at->locked, sizeof(locked));
	if (locked < -1 || locked > 1 || interval > INTERVAL_MAX_US)
		return -EBADMSG;
	/* 0 is an interval that can be set, but all zeroes is no GIL that somebody has used. */
	if (!holder)
		return interval ? 0 : -EBADMSG;
	if (holder % 8)
		return -EBADMSG;
	/* The holder may have ended since: it need not be a thread, but it was in memory. */
	return memory_read(reader->pid, holder, &unused, sizeof(unused));
}

/* Copies, checks and describes the GIL at an address. As gil_check(). */
static int gil_describe(const struct gil_reader *reader, uint64_t address, struct gil_place *out)
{
	const struct gil_offsets *at = &reader->offsets.gil;
	uint8_t gil[512];
	int32_t enabled = 1;
	int err;

	if (!address || at->bytes > sizeof(gil))
		return -EBADMSG;
	err = memory_read(reader->pid, address, gil, at->bytes);
	if (!err)
		err = gil_check(reader, gil);
	if (err)
		return err;
	if (reader->offsets.free_threaded)
		memcpy(&enabled, gil + at->enabled, sizeof(enabled));
	out->address = address;
	out->bytes = at->bytes;
	if (enabled)
		place_set(out, GIL_KNOWN, NULL);
	else
		place_set(out, GIL_ABSENT, why_disabled);
	return 0;
}

/* The GIL that an interpreter uses. 0, -EBADMSG, -EFAULT, -errno. */
static int interpreter_gil(const struct gil_reader *reader, const struct interpreter *interpreter,
			   struct gil_place *out)
{
	uint64_t address;
	int err;

	if (reader->offsets.runtime_gil)
		return gil_describe(reader, reader->runtime + reader->offsets.runtime_gil, out);
	err = memory_pointer_read(reader->pid,
				  interpreter->address + reader->offsets.interpreter_gil, &address);
	return err ? err : gil_describe(reader, address, out);
}

/* The interpreter that a pointer at address names. 0, -ENOENT (none), -EFAULT, -errno. */
static int interpreter_read(const struct gil_reader *reader, uint64_t pointer,
			    struct interpreter *out)
{
	const struct python_offsets *offsets = &reader->offsets;
	int err;

	if (!pointer)
		return -ENOENT;
	out->address = pointer;
	err = memory_pointer_read(reader->pid, pointer + offsets->interpreter_next, &out->next);
	if (!err)
		err = memory_read(reader->pid, pointer + offsets->interpreter_id, &out->id,
				  sizeof(out->id));
	return err;
}

/* -EAGAIN: the runtime has no interpreter yet, or no longer. -EBADMSG, -EFAULT, -errno. */
static int main_interpreter_find(const struct gil_reader *reader, struct interpreter *out)
{
	uint64_t pointer;
	int err = memory_pointer_read(
		reader->pid, reader->runtime + reader->offsets.runtime_interpreters, &pointer);

	if (!err && !pointer)
		return -EAGAIN;
	for (int i = 0; !err && i < INTERPRETERS_MAX; i++) {
		err = interpreter_read(reader, pointer, out);
		if (!err && out->id == 0)
			return 0;
		pointer = out->next;
	}
	return !err || err == -ENOENT ? -EBADMSG : err;
}

static int main_gil_find(const struct gil_reader *reader, struct gil_place *out)
{
	struct interpreter main;
	int err = -EBADMSG;

	for (int i = 0; i < WALKS_MAX && (err == -EBADMSG || err == -EFAULT); i++) {
		err = main_interpreter_find(reader, &main);
		if (!err)
			err = interpreter_gil(reader, &main, out);
	}
	return err;
}

static int reader_open(pid_t pid, const struct python_location *where, struct gil_reader *reader)
{
	uint8_t head[PYTHON_RUNTIME_HEAD];
	int err;

	reader->pid = pid;
	reader->runtime = where->runtime;
	err = memory_read(pid, where->runtime, head, sizeof(head));
	return err ? err : python_offsets_find(where->version, head, &reader->offsets);
}

/* Opens *reader and finds the main GIL. 0 (also where it cannot be told, see *out), -errno. */
static int gil_open(pid_t pid, const struct python_location *where, struct gil_reader *reader,
		    struct gil_place *out)
{
	int err;

	place_set(out, GIL_UNKNOWN, why_no_runtime);
	if (!where->runtime)
		return 0;
	err = reader_open(pid, where, reader);
	if (!err)
		err = main_gil_find(reader, out);
	switch (err) {
	case 0:
		/* A GIL that is not in use is absent wherever its waiters would wait. */
		if (where->libc != LIBC_GLIBC && out->state == GIL_KNOWN)
			place_set(out, GIL_UNKNOWN, why_libc);
		return 0;
	case -ENOTSUP:
		place_set(out, GIL_UNKNOWN, why_version);
		return 0;
	case -EAGAIN:
		place_set(out, GIL_UNKNOWN, why_not_started);
		return 0;
	case -EFAULT:
	case -EBADMSG:
		place_set(out, GIL_UNKNOWN, why_memory);
		return 0;
	default:
		return err;
	}
}

int gil_find(pid_t pid, const struct python_location *where, struct gil_place *out)
{
	struct gil_reader reader;

	return gil_open(pid, where, &reader, out);
}

/* Puts a place behind the first *count where it is not one of them. */
static void places_add(struct gil_place *places, int *count, const struct gil_place *place)
{
	int filled = *count < GIL_PLACES_MAX ? *count : GIL_PLACES_MAX;

	for (int i = 0; i < filled; i++)
		if (places[i].address == place->address && places[i].state == place->state)
			return;
	if (*count < GIL_PLACES_MAX)
		places[*count] = *place;
	(*count)++;
}

int gil_find_all(pid_t pid, const struct python_location *where,
		 struct gil_place out[GIL_PLACES_MAX])
{
	struct gil_reader reader;
	struct interpreter interpreter;
	int count = 1;
	int err = gil_open(pid, where, &reader, &out[0]);

	if (err)
		return err;
	/* Where the main one cannot be told, none can; one for all has been found already. */
	if (out[0].state == GIL_UNKNOWN || reader.offsets.runtime_gil)
		return count;
	err = memory_pointer_read(pid, reader.runtime + reader.offsets.runtime_interpreters,
				  &interpreter.next);
	for (int i = 0; !err && i < INTERPRETERS_MAX; i++) {
		struct gil_place place;

		err = interpreter_read(&reader, interpreter.next, &interpreter);
		if (!err && !interpreter_gil(&reader, &interpreter, &place))
			places_add(out, &count, &place);
	}
	return err == -ESRCH || err == -EPERM ? err : count;
}
