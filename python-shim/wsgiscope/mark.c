/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The object that mark() returns: an application that looks and behaves like the one it wraps.
 *
 * Must not know: how a request is followed (track.c).
 *
 * Untraced it costs two loads and a call. All attributes are those of the application, so that
 * app.run, app.config or isinstance(app, Flask) are what they were.
 */
#include "marker.h"

struct mark {
	PyObject ob_base;
	vectorcallfunc vectorcall;
	PyObject *application; /* owned */
	PyObject *name;	       /* owned: a str or None */
	PyObject *weakrefs;
};

static PyObject *mark_vectorcall(PyObject *object, PyObject *const *args, size_t nargsf,
				 PyObject *kwnames)
{
	struct mark *self = (struct mark *)object;

	if (__builtin_expect(!marks_armed() || kwnames, 1))
		return PyObject_Vectorcall(self->application, args, nargsf, kwnames);
	return track_call(state_of(object), self->application, self->name, args, nargsf);
}

/* A mark on application, with a str or None as name. New reference, or NULL with an exception. */
PyObject *mark_new(struct marker_state *state, PyObject *application, PyObject *name)
{
	struct mark *self = PyObject_GC_New(struct mark, state->types[TYPE_MARK]);

	if (!self)
		return NULL;
	Py_INCREF(application);
	Py_INCREF(name);
	self->vectorcall = mark_vectorcall;
	self->application = application;
	self->name = name;
	self->weakrefs = NULL;
	PyObject_GC_Track(self);
	return (PyObject *)self;
}

/*
 * As an attribute of a class, a marked function is a method as the function was, without a further
 * object; another descriptor is bound by its own rules; what is no descriptor stays as it is.
 */
static PyObject *mark_descr_get(PyObject *object, PyObject *instance, PyObject *owner)
{
	struct mark *self = (struct mark *)object;
	descrgetfunc get = Py_TYPE(self->application)->tp_descr_get;
	PyObject *bound, *mark;

	if (!get || (PyFunction_Check(self->application) && !instance)) {
		Py_INCREF(object);
		return object;
	}
	if (PyFunction_Check(self->application))
		return PyMethod_New(object, instance);
	bound = get(self->application, instance, owner);
	if (!bound)
		return NULL;
	if (!PyCallable_Check(bound))
		return bound;
	mark = mark_new(state_of(object), bound, self->name);
	Py_DECREF(bound);
	return mark;
}

static PyObject *mark_getattro(PyObject *object, PyObject *name)
{
	struct mark *self = (struct mark *)object;
	struct marker_state *state = state_of(object);

	if (name_is(name, state->names[NAME_WRAPPED])) {
		Py_INCREF(self->application);
		return self->application;
	}
	if (name_is(name, state->names[NAME_CALL]) || name_is(name, state->names[NAME_GET]) ||
	    name_is(name, state->names[NAME_MRO_ENTRIES]))
		return PyObject_GenericGetAttr(object, name);
	return PyObject_GetAttr(self->application, name);
}

static int mark_setattro(PyObject *object, PyObject *name, PyObject *value)
{
	return PyObject_SetAttr(((struct mark *)object)->application, name, value);
}

static PyObject *mark_repr(PyObject *object)
{
	return PyUnicode_FromFormat("<wsgiscope mark of %R>", ((struct mark *)object)->application);
}

static PyObject *mark_str(PyObject *object)
{
	return PyObject_Str(((struct mark *)object)->application);
}

/* isinstance(x, App), issubclass(X, App), class X(App): for an App that is a marked class. */
static PyObject *mark_instancecheck(PyObject *object, PyObject *instance)
{
	int is = PyObject_IsInstance(instance, ((struct mark *)object)->application);

	return is < 0 ? NULL : PyBool_FromLong(is);
}

static PyObject *mark_subclasscheck(PyObject *object, PyObject *subclass)
{
	int is = PyObject_IsSubclass(subclass, ((struct mark *)object)->application);

	return is < 0 ? NULL : PyBool_FromLong(is);
}

static PyObject *mark_mro_entries(PyObject *object, PyObject *Py_UNUSED(bases))
{
	return PyTuple_Pack(1, ((struct mark *)object)->application);
}

static int mark_traverse(PyObject *object, visitproc visit, void *arg)
{
	struct mark *self = (struct mark *)object;

	Py_VISIT(Py_TYPE(object));
	Py_VISIT(self->application);
	return 0;
}

static void mark_dealloc(PyObject *object)
{
	struct mark *self = (struct mark *)object;
	PyTypeObject *type = Py_TYPE(object);

	PyObject_GC_UnTrack(object);
	if (self->weakrefs)
		PyObject_ClearWeakRefs(object);
	Py_DECREF(self->application);
	Py_DECREF(self->name);
	type->tp_free(object);
	Py_DECREF(type);
}

static PyMethodDef mark_methods[] = {
	{"__instancecheck__", mark_instancecheck, METH_O, NULL},
	{"__subclasscheck__", mark_subclasscheck, METH_O, NULL},
	{"__mro_entries__", mark_mro_entries, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static PyMemberDef mark_members[] = {
	{"__vectorcalloffset__", T_PYSSIZET, offsetof(struct mark, vectorcall), READONLY, NULL},
	{"__weaklistoffset__", T_PYSSIZET, offsetof(struct mark, weakrefs), READONLY, NULL},
	{NULL, 0, 0, 0, NULL},
};

/* No tp_clear: see result.c. */
static PyType_Slot mark_slots[] = {
	{Py_tp_dealloc, mark_dealloc},
	{Py_tp_traverse, mark_traverse},
	{Py_tp_members, mark_members},
	{Py_tp_methods, mark_methods},
	{Py_tp_call, PyVectorcall_Call},
	{Py_tp_descr_get, mark_descr_get},
	{Py_tp_getattro, mark_getattro},
	{Py_tp_setattro, mark_setattro},
	{Py_tp_repr, mark_repr},
	{Py_tp_str, mark_str},
	{0, NULL},
};

PyType_Spec mark_spec = {
	.name = "wsgiscope._marker.Mark",
	.basicsize = sizeof(struct mark),
	.flags = MARKER_TYPE_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC,
	.slots = mark_slots,
};
