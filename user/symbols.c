/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: which code objects have been named, and the names, for as long as a child process may need
 * them that has ended before it could be read. Bounded: when it is full it begins anew, and what
 * is still seen is named once more.
 * Must not know: how a code object is read (python/code.c), where records go.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "native.h"
#include "python/code.h"
#include "stacks.h"
#include "symbols.h"

#define NAMES_SLOTS	 (1U << 17) /* a power of two; filled to three quarters */
#define NAMES_BYTES	 ((size_t)128 << 20)
#define ANCESTORS_MAX	 8
#define STACK_FRAMES_MAX (STACK_PYTHON_MAX + STACK_NATIVE_MAX + STACK_KERNEL_MAX)

/* A code object that has been named, by process, address and fingerprint. */
struct name {
	pid_t pid; /* 0: an empty slot */
	uint32_t fingerprint;
	uint64_t code;
	bool is_shim;		 /* the interpreter's own: no frame for people */
	bool is_code;		 /* of a native address, as in struct native_place */
	bool follows_call;	 /* the same */
	struct rec_code *record; /* owned */
};

struct symbols {
	const struct stacks *stacks;
	struct native *native; /* NULL: native frames are not asked for */
	struct name *names;
	size_t used;
	size_t bytes; /* of all records */
	uint64_t lost;
	struct python_code code; /* being read */
	struct {		 /* being handed on */
		struct rec_sample head;
		struct rec_frame frames[STACK_FRAMES_MAX];
	} sample;
};

int symbols_new(const struct stacks *stacks, bool native, struct symbols **out)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));

	if (symbols)
		symbols->names = calloc(NAMES_SLOTS, sizeof(*symbols->names));
	if (!symbols || !symbols->names || (native && native_new(&symbols->native))) {
		symbols_free(symbols);
		return -ENOMEM;
	}
	symbols->stacks = stacks;
	*out = symbols;
	return 0;
}

static void names_forget(struct symbols *symbols)
{
	for (size_t i = 0; i < NAMES_SLOTS; i++)
		free(symbols->names[i].record);
	memset(symbols->names, 0, NAMES_SLOTS * sizeof(*symbols->names));
	symbols->used = 0;
	symbols->bytes = 0;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	if (symbols->names)
		names_forget(symbols);
	native_free(symbols->native);
	free(symbols->names);
	free(symbols);
}

/* Its slot, or the empty one where it would be. */
static struct name *name_slot(const struct symbols *symbols, pid_t pid, uint64_t code,
			      uint32_t fingerprint)
{
	uint64_t hash =
		(code ^ (uint64_t)fingerprint << 32 ^ (uint64_t)pid << 16) * 0x9e3779b97f4a7c15;

	for (size_t i = hash >> 47;; i++) {
		struct name *name = &symbols->names[i & (NAMES_SLOTS - 1)];

		if (!name->pid ||
		    (name->pid == pid && name->code == code && name->fingerprint == fingerprint))
			return name;
	}
}

_Static_assert(NAMES_SLOTS == 1U << (64 - 47), "the hash's upper bits are the slot");

static uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* An empty record with room for so many bytes behind it. NULL: no memory. */
static struct rec_code *record_new(pid_t pid, const struct rec_frame *frame,
				   enum rec_code_kind kind, enum rec_code_failed failed,
				   size_t room)
{
	size_t bytes = (sizeof(struct rec_code) + room + 7) & ~(size_t)7;
	struct rec_code *record = calloc(1, bytes);

	if (!record)
		return NULL;
	record->h = (struct rec_header){
		.size = (uint32_t)bytes,
		.kind = REC_CODE,
		.version = REC_VERSION,
		.tgid = (uint32_t)pid,
		.tid = (uint32_t)pid,
		.time_ns = clock_now_ns(),
	};
	record->code = frame->code;
	record->fingerprint = frame->fingerprint;
	record->kind = kind;
	record->failed = failed;
	return record;
}

