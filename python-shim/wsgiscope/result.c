/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes to the server instead of the application's iterable while a request is tracked: proxies
 * that look like the original, and the iterator that counts.
 *
 * Must not know: servers' names, the marks.
 *
 * A proxy forwards every attribute to the original, __class__ and __len__ included, so that
 * hasattr(), isinstance() and len() say what they would have said; it adds nothing but counting in
 * next() and close(). What is looked up on the type (len(), the iterator protocol) cannot be
 * forwarded by attribute, hence four types: with a length or not, its own iterator or not. A type
 * with __len__ for an original without it would break servers that ask hasattr(result, "__len__").
 * C code that takes isinstance() for the type's layout would be misled by __class__; the one case
 * known, mod_wsgi's file wrapper, is never proxied (track.c).
 *
 * The types have tp_traverse but no tp_clear, as tuple has none: their references are set before
 * anyone sees the object, so a cycle always leads through another object that can be cleared.
 */
#include "marker.h"

/* A proxy, or the counting iterator made by iter() on a proxy or a list. */
struct result {
	PyObject ob_base;
	PyObject *inner;	 /* owned: the original iterable, or its iterator, or a list */
	PyObject *owner;	 /* owned: what ends the request when it goes; NULL: this object */
	struct request *request; /* owned */
	PyObject *weakrefs;
	Py_ssize_t next; /* counter of a list, atomic: the next item's index; else -1 */
	bool has_close;	 /* counter: see counter_new() */
};

static PyObject *result_alloc(struct marker_state *state, enum marker_type type,
			      struct request *req, PyObject *inner, PyObject *owner)
{
	struct result *self = PyObject_GC_New(struct result, state->types[type]);

	if (!self)
		return NULL;
	Py_INCREF(req);
	Py_INCREF(inner);
	Py_XINCREF(owner);
	self->request = req;
	self->inner = inner;
	self->owner = owner;
	self->weakrefs = NULL;
	self->next = -1;
	self->has_close = false;
	PyObject_GC_Track(self);
	return (PyObject *)self;
}

/* The iterable or iterator has nothing more to give: at its end, or by the exception set. */
static void result_stop(struct result *self, bool has_close)
{
	struct request *req = self->request;

	if (!request_live(req))
		return;
	request_pause(req);
	if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_StopIteration))
		request_fail(req, WSGISCOPE_F_EXC_ITER);
	else
		request_flag(req, WSGISCOPE_F_EXHAUSTED);
	if (!has_close)
		request_end(req, 0);
}

/* Whether the original of a proxy has close(); keeps the exception that is set. */
static bool result_has_close(struct result *self)
{
	PyObject *type, *value, *traceback;
	bool found;

	if (self->owner)
		return self->has_close;
	PyErr_Fetch(&type, &value, &traceback);
	found = hints_has_attr(self->inner, state_of((PyObject *)self)->names[NAME_CLOSE]);
	PyErr_Restore(type, value, traceback);
	return found;
}

/* As a list's own iterator: an item that is there now, and after the end nothing any more. */
static PyObject *list_next(struct result *self)
{
	Py_ssize_t index = __atomic_load_n(&self->next, __ATOMIC_RELAXED);
	PyObject *item = list_item(self->inner, index);

	__atomic_store_n(&self->next, item ? index + 1 : PY_SSIZE_T_MAX, __ATOMIC_RELAXED);
	return item;
}

static PyObject *result_iternext(PyObject *object)
{
	struct result *self = (struct result *)object;
	bool is_list = __atomic_load_n(&self->next, __ATOMIC_RELAXED) >= 0;
	PyObject *inner = self->inner;
	PyObject *block;

	if (!request_live(self->request))
		return is_list ? list_next(self) : Py_TYPE(inner)->tp_iternext(inner);
	request_resume(self->request);
	block = is_list ? list_next(self) : Py_TYPE(inner)->tp_iternext(inner);
	if (block)
		request_hand_over(self->request, block, is_list);
	else
		result_stop(self, result_has_close(self));
	return block;
}

/* There was no memory for an iterator that counts. */
static void counter_give_up(struct request *req)
{
	PyErr_Clear();
	request_count_end(req);
	request_flag(req, WSGISCOPE_F_BLOCKS_UNSEEN);
}

/*
 * The counting iterator over iterator, which is stolen, for owner, a proxy, which it keeps alive.
 * has_close: the request ends with owner's close(), not when the iterator is exhausted. While one
 * counts, another only looks (gevent adds up a body's length before it sends its first block) and
 * is left as it is. Never fails: without memory it returns iterator itself, and the request says
 * that its blocks are unseen.
 */
PyObject *counter_new(struct marker_state *state, struct request *req, PyObject *owner,
		      PyObject *iterator, bool has_close)
{
	struct result *self;

	if (!request_count_begin(req))
		return iterator;
	self = (struct result *)result_alloc(state, TYPE_COUNTER, req, iterator, owner);
	if (!self) {
		counter_give_up(req);
		return iterator;
	}
	Py_DECREF(iterator);
	self->has_close = has_close;
	return (PyObject *)self;
}

