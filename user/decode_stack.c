/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the reading of samples and code objects, the two records with a list in them. The rules of
 * decode.c hold: every size, count and enum is checked before use, no number is judged.
 */
#include "decode_parts.h"

#include <errno.h>
#include <linux/types.h>
#include <string.h>

#include "abi.h"
#include "decode.h"

_Static_assert(EVENT_FRAMES_MAX == STACK_PYTHON_MAX + STACK_NATIVE_MAX + STACK_KERNEL_MAX,
	       "room for all frames");
_Static_assert(EVENT_LINES_MAX == REC_CODE_LINES_MAX, "room for all lines");
_Static_assert(EVENT_CODE_TEXT_BYTES == REC_CODE_NAME_MAX + REC_CODE_FILE_MAX,
	       "room for both texts");
_Static_assert(sizeof(struct event_frame) == sizeof(struct rec_frame), "frames are copied whole");
_Static_assert(offsetof(struct event_frame, offset) == offsetof(struct rec_frame, offset),
	       "frames are copied whole");
_Static_assert(sizeof(struct event_line) == sizeof(struct rec_line), "lines are copied whole");

/* As they are shown: in place of the frames, or of the name. */
static const char *const stack_errors[STACK_ERRORS] = {
	[STACK_NO_PYTHON] = "[frames missing: not a CPython whose layout is known]",
	[STACK_NO_THREAD_STATE] = "[frames missing: a thread that the interpreter does not know]",
	[STACK_UNREADABLE] = "[frames missing: memory that was not in place]",
	[STACK_BAD_FRAME] = "[frames missing: no frame where one should have been]",
};

static const char *const code_failures[CODE_FAILURES] = {
	[CODE_GONE] = "[no name: its process had ended]",
	[CODE_REPLACED] = "[no name: another lay at its address by then]",
	[CODE_UNREADABLE] = "[no name: it could not be read]",
	[CODE_UNKNOWN] = "[no name: no symbol]",
};

_Static_assert(STACK_BAD_FRAME + 1 == STACK_ERRORS, "a new error needs its text above");
_Static_assert(CODE_UNKNOWN + 1 == CODE_FAILURES, "a new failure needs its text above");

int decode_sample(const void *raw, size_t bytes, struct event_sample *out)
{
	struct rec_sample record;
	size_t frames;

	if (bytes < sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, sizeof(record));
	frames = (size_t)record.python + record.native + record.kernel;
	if (record.python > STACK_PYTHON_MAX || record.native > STACK_NATIVE_MAX ||
	    record.kernel > STACK_KERNEL_MAX ||
	    bytes != sizeof(record) + frames * sizeof(struct rec_frame))
		return -EBADMSG;
	if ((record.what != SAMPLE_CPU && record.what != SAMPLE_WAIT) ||
	    record.state >= STATE_COUNT || record.error >= STACK_ERRORS)
		return -EBADMSG;
	if (!decode_peer(&record.peer, out->peer))
		return -EBADMSG;
	out->id = record.id;
	out->weight_ns = record.weight_ns;
	out->is_wait = record.what == SAMPLE_WAIT;
	out->state = (enum request_state)record.state;
	out->truncated = record.flags & SAMPLE_F_TRUNCATED;
	out->native_cut = record.flags & SAMPLE_F_NATIVE_CUT;
	out->kernel_cut = record.flags & SAMPLE_F_KERNEL_CUT;
	out->missing = stack_errors[record.error];
	out->python = record.python;
	out->native = record.native;
	out->kernel = record.kernel;
	memcpy(out->frames, (const char *)raw + sizeof(record), frames * sizeof(struct rec_frame));
	return 0;
}

static bool lines_ascend(const struct event_code *code)
{
	for (unsigned int i = 1; i < code->line_count; i++) {
		if (code->lines[i].offset < code->lines[i - 1].offset)
			return false;
	}
	return true;
}

int decode_code(const void *raw, size_t bytes, struct event_code *out)
{
	static const enum event_code_kind kinds[] = {
		[CODE_PYTHON] = CODE_IS_PYTHON,
		[CODE_NATIVE] = CODE_IS_NATIVE,
		[CODE_KERNEL] = CODE_IS_KERNEL,
	};
	const char *text = raw;
	struct rec_code record;
	size_t lines_bytes, text_bytes, whole;

	if (bytes < sizeof(record))
		return -EBADMSG;
	memcpy(&record, raw, sizeof(record));
	if (record.kind < CODE_PYTHON || record.kind > CODE_KERNEL ||
	    record.failed >= CODE_FAILURES || record.name_bytes > REC_CODE_NAME_MAX ||
	    record.file_bytes > REC_CODE_FILE_MAX || record.lines > REC_CODE_LINES_MAX)
		return -EBADMSG;
	lines_bytes = record.lines * sizeof(struct rec_line);
	text_bytes = (size_t)record.name_bytes + record.file_bytes;
	whole = sizeof(record) + lines_bytes + text_bytes;
	if (bytes < whole || bytes - whole >= 8)
		return -EBADMSG;
	out->code = record.code;
	out->fingerprint = record.fingerprint;
	out->first_line = record.first_line;
	out->kind = kinds[record.kind];
	out->failed = code_failures[record.failed];
	out->line_count = record.lines;
	memcpy(out->lines, text + sizeof(record), lines_bytes);
	memcpy(out->storage, text + sizeof(record) + lines_bytes, text_bytes);
	out->name = (struct request_text){out->storage, record.name_bytes};
	out->file = (struct request_text){out->storage + record.name_bytes, record.file_bytes};
	return lines_ascend(out) ? 0 : -EBADMSG;
}
