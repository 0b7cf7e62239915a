/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The benchmark's extension module, _bench: loops whose own cost is small, timed inside. What is
 * compared (applications, middleware, tracers) is chosen by worker.py; this knows nothing of it.
 */
#ifndef WSGISCOPE_BENCH_EXT_H
#define WSGISCOPE_BENCH_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <time.h>

#include "marks.h"

/* A mark: exported by the marker, given by its address. */
typedef void mark_fn(const struct wsgiscope_request *request);
typedef void start_mark_fn(const struct wsgiscope_request *request, unsigned long long id,
			   unsigned long long start_ns, int fd);

/* Wall and thread CPU time of a stretch of code, both in ns. */
struct stretch {
	uint64_t wall_ns;
	uint64_t cpu_ns;
};

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void stretch_start(struct stretch *s)
{
	s->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	s->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

static inline void stretch_end(struct stretch *s)
{
	s->wall_ns = clock_ns(CLOCK_MONOTONIC) - s->wall_ns;
	s->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - s->cpu_ns;
}

/* (wall_ns, cpu_ns) for each of n operations, as floats. */
PyObject *stretch_tuple(const struct stretch *s, Py_ssize_t n);

/* A struct as the marker would fill it, of a request of `path` on the connection fd. */
void request_fill(struct wsgiscope_request *request, uint64_t id, int fd, const char *path);

/* ext_loop.c: WSGI requests. */
PyObject *bench_loop(PyObject *self, PyObject *args);

/* ext_synthetic.c: marks without an application. */
PyObject *bench_synthetic(PyObject *self, PyObject *args);

/* ext_kernel.c: marks, system calls, threads, processes. */
PyObject *bench_marks(PyObject *self, PyObject *args);
PyObject *bench_getppid(PyObject *self, PyObject *args);
PyObject *bench_write(PyObject *self, PyObject *args);
PyObject *bench_send(PyObject *self, PyObject *args);
PyObject *bench_threads(PyObject *self, PyObject *args);
PyObject *bench_forks(PyObject *self, PyObject *args);

/* ext_wire.c: the system calls of requests. */
PyObject *bench_turns(PyObject *self, PyObject *args);

/* ext_switch.c: context switches. */
PyObject *bench_switches(PyObject *self, PyObject *args);

#endif
