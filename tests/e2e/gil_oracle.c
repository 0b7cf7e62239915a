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

/* So often after the last contender was told to stop: each needs the GIL once more to see it. */
#define TAKES_TO_STOP 6

static int spans_append(PyObject *spans, int times)
{
	for (int i = 0; i < times; i++) {
		PyObject *span = gil_take();
		int err = span ? PyList_Append(spans, span) : -1;

		Py_XDECREF(span);
		if (err)
			return err;
	}
	return 0;
}

/*
 * take(times, go, stop) -> [(start, end)] in ns of CLOCK_MONOTONIC. Calls go(), which lets others
 * want the GIL, and sets stop[0] to 1 when they shall not any more; from the one to the other this
 * thread has the GIL or is timed.
 */
static PyObject *oracle_take(PyObject *self, PyObject *args)
{
	PyObject *spans, *go, *gone;
	Py_buffer stop;
	int times, err;

	(void)self;
	if (!PyArg_ParseTuple(args, "iOw*", &times, &go, &stop))
		return NULL;
	spans = PyList_New(0);
	gone = spans ? PyObject_CallNoArgs(go) : NULL;
	err = gone ? spans_append(spans, times) : -1;
	if (stop.len)
		*(char *)stop.buf = 1;
	if (err || spans_append(spans, TAKES_TO_STOP))
		Py_CLEAR(spans);
	Py_XDECREF(gone);
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
