/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interface by which CPython, from 3.14 on, runs a script on request of another process: PEP
 * 768 and "Remote debugging attachment protocol" in its documentation. The request is written into
 * the state of the main thread of the main interpreter, which opens and runs the script when it
 * next looks up from its bytecode: at once where it computes, else when what it waits for is over.
 */
#ifndef WSGISCOPE_PYTHON_REMOTE_H
#define WSGISCOPE_PYTHON_REMOTE_H

#include <linux/types.h>
#include <stdint.h>
#include <sys/types.h>

#include "python/layout.h"
#include "python/locate.h"

/* Bytes from the start of the structure that a name begins with. */
struct remote_offsets {
	uint32_t runtime_interpreters; /* PyInterpreterState *, the newest first */
	uint32_t interpreter_next;
	uint32_t interpreter_id;      /* int64_t, 0: the main interpreter */
	uint32_t interpreter_threads; /* its main PyThreadState * */
	uint32_t interpreter_enabled; /* int, 1: it takes requests */
	uint32_t thread_interpreter;
	uint32_t thread_breaker; /* uintptr_t: why to look up from the bytecode */
	uint32_t thread_pending; /* int32_t, 1: there is a request */
	uint32_t thread_script;	 /* char[script_bytes], ends with a NUL */
	uint32_t script_bytes;
};

/*
 * Fills *out for a Python whose _PyRuntime begins with head, copied from the live process. 0;
 * -ENOTSUP: it has no such interface, or one of a version that no table has; -EBADMSG: debug
 * offsets that make no sense.
 */
int remote_offsets_find(const uint8_t head[PYTHON_DEBUG_BYTES], struct remote_offsets *out);

struct remote_request {
	pid_t pid;
	struct remote_offsets at;
	uint64_t thread; /* address of the PyThreadState that was asked */
};

enum remote_verdict {
	REMOTE_ASKED,
	REMOTE_OLD,	 /* a Python without the interface */
	REMOTE_DISABLED, /* switched off: at its start, or when it was built */
	REMOTE_BUSY,	 /* somebody else's request is waiting */
	REMOTE_ODD,	 /* memory that is not what this Python version would have */
};

/*
 * Asks for the script at path, as the process sees it. The process stands still meanwhile
 * (standstill.h). 0 with *verdict; -ESRCH (gone), -EPERM (not allowed, or another tracer has it),
 * -ETIMEDOUT (it could not be stopped), -ENAMETOOLONG, -errno.
 */
int remote_ask(pid_t pid, const struct python_location *where, const char *path,
	       struct remote_request *request, enum remote_verdict *verdict);

/*
 * Takes the request for this path back, unless it has been taken up. 1: it has, so the script is
 * running or has run (or the program is another one by now); 0: it was waiting and will not be;
 * -errno: as remote_ask().
 */
int remote_withdraw(const struct remote_request *request, const char *path);

#endif
