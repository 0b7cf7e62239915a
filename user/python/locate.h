/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the CPython runtime of a live process lies in its memory. Reads /proc and the runtime's
 * file, not the memory itself.
 */
#ifndef WSGISCOPE_PYTHON_LOCATE_H
#define WSGISCOPE_PYTHON_LOCATE_H

#include <stdint.h>

struct worker;

/* The C library decides in which memory a thread waits: see gil.h. */
enum python_libc {
	LIBC_UNKNOWN, /* linked statically, or none that we know */
	LIBC_GLIBC,
	LIBC_MUSL,
};

struct python_location {
	uint64_t runtime; /* address of _PyRuntime in the process, 0: there is none */
	uint32_t version; /* PY_VERSION_HEX; low 16 bits 0: the minor version only; 0: not known */
	enum python_libc libc;
};

/*
 * Fills *out for a worker that worker_inspect() has filled. 0, also where there is no CPython;
 * -ESRCH, -EACCES, -errno: the process or its runtime's file cannot be read.
 */
int python_locate(const struct worker *worker, struct python_location *out);

#endif
