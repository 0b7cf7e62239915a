/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the protocol of PEP 768, and where its numbers stand. All that is read is the process's
 * word and is checked; what is written is the request, nothing else.
 * Must not know what a script does, or where it comes from.
 */
#include "python/remote.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "memory.h"
#include "standstill.h"

#define DEBUG_OFFSETS_COOKIE "xdebugpy"

#define INTERPRETERS_MAX 64
/* Beyond any real one: an interpreter has less than half a megabyte, a thread some KB. */
#define STRUCTURE_MAX ((uint64_t)1 << 20)
/* A path and its NUL; 512 in 3.14. */
#define SCRIPT_MIN 64
#define SCRIPT_MAX 4096

/* _PY_EVAL_PLEASE_STOP_BIT of eval_breaker, as the documentation has it for this protocol. */
#define BREAKER_STOP (1u << 5)

/* Where the numbers stand in _Py_DebugOffsets, each 8 bytes. Fixed per minor version. */
static const struct debug_places {
	uint8_t minor;
	uint16_t runtime_size, runtime_interpreters;
	uint16_t interpreter_size, interpreter_id, interpreter_next, interpreter_threads;
	uint16_t thread_size, thread_interpreter;
	/* debugger_support: of the thread, of what the thread embeds, of the interpreter */
	uint16_t breaker, support, enabled, pending, script, script_bytes;
} debug_places[] = {
	{14, 24, 40, 48, 56, 64, 80, 176, 200, 712, 720, 728, 736, 744, 752},
};

/* The beginning of struct _Py_DebugOffsets, itself the beginning of _PyRuntime. */
struct debug_head {
	char cookie[8];
	uint64_t version;
};

static uint64_t number_at(const uint8_t *head, uint16_t at)
{
	uint64_t number;

	memcpy(&number, head + at, sizeof(number));
	return number;
}

/* An offset of a member of so many bytes in a structure of this size, aligned as C would have it.
 */
static bool offset_take(uint64_t offset, uint64_t bytes, uint64_t align, uint64_t size,
			uint32_t *out)
{
	if (size > STRUCTURE_MAX || size < bytes || offset > size - bytes || offset % align)
		return false;
	*out = (uint32_t)offset;
	return true;
}

static bool support_take(const struct debug_places *at, const uint8_t *head, uint64_t thread,
			 struct remote_offsets *out)
{
	uint64_t support = number_at(head, at->support);
	uint64_t bytes = number_at(head, at->script_bytes);

	if (support > STRUCTURE_MAX || number_at(head, at->pending) > STRUCTURE_MAX ||
	    number_at(head, at->script) > STRUCTURE_MAX || bytes < SCRIPT_MIN || bytes > SCRIPT_MAX)
		return false;
	out->script_bytes = (uint32_t)bytes;
	return offset_take(number_at(head, at->breaker), 8, 8, thread, &out->thread_breaker) &&
	       offset_take(support + number_at(head, at->pending), 4, 4, thread,
			   &out->thread_pending) &&
	       offset_take(support + number_at(head, at->script), bytes, 1, thread,
			   &out->thread_script);
}

int remote_offsets_find(const uint8_t head[PYTHON_DEBUG_BYTES], struct remote_offsets *out)
{
	const struct debug_places *at = debug_places;
	const struct debug_places *end = at + sizeof(debug_places) / sizeof(*at);
	struct debug_head debug;
	uint64_t runtime, interpreter, thread;

	memcpy(&debug, head, sizeof(debug));
	if (memcmp(debug.cookie, DEBUG_OFFSETS_COOKIE, sizeof(debug.cookie)) != 0)
		return -ENOTSUP;
	while (at < end && debug.version >> 16 != (0x300u | at->minor))
		at++;
	if (at == end)
		return -ENOTSUP;
	runtime = number_at(head, at->runtime_size);
	interpreter = number_at(head, at->interpreter_size);
	thread = number_at(head, at->thread_size);
	if (!offset_take(number_at(head, at->runtime_interpreters), 8, 8, runtime,
			 &out->runtime_interpreters) ||
	    !offset_take(number_at(head, at->interpreter_next), 8, 8, interpreter,
			 &out->interpreter_next) ||
	    !offset_take(number_at(head, at->interpreter_id), 8, 8, interpreter,
			 &out->interpreter_id) ||
	    !offset_take(number_at(head, at->interpreter_threads), 8, 8, interpreter,
			 &out->interpreter_threads) ||
	    !offset_take(number_at(head, at->enabled), 4, 4, interpreter,
			 &out->interpreter_enabled) ||
	    !offset_take(number_at(head, at->thread_interpreter), 8, 8, thread,
			 &out->thread_interpreter) ||
	    !support_take(at, head, thread, out))
		return -EBADMSG;
	return 0;
}

/* The main interpreter. 0, -EBADMSG (there is none), -errno. */
static int interpreter_find(const struct remote_request *request, uint64_t runtime, uint64_t *out)
{
	const struct remote_offsets *at = &request->at;
	int64_t id;
	int err = memory_pointer_read(request->pid, runtime + at->runtime_interpreters, out);

	for (int i = 0; !err && *out && i < INTERPRETERS_MAX; i++) {
		err = memory_read(request->pid, *out + at->interpreter_id, &id, sizeof(id));
		if (!err && !id)
			return 0;
		if (!err)
			err = memory_pointer_read(request->pid, *out + at->interpreter_next, out);
	}
	return err ? err : -EBADMSG;
}

