/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callables that stand in for a server's while a request is tracked: start_response, the write()
 * that it returns, and a wsgi.file_wrapper that is not a type.
 *
 * Must not know: how iterables are followed, frameworks.
 *
 * One type for all: it forwards its arguments as they are and every attribute to the original, and
 * looks at the outcome. Which one it is lies in its vectorcall pointer.
 */
#include "marker.h"

struct hook {
	PyObject ob_base;
	vectorcallfunc vectorcall;
	PyObject *callable;	 /* owned: the server's */
	PyObject *environ;	 /* owned: start_response only */
	PyObject *returned;	 /* owned: file_wrapper only, what it returned last */
	struct request *request; /* owned */
};

static PyObject *hook_new(struct marker_state *state, struct request *req, PyObject *callable,
			  vectorcallfunc vectorcall)
{
	struct hook *self = PyObject_GC_New(struct hook, state->types[TYPE_HOOK]);

	if (!self)
		return NULL;
	Py_INCREF(callable);
	Py_INCREF(req);
	self->vectorcall = vectorcall;
	self->callable = callable;
	self->environ = NULL;
	self->returned = NULL;
	self->request = req;
	PyObject_GC_Track(self);
	return (PyObject *)self;
}

/* One call of write() is one block, its output time the time of the call. */
static PyObject *write_call(PyObject *object, PyObject *const *args, size_t nargsf,
			    PyObject *kwnames)
{
	struct hook *self = (struct hook *)object;
	struct request *req = self->request;
	PyObject *result;

	if (PyVectorcall_NARGS(nargsf) != 1 || kwnames || !request_live(req))
		return PyObject_Vectorcall(self->callable, args, nargsf, kwnames);
	request_flag(req, WSGISCOPE_F_WRITE);
	request_hand_over(req, args[0], false);
	result = PyObject_Vectorcall(self->callable, args, nargsf, kwnames);
	if (request_live(req))
		request_resume(req);
	return result;
}

static PyObject *status_argument(struct marker_state *state, PyObject *const *args,
				 Py_ssize_t nargs, PyObject *kwnames)
{
	if (nargs > 0)
		return args[0];
	for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++)
		if (name_is(PyTuple_GET_ITEM(kwnames, i), state->names[NAME_STATUS]))
			return args[i];
	return NULL;
}

/* "404 Not Found" -> 404; 0 if it does not begin with three digits. */
static unsigned int status_parse(PyObject *status)
{
	unsigned int value = 0;

	if (!status || !PyUnicode_Check(status) || !text_is_ready(status) ||
	    PyUnicode_GET_LENGTH(status) < 3)
		return 0;
	for (Py_ssize_t i = 0; i < 3; i++) {
		Py_UCS4 c = PyUnicode_READ_CHAR(status, i);

		if (c < '0' || c > '9')
			return 0;
		value = value * 10 + (c - '0');
	}
	return value;
}

/* The server has accepted the status: a call that raised leaves the earlier one standing. */
static PyObject *start_response_call(PyObject *object, PyObject *const *args, size_t nargsf,
				     PyObject *kwnames)
{
	struct hook *self = (struct hook *)object;
	struct request *req = self->request;
	struct marker_state *state = state_of(object);
	PyObject *result, *route, *hook;

	result = PyObject_Vectorcall(self->callable, args, nargsf, kwnames);
	if (!result || !request_live(req))
		return result;
	request_set_status(req, status_parse(status_argument(state, args,
							     PyVectorcall_NARGS(nargsf), kwnames)));
	if (!req->strings[STRING_ROUTE]) {
		route = hints_environ_route(state, self->environ);
		request_set_string(req, STRING_ROUTE, route);
		Py_XDECREF(route);
	}
	if (!PyCallable_Check(result))
		return result;
	hook = hook_new(state, req, result, write_call);
	if (!hook) {
		PyErr_Clear();
		return result;
	}
	Py_DECREF(result);
	return hook;
}

static PyObject *file_wrapper_call(PyObject *object, PyObject *const *args, size_t nargsf,
				   PyObject *kwnames)
{
	struct hook *self = (struct hook *)object;
	PyObject *result = PyObject_Vectorcall(self->callable, args, nargsf, kwnames);

	if (result) {
		Py_INCREF(result);
		OBJECT_LOCK(object);
		Py_XSETREF(self->returned, result);
		OBJECT_UNLOCK();
	}
	return result;
}

/* start_response as the application sees it. New reference, or NULL with an exception set. */
PyObject *hook_new_start_response(struct marker_state *state, struct request *req,
				  PyObject *environ, PyObject *start_response)
{
	PyObject *self = hook_new(state, req, start_response, start_response_call);

	if (self) {
		Py_INCREF(environ);
		((struct hook *)self)->environ = environ;
	}
	return self;
}

/* wsgi.file_wrapper as the application sees it. New reference, or NULL with an exception set. */
PyObject *hook_new_file_wrapper(struct marker_state *state, struct request *req,
				PyObject *file_wrapper)
{
	return hook_new(state, req, file_wrapper, file_wrapper_call);
}

/* What the file wrapper's original returned last, borrowed; NULL if it was not called. */
PyObject *hook_returned(PyObject *hook)
{
	return ((struct hook *)hook)->returned;
}

static PyObject *hook_getattro(PyObject *object, PyObject *name)
{
	if (name_is(name, state_of(object)->names[NAME_CALL]))
		return PyObject_GenericGetAttr(object, name);
	return PyObject_GetAttr(((struct hook *)object)->callable, name);
}

static int hook_setattro(PyObject *object, PyObject *name, PyObject *value)
{
	return PyObject_SetAttr(((struct hook *)object)->callable, name, value);
}

static PyObject *hook_repr(PyObject *object)
{
	return PyObject_Repr(((struct hook *)object)->callable);
}

static int hook_traverse(PyObject *object, visitproc visit, void *arg)
{
	struct hook *self = (struct hook *)object;

	Py_VISIT(Py_TYPE(object));
	Py_VISIT(self->callable);
	Py_VISIT(self->environ);
	Py_VISIT(self->returned);
	return 0;
}

/* What is set once stays (see result.c); what a file wrapper returned may lead back here. */
static int hook_clear(PyObject *object)
{
	Py_CLEAR(((struct hook *)object)->returned);
	return 0;
}

static void hook_dealloc(PyObject *object)
{
	struct hook *self = (struct hook *)object;
	PyTypeObject *type = Py_TYPE(object);

	PyObject_GC_UnTrack(object);
	Py_DECREF(self->callable);
	Py_XDECREF(self->environ);
	Py_XDECREF(self->returned);
	Py_DECREF(self->request);
	type->tp_free(object);
	Py_DECREF(type);
}

static PyMemberDef hook_members[] = {
	{"__vectorcalloffset__", T_PYSSIZET, offsetof(struct hook, vectorcall), READONLY, NULL},
	{NULL, 0, 0, 0, NULL},
};

static PyType_Slot hook_slots[] = {
	{Py_tp_dealloc, hook_dealloc},
	{Py_tp_traverse, hook_traverse},
	{Py_tp_clear, hook_clear},
	{Py_tp_members, hook_members},
	{Py_tp_call, PyVectorcall_Call},
	{Py_tp_getattro, hook_getattro},
	{Py_tp_setattro, hook_setattro},
	{Py_tp_repr, hook_repr},
	{0, NULL},
};

PyType_Spec hook_spec = {
	.name = "wsgiscope._marker.Hook",
	.basicsize = sizeof(struct hook),
	.flags = MARKER_TYPE_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC,
	.slots = hook_slots,
};