static struct rec_code *record_of_code(pid_t pid, const struct rec_frame *frame,
				       const struct python_code *code)
{
	size_t lines = code->line_count * sizeof(code->lines[0]);
	struct rec_code *record = record_new(pid, frame, CODE_PYTHON, CODE_OK,
					     lines + code->name_bytes + code->file_bytes);
	char *at;

	if (!record)
		return NULL;
	at = (char *)(record + 1);
	record->first_line = code->first_line;
	record->lines = (uint16_t)code->line_count;
	record->name_bytes = (uint16_t)code->name_bytes;
	record->file_bytes = (uint16_t)code->file_bytes;
	memcpy(at, code->lines, lines);
	memcpy(at + lines, code->name, code->name_bytes);
	memcpy(at + lines + code->name_bytes, code->file, code->file_bytes);
	return record;
}

static struct rec_code *record_of_place(pid_t pid, const struct rec_frame *frame,
					enum rec_code_kind kind, const struct native_place *place)
{
	size_t name = place->name ? strnlen(place->name, REC_CODE_NAME_MAX) : 0;
	size_t file = strnlen(place->file, REC_CODE_FILE_MAX);
	struct rec_code *record =
		record_new(pid, frame, kind, name ? CODE_OK : CODE_UNKNOWN, name + file);
	char *at;

	if (!record)
		return NULL;
	at = (char *)(record + 1);
	record->name_bytes = (uint16_t)name;
	record->file_bytes = (uint16_t)file;
	memcpy(at, name ? place->name : "", name);
	memcpy(at + name, place->file, file);
	return record;
}

/* What a process that is gone had from its parent, or from the one before it: the same object lay
 * at the same address when the fingerprint is the same. NULL: nothing. */
static const struct rec_code *name_inherited(const struct symbols *symbols, pid_t pid,
					     const struct rec_frame *frame)
{
	const struct name *name;

	for (int i = 0; frame->fingerprint && i < ANCESTORS_MAX; i++) {
		pid = stacks_parent(symbols->stacks, pid);
		if (!pid)
			return NULL;
		name = name_slot(symbols, pid, frame->code, frame->fingerprint);
		if (name->pid && name->record->failed == CODE_OK)
			return name->record;
	}
	return NULL;
}

static enum rec_code_failed failed_of(int err)
{
	switch (err) {
	case -ESRCH:
		return CODE_GONE;
	case -ESTALE:
		return CODE_REPLACED;
	default:
		return CODE_UNREADABLE;
	}
}

static struct rec_code *name_read(struct symbols *symbols, pid_t pid, const struct rec_frame *frame)
{
	const struct python_layout *layout = stacks_layout(symbols->stacks, pid);
	const struct rec_code *inherited;
	struct rec_code *record;
	int err = -EBADMSG;

	if (layout)
		err = python_code_read(pid, layout, frame->code, frame->fingerprint,
				       &symbols->code);
	if (!err)
		return record_of_code(pid, frame, &symbols->code);
	inherited = name_inherited(symbols, pid, frame);
	if (inherited) {
		record = malloc(inherited->h.size);
		if (!record)
			return NULL;
		memcpy(record, inherited, inherited->h.size);
		record->h.tgid = (uint32_t)pid;
		record->h.tid = (uint32_t)pid;
		return record;
	}
	symbols->lost++;
	log_debug("a code object of process %d could not be read: %s", pid, strerror(-err));
	return record_new(pid, frame, CODE_PYTHON, failed_of(err), 0);
}

/*
 * From 3.13 on a class that is called has a frame between the caller's and __init__()'s, whose code
 * object is the interpreter's own (_Py_InitCleanup: Python/specialize.c). Tracebacks leave it out.
 */
static bool record_is_shim(const struct rec_code *record)
{
	static const char text[] = "__init____init__";
	const struct rec_line *lines = (const void *)(record + 1);

	for (unsigned int i = 0; i < record->lines; i++)
		if (lines[i].line)
			return false;
	return !record->failed && record->name_bytes + record->file_bytes == sizeof(text) - 1 &&
	       !memcmp(lines + record->lines, text, sizeof(text) - 1);
}