/* Its main thread's state, which must say that it is of this interpreter. 0, -EBADMSG, -errno. */
static int thread_find(const struct remote_request *request, uint64_t interpreter, uint64_t *out)
{
	uint64_t back;
	int err = memory_pointer_read(request->pid, interpreter + request->at.interpreter_threads,
				      out);

	if (!err && !*out)
		return -EBADMSG;
	if (!err)
		err = memory_read(request->pid, *out + request->at.thread_interpreter, &back,
				  sizeof(back));
	if (err)
		return err;
	return back == interpreter ? 0 : -EBADMSG;
}

/* The path before the flag, the flag before what makes the thread look at it. */
static int request_write(const struct remote_request *request, const char *path)
{
	const struct remote_offsets *at = &request->at;
	const int32_t pending = 1;
	uint64_t breaker = 0;
	int err = memory_write(request->pid, request->thread + at->thread_script, path,
			       strlen(path) + 1);

	if (!err)
		err = memory_write(request->pid, request->thread + at->thread_pending, &pending,
				   sizeof(pending));
	if (!err)
		err = memory_read(request->pid, request->thread + at->thread_breaker, &breaker,
				  sizeof(breaker));
	breaker |= BREAKER_STOP;
	if (!err)
		err = memory_write(request->pid, request->thread + at->thread_breaker, &breaker,
				   sizeof(breaker));
	return err;
}

/* With the process at a standstill. As remote_ask(). */
static int request_place(struct remote_request *request, uint64_t runtime, const char *path,
			 enum remote_verdict *verdict)
{
	int32_t enabled, pending;
	uint64_t interpreter;
	int err = interpreter_find(request, runtime, &interpreter);

	if (!err)
		err = memory_read(request->pid, interpreter + request->at.interpreter_enabled,
				  &enabled, sizeof(enabled));
	if (!err && enabled != 1) {
		*verdict = REMOTE_DISABLED;
		return 0;
	}
	if (!err)
		err = thread_find(request, interpreter, &request->thread);
	if (!err)
		err = memory_read(request->pid, request->thread + request->at.thread_pending,
				  &pending, sizeof(pending));
	if (!err && pending) {
		*verdict = pending == 1 ? REMOTE_BUSY : REMOTE_ODD;
		return 0;
	}
	*verdict = REMOTE_ASKED;
	return err ? err : request_write(request, path);
}

/* What the version of the runtime has. 0 with *verdict REMOTE_ASKED: go on. */
static int request_prepare(struct remote_request *request, const struct python_location *where,
			   const char *path, enum remote_verdict *verdict)
{
	uint8_t head[PYTHON_DEBUG_BYTES];
	int err;

	*verdict = REMOTE_OLD;
	if (!where->runtime)
		return 0;
	err = memory_read(request->pid, where->runtime, head, sizeof(head));
	if (err)
		return err == -EFAULT ? 0 : err; /* a runtime so short is an old one */
	err = remote_offsets_find(head, &request->at);
	if (err == -ENOTSUP)
		return 0;
	*verdict = err ? REMOTE_ODD : REMOTE_ASKED;
	return !err && strlen(path) >= request->at.script_bytes ? -ENAMETOOLONG : 0;
}

int remote_ask(pid_t pid, const struct python_location *where, const char *path,
	       struct remote_request *request, enum remote_verdict *verdict)
{
	struct standstill *still;
	int err;

	*request = (struct remote_request){.pid = pid};
	err = request_prepare(request, where, path, verdict);
	if (err || *verdict != REMOTE_ASKED)
		return err;
	err = standstill_begin(pid, &still);
	if (err)
		return err;
	err = request_place(request, where->runtime, path, verdict);
	standstill_end(still);
	if (err != -EBADMSG && err != -EFAULT)
		return err;
	*verdict = REMOTE_ODD;
	return 0;
}

/* 1: another program, or another's request: nothing of ours waits there. 0, 1, -errno. */
static int request_clear(const struct remote_request *request, const char *path)
{
	const struct remote_offsets *at = &request->at;
	const int32_t none = 0;
	char script[SCRIPT_MAX];
	int32_t pending;
	int err = memory_read(request->pid, request->thread + at->thread_pending, &pending,
			      sizeof(pending));

	if (!err)
		err = memory_read(request->pid, request->thread + at->thread_script, script,
				  strlen(path) + 1);
	if (err)
		return err == -EFAULT ? 1 : err;
	if (pending != 1 || memcmp(script, path, strlen(path) + 1) != 0)
		return 1;
	return memory_write(request->pid, request->thread + at->thread_pending, &none,
			    sizeof(none));
}

int remote_withdraw(const struct remote_request *request, const char *path)
{
	struct standstill *still;
	int err = strlen(path) < request->at.script_bytes ? 0 : -ENAMETOOLONG;

	if (!err)
		err = standstill_begin(request->pid, &still);
	if (err)
		return err;
	err = request_clear(request, path);
	standstill_end(still);
	return err;
}
