/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the trial walk. From _PyRuntime through all interpreters and threads to the frames, each
 * link checked for what it must be: a thread state says which interpreter it is of, a frame's code
 * is a code object with a name. The process runs meanwhile, so a link may break; what counts is
 * that sound ones were seen, and more of them than broken ones.
 * Must not know: any version's layout (layout.c), BPF.
 */
#include <errno.h>
#include <string.h>

#include "memory.h"
#include "python/code.h"
#include "python/stack.h"

#define INTERPRETERS_MAX 64
#define THREADS_MAX	 64 /* of an interpreter: enough to judge by */
#define FRAMES_MAX	 16 /* of a thread */
#define TRIES		 5

static const char why_no_runtime[] = "no CPython in the process";
static const char why_version[] = "a Python version that is not known";
static const char why_debug[] = "debug offsets that make no sense";
static const char why_not_started[] = "Python is not running yet";
static const char why_threads[] = "thread states that are not where this version has them";
static const char why_frames[] = "frames that are not what this version has";

struct trial {
	pid_t pid;
	uint64_t runtime;
	const struct python_layout *layout;
	unsigned int threads_good, threads_bad;
	unsigned int frames_good, frames_bad;
	struct python_types types;
	uint64_t none;	       /* 0: not seen */
	uint32_t version_last; /* of the code objects of an interpreter, the newest that was seen */
	bool is_uncounted;     /* interpreter_generation is not what it should be */
	struct python_code *code;
};

static uint64_t word_at(const uint8_t *bytes, uint32_t at)
{
	uint64_t word;

	memcpy(&word, bytes + at, sizeof(word));
	return word;
}

/* A code object's version: no two of an interpreter have the same (but 0, when they have run out).
 */
static void version_take(struct trial *trial, uint64_t code)
{
	const uint32_t at = trial->layout->objects.code_version;
	uint32_t version;

	if (at && !memory_read(trial->pid, code + at, &version, sizeof(version)) &&
	    version > trial->version_last)
		trial->version_last = version;
}

/* The frame at *frame, which becomes the one that called it. 0, -errno: it could not be read. */
static int frame_try(struct trial *trial, uint64_t *frame)
{
	const struct pystack_layout *walk = &trial->layout->walk;
	uint8_t bytes[PYSTACK_FRAME_BYTES];
	uint64_t code;
	int err = memory_read(trial->pid, *frame, bytes, walk->frame_bytes);

	if (err)
		return err;
	*frame = word_at(bytes, walk->frame_previous);
	code = word_at(bytes, walk->frame_code) & ~UINT64_C(7);
	if (walk->flags & PYSTACK_F_OWNER && bytes[walk->frame_owner] >= PYSTACK_OWNER_SHIM) {
		if (!trial->none && !python_none_check(trial->pid, trial->layout, code))
			trial->none = code;
		return 0;
	}
	err = python_code_read(trial->pid, trial->layout, code, 0, trial->code);
	if (err == -ESRCH)
		return err;
	if (!err && trial->code->name_bytes)
		err = python_types_read(trial->pid, trial->layout, code, &trial->types);
	if (err || !trial->code->name_bytes)
		trial->frames_bad++;
	else
		trial->frames_good++;
	version_take(trial, code);
	return err == -ESRCH ? err : 0;
}

static int frames_try(struct trial *trial, const uint8_t *thread)
{
	const struct pystack_layout *walk = &trial->layout->walk;
	uint64_t frame = word_at(thread, walk->thread_frame);
	int err = 0;

	if (walk->flags & PYSTACK_F_CFRAME && frame)
		err = memory_pointer_read(trial->pid, frame + walk->cframe_frame, &frame);
	for (int i = 0; !err && frame && i < FRAMES_MAX; i++)
		err = frame % 8 ? -EFAULT : frame_try(trial, &frame);
	if (err == -EFAULT)
		trial->frames_bad++;
	return err == -EFAULT ? 0 : err;
}