/*
 * The counting iterator over a list, which it keeps alive; the blocks lie ready, so the application
 * takes no time for them. Without memory the list's own, and the request says so; NULL with an
 * exception set if there is none for that either.
 */
PyObject *counter_new_list(struct marker_state *state, struct request *req, PyObject *list)
{
	struct result *self;

	if (!request_count_begin(req))
		return PyList_Type.tp_iter(list);
	self = (struct result *)result_alloc(state, TYPE_COUNTER, req, list, list);
	if (!self) {
		counter_give_up(req);
		return PyList_Type.tp_iter(list);
	}
	self->next = 0;
	return (PyObject *)self;
}

static PyObject *proxy_iter(PyObject *object)
{
	struct result *self = (struct result *)object;
	PyObject *iterator;

	if (!request_live(self->request))
		return PyObject_GetIter(self->inner);
	request_resume(self->request);
	iterator = PyObject_GetIter(self->inner);
	if (!iterator) {
		result_stop(self, result_has_close(self));
		return NULL;
	}
	request_pause(self->request);
	if (iterator == self->inner) {
		Py_DECREF(iterator);
		Py_INCREF(object);
		return object;
	}
	return counter_new(state_of(object), self->request, object, iterator,
			   result_has_close(self));
}

/* close() of a proxy: the original's, with whatever arguments; the request ends with it. */
static PyObject *proxy_close(PyObject *object, PyObject *const *args, Py_ssize_t nargs,
			     PyObject *kwnames)
{
	struct result *self = (struct result *)object;
	struct request *req = self->request;
	bool live = request_live(req);
	PyObject *close, *value;

	close = PyObject_GetAttr(self->inner, state_of(object)->names[NAME_CLOSE]);
	if (!close)
		return NULL;
	if (live)
		request_resume(req);
	value = PyObject_Vectorcall(close, args, (size_t)nargs, kwnames);
	Py_DECREF(close);
	if (live) {
		if (!value)
			request_fail(req, WSGISCOPE_F_EXC_CLOSE);
		request_end(req, WSGISCOPE_F_CLOSED);
	}
	return value;
}

static PyMethodDef proxy_close_def = {
	"close",
	(PyCFunction)(void (*)(void))proxy_close,
	METH_FASTCALL | METH_KEYWORDS,
	NULL,
};

/* bytes(response), which a framework's response may answer in its own way. */
static PyObject *proxy_bytes(PyObject *object, PyObject *Py_UNUSED(ignored))
{
	return PyObject_Bytes(((struct result *)object)->inner);
}

static PyMethodDef proxy_methods[] = {
	{"__bytes__", proxy_bytes, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyObject *proxy_getattro(PyObject *object, PyObject *name)
{
	struct result *self = (struct result *)object;
	struct marker_state *state = state_of(object);
	PyObject *value = PyObject_GetAttr(self->inner, name);
	PyObject *own;

	if (!value)
		return NULL;
	if (name_is(name, state->names[NAME_CLOSE]))
		own = PyCFunction_New(&proxy_close_def, object);
	else if (name_is(name, state->names[NAME_ITER]) || name_is(name, state->names[NAME_NEXT]))
		own = PyObject_GenericGetAttr(object, name);
	else
		return value;
	if (!own) {
		PyErr_Clear(); /* no memory: the original's is better than none */
		return value;
	}
	Py_DECREF(value);
	return own;
}

static int proxy_setattro(PyObject *object, PyObject *name, PyObject *value)
{
	return PyObject_SetAttr(((struct result *)object)->inner, name, value);
}

static PyObject *proxy_repr(PyObject *object)
{
	return PyObject_Repr(((struct result *)object)->inner);
}

static PyObject *proxy_str(PyObject *object)
{
	return PyObject_Str(((struct result *)object)->inner);
}

static Py_hash_t proxy_hash(PyObject *object)
{
	return PyObject_Hash(((struct result *)object)->inner);
}

static PyObject *proxy_compare(PyObject *object, PyObject *other, int op)
{
	if (Py_TYPE(other) == Py_TYPE(object))
		other = ((struct result *)other)->inner;
	return PyObject_RichCompare(((struct result *)object)->inner, other, op);
}

static int proxy_bool(PyObject *object)
{
	return PyObject_IsTrue(((struct result *)object)->inner);
}

static Py_ssize_t proxy_length(PyObject *object)
{
	return PyObject_Size(((struct result *)object)->inner);
}

static PyObject *proxy_subscript(PyObject *object, PyObject *key)
{
	return PyObject_GetItem(((struct result *)object)->inner, key);
}

/* result[key] = value, or with value NULL: del result[key]. */
static int proxy_ass_subscript(PyObject *object, PyObject *key, PyObject *value)
{
	PyObject *inner = ((struct result *)object)->inner;

	return value ? PyObject_SetItem(inner, key, value) : PyObject_DelItem(inner, key);
}

static int proxy_contains(PyObject *object, PyObject *item)
{
	return PySequence_Contains(((struct result *)object)->inner, item);
}

static int result_traverse(PyObject *object, visitproc visit, void *arg)
{
	struct result *self = (struct result *)object;

	Py_VISIT(Py_TYPE(object));
	Py_VISIT(self->inner);
	Py_VISIT(self->owner);
	return 0;
}

/* The server has let go of the iterable without close(), or has nothing to close. */
static void proxy_release(struct result *self)
{
	bool stopped = self->request->mark.flags & WSGISCOPE_F_EXHAUSTED;

	request_end(self->request, stopped ? WSGISCOPE_F_END_INFERRED : WSGISCOPE_F_UNCLOSED);
}

static void result_dealloc(PyObject *object)
{
	struct result *self = (struct result *)object;
	PyTypeObject *type = Py_TYPE(object);

	PyObject_GC_UnTrack(object);
	if (self->weakrefs)
		PyObject_ClearWeakRefs(object);
	if (self->owner)
		request_count_end(self->request);
	else
		proxy_release(self);
	Py_DECREF(self->inner);
	Py_XDECREF(self->owner);
	Py_DECREF(self->request);
	type->tp_free(object);
	Py_DECREF(type);
}

static PyMemberDef result_members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(struct result, weakrefs), READONLY, NULL},
	{NULL, 0, 0, 0, NULL},
};

