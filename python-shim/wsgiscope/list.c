/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stand-in for a list: a real list with the same items whose iterator counts.
 *
 * Must not know: servers' names, the marks.
 *
 * Servers ask isinstance(result, list), PyList_Check(), len(result) == 1 to send a body in one
 * piece or to derive Content-Length; only a subclass of list answers all of them as the original
 * does. Only an exact list is treated so: a subclass may have an __iter__ or close() of its own,
 * and gets a proxy. Items that a server takes without iterating go by unseen; then the request says
 * so.
 */
#include "marker.h"

/* Without a GIL another thread may take a reference while we look at their number. */
#ifdef Py_GIL_DISABLED
#define REFERENCES_SHARED true
#else
#define REFERENCES_SHARED false
#endif

struct tracked_list {
	PyListObject list;
	struct request *request; /* owned */
	bool iterated;		 /* atomic */
};

static struct request *list_request(PyObject *self)
{
	return ((struct tracked_list *)self)->request;
}

static PyObject *list_iter(PyObject *self)
{
	if (!request_live(list_request(self)))
		return PyList_Type.tp_iter(self);
	__atomic_store_n(&((struct tracked_list *)self)->iterated, true, __ATOMIC_RELAXED);
	return counter_new_list(state_of(self), list_request(self), self);
}

static int list_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	return PyList_Type.tp_traverse(self, visit, arg);
}

/* A list has no close(): what has been iterated and is dropped before its end is unclosed. */
static void list_release(struct tracked_list *self)
{
	if (self->iterated)
		request_end(self->request, WSGISCOPE_F_UNCLOSED);
	else
		request_end(self->request, WSGISCOPE_F_BLOCKS_UNSEEN | WSGISCOPE_F_END_INFERRED);
}

static void list_dealloc(PyObject *self)
{
	struct tracked_list *tracked = (struct tracked_list *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	if (tracked->request) {
		list_release(tracked);
		Py_DECREF(tracked->request);
	}
	PyList_Type.tp_dealloc(self);
	Py_DECREF(type);
}

/* Copies and pickles are plain lists. */
static PyObject *list_reduce(PyObject *self, PyObject *Py_UNUSED(protocol))
{
	return Py_BuildValue("(O(N))", &PyList_Type, PyList_GetSlice(self, 0, PY_SSIZE_T_MAX));
}

static PyMethodDef list_methods[] = {
	{"__reduce_ex__", list_reduce, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot list_slots[] = {
	{Py_tp_dealloc, list_dealloc},
	{Py_tp_traverse, list_traverse},
	{Py_tp_iter, list_iter},
	{Py_tp_methods, list_methods},
	{0, NULL},
};

/* Its base, list, is given where the type is made. */
PyType_Spec list_spec = {
	.name = "wsgiscope._marker.List",
	.basicsize = sizeof(struct tracked_list),
	.flags = MARKER_TYPE_FLAGS | Py_TPFLAGS_HAVE_GC,
	.slots = list_slots,
};

/*
 * Fills self, which is empty. A list that only we hold, as most that an application returns, is
 * about to be freed: its items are moved, without a copy, where Python can say that nobody else
 * holds it. -1 with an exception set: no memory.
 */
static int items_take(PyListObject *self, PyListObject *result)
{
	if (REFERENCES_SHARED || Py_REFCNT(result) > 1)
		return PyList_SetSlice((PyObject *)self, 0, 0, (PyObject *)result);
	self->ob_item = result->ob_item;
	self->allocated = result->allocated;
	Py_SET_SIZE(self, PyList_GET_SIZE(result));
	result->ob_item = NULL;
	result->allocated = 0;
	Py_SET_SIZE(result, 0);
	return 0;
}

/*
 * The stand-in for result, an exact list. Returns a new reference, or NULL with an exception set if
 * there is no memory.
 */
PyObject *list_wrap(struct marker_state *state, struct request *req, PyObject *result)
{
	PyTypeObject *type = state->types[TYPE_LIST];
	struct tracked_list *self = (struct tracked_list *)type->tp_alloc(type, 0);

	if (!self)
		return NULL;
	if (items_take(&self->list, (PyListObject *)result) < 0) {
		Py_DECREF(self);
		return NULL;
	}
	Py_INCREF(req);
	self->request = req;
	return (PyObject *)self;
}