static int threads_try(struct trial *trial, uint64_t interpreter)
{
	const struct python_layout *layout = trial->layout;
	uint8_t thread[PYSTACK_THREAD_BYTES];
	uint64_t at;
	int err = memory_pointer_read(trial->pid, interpreter + layout->walk.interpreter_threads,
				      &at);

	for (int i = 0; !err && at && i < THREADS_MAX; i++) {
		err = memory_read(trial->pid, at, thread, sizeof(thread));
		if (err)
			break;
		if (word_at(thread, layout->walk.thread_interpreter) != interpreter) {
			trial->threads_bad++;
			break;
		}
		trial->threads_good++;
		err = frames_try(trial, thread);
		at = word_at(thread, layout->walk.thread_next);
	}
	if (err == -EFAULT)
		trial->threads_bad++;
	return err == -EFAULT ? 0 : err;
}

/* The next code object's version comes after all that there are. Where that is not so, the count is
 * not used; the frames are sound all the same. */
static int generation_try(struct trial *trial, uint64_t interpreter)
{
	const struct pystack_layout *walk = &trial->layout->walk;
	uint32_t next;
	int err;

	if (!(walk->flags & PYSTACK_F_MADE) || !trial->version_last)
		return 0;
	err = memory_read(trial->pid, interpreter + walk->interpreter_generation, &next,
			  sizeof(next));
	if (err == -EFAULT || (!err && next && next <= trial->version_last))
		trial->is_uncounted = true;
	return err == -EFAULT ? 0 : err;
}

static int interpreters_try(struct trial *trial)
{
	const struct pystack_layout *walk = &trial->layout->walk;
	uint64_t interpreter;
	int err = memory_pointer_read(trial->pid, trial->runtime + walk->runtime_interpreters,
				      &interpreter);

	for (int i = 0; !err && interpreter && i < INTERPRETERS_MAX; i++) {
		trial->version_last = 0;
		err = threads_try(trial, interpreter);
		if (!err)
			err = generation_try(trial, interpreter);
		if (!err)
			err = memory_pointer_read(trial->pid, interpreter + walk->interpreter_next,
						  &interpreter);
	}
	return err;
}

static void answer_set(struct stack_answer *answer, enum stack_verdict verdict, const char *why)
{
	*answer = (struct stack_answer){verdict, why};
}

static void trial_judge(const struct trial *trial, struct stack_answer *out)
{
	if (!trial->threads_good && !trial->threads_bad)
		answer_set(out, STACK_LATER, why_not_started);
	else if (trial->threads_bad >= trial->threads_good)
		answer_set(out, STACK_REFUSED, why_threads);
	else if (trial->frames_bad > trial->frames_good)
		answer_set(out, STACK_REFUSED, why_frames);
	else
		answer_set(out, STACK_USABLE, NULL);
}

/* The layout that the version should have. As python_stack_try(). */
static int layout_read(pid_t pid, const struct python_location *where, struct python_layout *layout,
		       struct stack_answer *out)
{
	uint8_t head[PYTHON_DEBUG_BYTES] = {0};
	int err = -EFAULT;

	/* A _PyRuntime without debug offsets may be shorter. */
	for (size_t bytes = sizeof(head); err == -EFAULT && bytes >= 64; bytes /= 2)
		err = memory_read(pid, where->runtime, head, bytes);
	if (err)
		return err;
	switch (python_layout_find(where->version, head, layout)) {
	case 0:
		answer_set(out, STACK_USABLE, NULL);
		break;
	case -ENOTSUP:
		answer_set(out, STACK_REFUSED, why_version);
		break;
	default:
		answer_set(out, STACK_REFUSED, why_debug);
		break;
	}
	return 0;
}

int python_stack_try(pid_t pid, const struct python_location *where, struct python_layout *layout,
		     struct stack_answer *out)
{
	static struct python_code code; /* too large for a stack */
	int err;

	answer_set(out, STACK_REFUSED, why_no_runtime);
	if (!where->runtime)
		return 0;
	err = layout_read(pid, where, layout, out);
	if (err || out->verdict != STACK_USABLE)
		return err;
	for (int i = 0; i < TRIES; i++) {
		struct trial trial = {pid, where->runtime, layout, .code = &code};

		err = interpreters_try(&trial);
		if (err && err != -EFAULT)
			return err;
		layout->types = trial.types;
		layout->walk.none = trial.none;
		if (trial.is_uncounted)
			layout->walk.interpreter_generation = 0;
		trial_judge(&trial, out);
		if (out->verdict == STACK_USABLE)
			return 0;
	}
	return 0;
}
