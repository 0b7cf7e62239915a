/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A WSGI server reduced to what PEP 3333 asks of one: call, iterate, close. Owns the timing of
 * requests; must not know what the application is wrapped in.
 */
#include "ext.h"

#include <sys/socket.h>

static PyObject *write_nothing(PyObject *self, PyObject *data)
{
	Py_RETURN_NONE;
}

static PyMethodDef write_def = {"write", write_nothing, METH_O, NULL};

/* start_response(status, headers, exc_info=None): self is the write callable that it returns. */
static PyObject *start_response(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	if (nargs < 2 || nargs > 3) {
		PyErr_SetString(PyExc_TypeError, "start_response takes 2 or 3 arguments");
		return NULL;
	}
	Py_INCREF(self);
	return self;
}

static PyMethodDef start_response_def = {
	"start_response", (PyCFunction)(void (*)(void))start_response, METH_FASTCALL, NULL};

/* As hasattr() and a call do it: the AttributeError of a list is never made. */
static int iterable_close(PyObject *iterable, PyObject *name)
{
	PyObject *close, *result;

#if PY_VERSION_HEX >= 0x030D0000
	if (PyObject_GetOptionalAttr(iterable, name, &close) < 0)
#else
	if (_PyObject_LookupAttr(iterable, name, &close) < 0)
#endif
		return -1;
	if (!close)
		return 0;
	result = PyObject_CallNoArgs(close);
	Py_DECREF(close);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

static int iterable_drain(PyObject *iterable)
{
	PyObject *iterator = PyObject_GetIter(iterable);
	PyObject *block;

	if (!iterator)
		return -1;
	while ((block = PyIter_Next(iterator)))
		Py_DECREF(block);
	Py_DECREF(iterator);
	return PyErr_Occurred() ? -1 : 0;
}

struct loop {
	PyObject *app, *environ; /* borrowed */
	PyObject *start, *close; /* start_response, "close" */
	Py_ssize_t n;
	start_mark_fn *start_mark; /* NULL: none */
	mark_fn *end_mark;	   /* the same */
	int fd, peer;		   /* -1: no write */
};

static int request_serve(const struct loop *loop)
{
	PyObject *own = PyDict_Copy(loop->environ);
	PyObject *iterable;
	int err;

	if (!own)
		return -1;
	iterable = PyObject_CallFunctionObjArgs(loop->app, own, loop->start, NULL);
	if (!iterable) {
		Py_DECREF(own);
		return -1;
	}
	err = iterable_drain(iterable);
	if (!err)
		err = iterable_close(iterable, loop->close);
	Py_DECREF(iterable);
	Py_DECREF(own);
	return err;
}

/* One byte to the client, and out of the way again. */
static int client_write(int fd, int peer)
{
	char byte = 'x';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(peer, &byte, 1, 0) != 1) {
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	return 0;
}

static int loop_run(const struct loop *loop)
{
	struct wsgiscope_request request;
	int err = 0;

	request_fill(&request, 1, loop->fd, "/bench");
	for (Py_ssize_t i = 0; i < loop->n && !err; i++) {
		if (loop->start_mark)
			loop->start_mark(&request, request.id, request.start_ns, request.fd);
		err = request_serve(loop);
		if (!err && loop->fd >= 0)
			err = client_write(loop->fd, loop->peer);
		if (loop->end_mark)
			loop->end_mark(&request);
	}
	return err;
}

PyObject *bench_loop(PyObject *self, PyObject *args)
{
	unsigned long long start_mark, end_mark;
	struct stretch stretch;
	struct loop loop = {0};
	PyObject *write;
	int err;

	if (!PyArg_ParseTuple(args, "OO!nKKii", &loop.app, &PyDict_Type, &loop.environ, &loop.n,
			      &start_mark, &end_mark, &loop.fd, &loop.peer))
		return NULL;
	loop.start_mark = (start_mark_fn *)(uintptr_t)start_mark;
	loop.end_mark = (mark_fn *)(uintptr_t)end_mark;
	write = PyCFunction_New(&write_def, NULL);
	loop.start = write ? PyCFunction_New(&start_response_def, write) : NULL;
	loop.close = PyUnicode_InternFromString("close");
	Py_XDECREF(write);
	err = !loop.start || !loop.close;
	stretch_start(&stretch);
	if (!err)
		err = loop_run(&loop);
	stretch_end(&stretch);
	Py_XDECREF(loop.start);
	Py_XDECREF(loop.close);
	return err ? NULL : stretch_tuple(&stretch, loop.n);
}