/* The kernel's addresses are the same in all processes: they go by a pid that none has. */
#define PID_KERNEL (-1)

/* Puts a record where its frame will look for it, and hands it on where people are to see it. The
 * record becomes the table's. NULL with *err. */
static const struct name *name_put(struct symbols *symbols, const struct name *name,
				   source_record_fn fn, void *context, int *err)
{
	struct name *slot;

	*err = -ENOMEM;
	if (!name->record)
		return NULL;
	if (symbols->used >= NAMES_SLOTS / 4 * 3 || symbols->bytes > NAMES_BYTES)
		names_forget(symbols);
	slot = name_slot(symbols, name->pid, name->code, name->fingerprint);
	*slot = *name;
	symbols->used++;
	symbols->bytes += name->record->h.size;
	/* Tracing's own are left out only where they are the innermost of a wait. */
	*err = name->is_shim && name->pid != PID_KERNEL
		       ? 0
		       : fn(context, name->record, name->record->h.size);
	return *err ? NULL : slot;
}

/* The name of a Python frame, made known where it is new. NULL with *err. */
static const struct name *frame_name(struct symbols *symbols, pid_t pid,
				     const struct rec_frame *frame, source_record_fn fn,
				     void *context, int *err)
{
	struct name *found = name_slot(symbols, pid, frame->code, frame->fingerprint);
	struct name name = {pid, frame->fingerprint, frame->code, .record = NULL};

	if (found->pid)
		return found;
	name.record = name_read(symbols, pid, frame);
	name.is_shim = name.record && record_is_shim(name.record);
	return name_put(symbols, &name, fn, context, err);
}

