/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Python extension for the tests: times its own waiting for the GIL, from inside. It must not
 * know how the tracer tells such a wait.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <time.h>

/* So long without the GIL, that another thread has taken it. */
#define APART_NS 300000

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Lets go of the GIL and takes it again; (start, end) of the taking. */
static PyObject *gil_take(void)
{
	PyThreadState *thread = PyEval_SaveThread();
	long long before = now_ns(), apart = before + APART_NS;

	while (before < apart)
		before = now_ns();
	PyEval_RestoreThread(thread);
	return Py_BuildValue("(LL)", before, now_ns());
}

/* take(times, stop) -> [(start, end)] in ns of CLOCK_MONOTONIC; stop[0] is 1 when it returns. */
static PyObject *oracle_take(PyObject *self, PyObject *args)
{
	PyObject *spans, *span;
	Py_buffer stop;
	int times;

	(void)self;
	if (!PyArg_ParseTuple(args, "iw*", &times, &stop))
		return NULL;
	spans = PyList_New(0);
	for (int i = 0; spans && i < times; i++) {
		span = gil_take();
		if (!span || PyList_Append(spans, span))
			Py_CLEAR(spans);
		Py_XDECREF(span);
	}
	if (stop.len)
		*(char *)stop.buf = 1;
	PyBuffer_Release(&stop);
	return spans;
}

static PyMethodDef oracle_methods[] = {
	{"take", oracle_take, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef oracle_module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "gil_oracle",
	.m_size = -1,
	.m_methods = oracle_methods,
};

PyMODINIT_FUNC PyInit_gil_oracle(void)
{
	return PyModule_Create(&oracle_module);
}
