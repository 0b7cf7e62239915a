/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module _bench: its method table and what its loops share.
 */
#include "ext.h"

#include <string.h>

PyObject *stretch_tuple(const struct stretch *s, Py_ssize_t n)
{
	return Py_BuildValue("dd", (double)s->wall_ns / (double)n, (double)s->cpu_ns / (double)n);
}

static struct wsgiscope_str latin1(const char *text)
{
	return (struct wsgiscope_str){
		.ptr = (uintptr_t)text,
		.len = (unsigned int)strlen(text),
		.kind = WSGISCOPE_STR_LATIN1,
	};
}

void request_fill(struct wsgiscope_request *request, uint64_t id, int fd, const char *path)
{
	*request = (struct wsgiscope_request){
		.version = WSGISCOPE_MARKS_VERSION,
		.size = sizeof(*request),
		.id = id,
		.start_ns = clock_ns(CLOCK_MONOTONIC),
		.fd = fd,
		.flags = fd >= 0 ? WSGISCOPE_F_CLIENT_FD : 0,
		.method = latin1("GET"),
		.script = latin1(""),
		.path = latin1(path),
		.app = latin1("bench"),
	};
}

static PyMethodDef bench_methods[] = {
	{"loop", bench_loop, METH_VARARGS,
	 "loop(app, environ, n, start_mark, end_mark, fd, peer) -> (wall_ns, cpu_ns) a request.\n\n"
	 "start_mark and end_mark are addresses of marks to call around each request, or 0.\n"
	 "fd: a socket to send one byte to in each request, read back from peer; or -1."},
	{"synthetic", bench_synthetic, METH_VARARGS,
	 "synthetic(start_mark, end_mark, rate, seconds, pairs) -> (requests, late_ns)\n\n"
	 "rate requests a second, each with one write to one of pairs [(fd, peer)] in turn."},
	{"marks", bench_marks, METH_VARARGS,
	 "marks(n, start_mark, end_mark) -> (wall_ns, cpu_ns) of both marks"},
	{"getppid", bench_getppid, METH_VARARGS, "getppid(n) -> (wall_ns, cpu_ns) a call"},
	{"write", bench_write, METH_VARARGS, "write(fd, n) -> (wall_ns, cpu_ns) a write of 1 byte"},
	{"send", bench_send, METH_VARARGS,
	 "send(fd, peer, n, start_mark, end_mark) -> (wall_ns, cpu_ns) a send of 100 bytes,\n"
	 "inside a request if the marks are not 0"},
	{"turns", bench_turns, METH_VARARGS,
	 "turns(fd, peer, n, start_mark, end_mark) -> (wall_ns, cpu_ns) a request: a read, two\n"
	 "writes, and the marks if they are not 0"},
	{"threads", bench_threads, METH_VARARGS,
	 "threads(n) -> (wall_ns, cpu_ns) a thread made and joined"},
	{"forks", bench_forks, METH_VARARGS,
	 "forks(n) -> (wall_ns, cpu_ns) a process forked, ended and waited for"},
	{"switches", bench_switches, METH_VARARGS,
	 "switches(way, n, start_mark, end_mark) -> (wall_ns, cpu_ns) a context switch, the CPU "
	 "time\n"
	 "of the whole process. n round trips between two threads that share a CPU, way: 'pipe' "
	 "or\n"
	 "'futex'; the one that asks is inside a request if the marks are not 0"},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef bench_module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_bench",
	.m_doc = "Loops of the benchmark, timed inside.",
	.m_size = 0,
	.m_methods = bench_methods,
};

PyMODINIT_FUNC PyInit__bench(void)
{
	return PyModuleDef_Init(&bench_module);
}