static bool place_is_tracing(const struct native_place *place)
{
	static const char *const prefixes[] = {"bpf_prog_", "bpf_trace_run", "__bpf_trace_",
					       "__traceiter_", "bpf_trampoline_"};

	for (size_t i = 0; place->name && i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(place->name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

int symbols_raw(struct symbols *symbols, const struct rec_raw_code *raw, size_t bytes,
		source_record_fn fn, void *context)
{
	const pid_t pid = (pid_t)raw->h.tgid;
	const struct rec_frame frame = {raw->code, raw->fingerprint, 0};
	const struct python_layout *layout = stacks_layout(symbols->stacks, pid);
	struct name name = {pid, raw->fingerprint, raw->code, .record = NULL};
	int err;

	if (bytes < sizeof(*raw))
		return -EBADMSG;
	if (!layout || name_slot(symbols, pid, raw->code, raw->fingerprint)->pid)
		return 0;
	err = python_code_decode(layout, raw, &symbols->code);
	/* A long table does not fit into a copy. */
	if (!err && symbols->code.lines_cut &&
	    python_code_read(pid, layout, raw->code, raw->fingerprint, &symbols->code))
		err = python_code_decode(layout, raw, &symbols->code);
	if (err) {
		log_debug("a copied code object of process %d: %s", pid, strerror(-err));
		return 0; /* the process is asked for it when a sample names it */
	}
	name.record = record_of_code(pid, &frame, &symbols->code);
	name.is_shim = name.record && record_is_shim(name.record);
	name_put(symbols, &name, fn, context, &err);
	return err;
}

/* The same for a native frame or one of the kernel's. */
static const struct name *address_name(struct symbols *symbols, pid_t pid,
				       const struct rec_frame *frame, source_record_fn fn,
				       void *context, int *err)
{
	struct name *found = name_slot(symbols, pid, frame->code, 0);
	struct name name = {pid, 0, frame->code, .record = NULL};
	struct native_place place;

	if (found->pid)
		return found;
	if (pid == PID_KERNEL) {
		native_find_kernel(symbols->native, frame->code, &place);
		name.record = record_of_place(0, frame, CODE_KERNEL, &place);
	} else {
		native_find(symbols->native, pid, frame->code, &place);
		name.record = record_of_place(pid, frame, CODE_NATIVE, &place);
	}
	name.is_code = place.is_code;
	name.follows_call = place.follows_call;
	name.is_shim = !place.is_code || (pid == PID_KERNEL && place_is_tracing(&place));
	return name_put(symbols, &name, fn, context, err);
}

/* Names the Python frames of symbols->sample and keeps those that are somebody's. 0, -errno. */
static int python_frames_name(struct symbols *symbols, source_record_fn fn, void *context)
{
	struct rec_sample *head = &symbols->sample.head;
	struct rec_frame *frames = symbols->sample.frames;
	unsigned int others = head->native + head->kernel;
	uint16_t kept = 0;
	int err;

	for (unsigned int i = 0; i < head->python; i++) {
		const struct name *name =
			frame_name(symbols, (pid_t)head->h.tgid, &frames[i], fn, context, &err);

		if (!name)
			return err;
		if (!name->is_shim)
			frames[kept++] = frames[i];
	}
	memmove(frames + kept, frames + head->python, others * sizeof(*frames));
	head->python = kept;
	return 0;
}

/*
 * Native frames are where frame pointers led to, which most distributions leave out: what is not
 * code, or not behind a call, is where the register held something else. There the stack ends.
 */
static int native_frames_name(struct symbols *symbols, source_record_fn fn, void *context)
{
	struct rec_sample *head = &symbols->sample.head;
	struct rec_frame *frames = symbols->sample.frames + head->python;
	uint16_t kept = 0;
	int err = 0;

	for (; symbols->native && kept < head->native; kept++) {
		const struct name *name = address_name(symbols, (pid_t)head->h.tgid, &frames[kept],
						       fn, context, &err);

		if (!name)
			return err;
		if (!name->is_code || (kept && !name->follows_call))
			break;
	}
	memmove(frames + kept, frames + head->native, head->kernel * sizeof(*frames));
	head->native = kept;
	return 0;
}

/* The innermost of a wait's are how the scheduler came to us, which is not why the thread waits. */
static int kernel_frames_name(struct symbols *symbols, source_record_fn fn, void *context)
{
	struct rec_sample *head = &symbols->sample.head;
	struct rec_frame *frames = symbols->sample.frames + head->python + head->native;
	bool wait = head->what == SAMPLE_WAIT;
	uint16_t kept = 0;
	int err;

	for (unsigned int i = 0; symbols->native && i < head->kernel; i++) {
		const struct name *name =
			address_name(symbols, PID_KERNEL, &frames[i], fn, context, &err);

		if (!name)
			return err;
		if (!wait || kept || !name->is_shim)
			frames[kept++] = frames[i];
	}
	head->kernel = kept;
	return 0;
}

int symbols_sample(struct symbols *symbols, const void *sample, size_t bytes, source_record_fn fn,
		   void *context)
{
	struct rec_sample *head = &symbols->sample.head;
	size_t frames;
	int err;

	if (bytes < sizeof(*head) || bytes > sizeof(symbols->sample))
		return -EBADMSG;
	memcpy(&symbols->sample, sample, bytes);
	frames = (size_t)head->python + head->native + head->kernel;
	if (frames * sizeof(head->frames[0]) > bytes - sizeof(*head))
		return -EBADMSG;
	err = python_frames_name(symbols, fn, context);
	if (!err)
		err = native_frames_name(symbols, fn, context);
	if (!err)
		err = kernel_frames_name(symbols, fn, context);
	if (err)
		return err;
	frames = (size_t)head->python + head->native + head->kernel;
	head->h.size = (uint32_t)(sizeof(*head) + frames * sizeof(head->frames[0]));
	return fn(context, head, head->h.size);
}

uint64_t symbols_lost(const struct symbols *symbols)
{
	return symbols->lost;
}