static PyType_Slot counter_slots[] = {
	{Py_tp_dealloc, result_dealloc},   {Py_tp_traverse, result_traverse},
	{Py_tp_members, result_members},   {Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, result_iternext}, {0, NULL},
};

PyType_Spec counter_spec = {
	.name = "wsgiscope._marker.Counter",
	.basicsize = sizeof(struct result),
	.flags = MARKER_TYPE_FLAGS | Py_TPFLAGS_HAVE_GC,
	.slots = counter_slots,
};

/* clang-format off */
#define PROXY_SLOTS                                                                                \
	{Py_tp_dealloc, result_dealloc},                                                           \
	{Py_tp_traverse, result_traverse},                                                         \
	{Py_tp_members, result_members},                                                           \
	{Py_tp_getattro, proxy_getattro},                                                          \
	{Py_tp_setattro, proxy_setattro},                                                          \
	{Py_tp_repr, proxy_repr},                                                                  \
	{Py_tp_str, proxy_str},                                                                    \
	{Py_tp_hash, proxy_hash},                                                                  \
	{Py_tp_richcompare, proxy_compare},                                                        \
	{Py_tp_iter, proxy_iter},                                                                  \
	{Py_tp_methods, proxy_methods},                                                            \
	{Py_nb_bool, proxy_bool},                                                                  \
	{Py_sq_contains, proxy_contains},                                                          \
	{Py_mp_subscript, proxy_subscript},                                                        \
	{Py_mp_ass_subscript, proxy_ass_subscript}

#define PROXY_SIZED {Py_mp_length, proxy_length}, {Py_sq_length, proxy_length}

#define PROXY_ITERATOR {Py_tp_iternext, result_iternext}

static PyType_Slot proxy_slots[] = {PROXY_SLOTS, {0, NULL}};
static PyType_Slot sized_slots[] = {PROXY_SLOTS, PROXY_SIZED, {0, NULL}};
static PyType_Slot iterator_slots[] = {PROXY_SLOTS, PROXY_ITERATOR, {0, NULL}};
static PyType_Slot sized_iterator_slots[] = {PROXY_SLOTS, PROXY_SIZED, PROXY_ITERATOR, {0, NULL}};

#define PROXY_SPEC(type, slot_table)                                                               \
	{.name = "wsgiscope._marker." type, .basicsize = sizeof(struct result),                    \
	 .flags = MARKER_TYPE_FLAGS | Py_TPFLAGS_HAVE_GC, .slots = (slot_table)}

PyType_Spec proxy_specs[4] = {
	PROXY_SPEC("Iterable", proxy_slots),
	PROXY_SPEC("SizedIterable", sized_slots),
	PROXY_SPEC("Iterator", iterator_slots),
	PROXY_SPEC("SizedIterator", sized_iterator_slots),
};
/* clang-format on */

static bool has_length(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);

	return (type->tp_as_sequence && type->tp_as_sequence->sq_length) ||
	       (type->tp_as_mapping && type->tp_as_mapping->mp_length);
}

/*
 * The proxy of result, the application's answer. Returns a new reference, or NULL with an exception
 * set if there is no memory.
 */
PyObject *result_wrap(struct marker_state *state, struct request *req, PyObject *result)
{
	int kind = TYPE_PROXY + (has_length(result) ? 1 : 0) + (PyIter_Check(result) ? 2 : 0);

	return result_alloc(state, (enum marker_type)kind, req, result, NULL);
}
