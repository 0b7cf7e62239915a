/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where CPython's runtime state lies inside its structures, by version: tables, and from 3.13 on
 * the _Py_DebugOffsets that a runtime carries. Reads no process; 64 bit, x86-64 and arm64, glibc.
 */
#ifndef WSGISCOPE_PYTHON_OFFSETS_H
#define WSGISCOPE_PYTHON_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many bytes from the start of _PyRuntime as python_offsets_find() looks at. */
#define PYTHON_RUNTIME_HEAD 256

/* struct _gil_runtime_state: bytes from its start. */
struct gil_offsets {
	uint32_t enabled;     /* int, only where free_threaded */
	uint32_t interval;    /* unsigned long, microseconds */
	uint32_t last_holder; /* PyThreadState *, NULL: nobody yet */
	uint32_t locked;      /* int: -1 not made yet, 0 free, 1 held */
	uint32_t bytes;	      /* from the start to the end of switch_mutex, its last lock */
};

/* Bytes from the start of the structure that a name begins with. */
struct python_offsets {
	bool free_threaded;
	uint32_t runtime_interpreters; /* PyInterpreterState *, the newest first */
	uint32_t runtime_gil;	       /* the process's one GIL itself; 0: each interpreter's */
	uint32_t interpreter_next;     /* PyInterpreterState * */
	uint32_t interpreter_id;       /* int64_t, 0: the main interpreter */
	uint32_t interpreter_gil;      /* pointer to the GIL that it uses, where runtime_gil is 0 */
	struct gil_offsets gil;
};

/*
 * Fills *out for a Python of this version (PY_VERSION_HEX, 0: not known), whose _PyRuntime begins
 * with head, copied from the live process: debug offsets there have the last word. 0, -ENOTSUP
 * (a version that no table has, or none is known), -EBADMSG (debug offsets that make no sense).
 */
int python_offsets_find(uint32_t version, const uint8_t head[PYTHON_RUNTIME_HEAD],
			struct python_offsets *out);

#endif
