/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The extension module wsgiscope._marker: its state, its types, mark().
 *
 * Must not know: requests.
 */
#include "marker.h"

static const char *const name_texts[NAME_COUNT] = {
#define X(name, text) [NAME_##name] = (text),
	MARKER_NAMES(X)
#undef X
};

PyDoc_STRVAR(mark_doc, "mark(application, name=None)\n--\n\n"
		       "The WSGI application, marked: a tracer can see its requests.\n"
		       "name is shown with each of them.");

static PyObject *marker_mark(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *keywords[] = {"", "name", NULL};
	PyObject *application, *name = Py_None;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:mark", keywords, &application, &name))
		return NULL;
	/* A classmethod is no callable on 3.9, but a mark on it becomes one when it is bound. */
	if (!PyCallable_Check(application) && !Py_TYPE(application)->tp_descr_get)
		return PyErr_Format(PyExc_TypeError,
				    "mark() takes a WSGI application, which '%.200s' is not",
				    Py_TYPE(application)->tp_name);
	if (name != Py_None && !PyUnicode_Check(name))
		return PyErr_Format(PyExc_TypeError,
				    "the name of an application is a str, not '%.200s'",
				    Py_TYPE(name)->tp_name);
	return mark_new(PyModule_GetState(module), application, name);
}

static PyMethodDef marker_methods[] = {
	{"mark", (PyCFunction)(void (*)(void))marker_mark, METH_VARARGS | METH_KEYWORDS, mark_doc},
	{NULL, NULL, 0, NULL},
};

static int type_add(PyObject *module, enum marker_type which, PyType_Spec *spec, PyObject *bases)
{
	struct marker_state *state = PyModule_GetState(module);
	PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, bases);

	if (!type)
		return -1;
#if PY_VERSION_HEX < 0x030A0000
	type->tp_new = NULL; /* nobody but this module makes them; later, a flag says so */
#endif
	state->types[which] = type;
	return 0;
}

static int types_add(PyObject *module)
{
	PyObject *list = PyTuple_Pack(1, &PyList_Type);
	int error = -1;

	if (!list)
		return -1;
	if (type_add(module, TYPE_MARK, &mark_spec, NULL) < 0 ||
	    type_add(module, TYPE_REQUEST, &request_spec, NULL) < 0 ||
	    type_add(module, TYPE_HOOK, &hook_spec, NULL) < 0 ||
	    type_add(module, TYPE_LIST, &list_spec, list) < 0 ||
	    type_add(module, TYPE_COUNTER, &counter_spec, NULL) < 0)
		goto out;
	for (int i = 0; i < 4; i++)
		if (type_add(module, (enum marker_type)(TYPE_PROXY + i), &proxy_specs[i], NULL) < 0)
			goto out;
	error = 0;
out:
	Py_DECREF(list);
	return error;
}

static int marker_exec(PyObject *module)
{
	struct marker_state *state = PyModule_GetState(module);

	if (!marks_init()) {
		PyErr_SetString(PyExc_ImportError, "wsgiscope: cannot watch for fork()");
		return -1;
	}
	state->fast_clock = clock_is_fast();
	for (int i = 0; i < NAME_COUNT; i++) {
		state->names[i] = PyUnicode_InternFromString(name_texts[i]);
		if (!state->names[i])
			return -1;
	}
	return types_add(module);
}

static int marker_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct marker_state *state = PyModule_GetState(module);

	for (int i = 0; i < TYPE_COUNT; i++)
		Py_VISIT(state->types[i]);
	Py_VISIT(state->blind_input);
	return 0;
}

/*
 * Types and module refer to each other, so this is called when neither can be reached any more:
 * then no mark can be called, and what is still freed afterwards does not look at the state.
 */
static int marker_clear(PyObject *module)
{
	struct marker_state *state = PyModule_GetState(module);

	for (int i = 0; i < TYPE_COUNT; i++)
		Py_CLEAR(state->types[i]);
	for (int i = 0; i < NAME_COUNT; i++)
		Py_CLEAR(state->names[i]);
	Py_CLEAR(state->blind_input);
	return 0;
}

static void marker_free(void *module)
{
	marker_clear(module);
}

/*
 * Sound with a GIL for each interpreter: what the interpreters share (marks.c) is atomic or written
 * by the kernel only. Sound without a GIL: an application's objects are used by what Python itself
 * makes safe, a request is locked (OBJECT_LOCK), the rest is set before anyone else sees it. To be
 * silent about it would turn the GIL of a free-threaded Python on: a change of the traced program.
 */
static PyModuleDef_Slot marker_slots[] = {
	{Py_mod_exec, marker_exec},
#ifdef Py_mod_multiple_interpreters
	{Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
	{Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
	{0, NULL},
};

static struct PyModuleDef marker_module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "wsgiscope._marker",
	.m_doc = "Marks around a WSGI application, for the tracer wsgiscope.",
	.m_size = sizeof(struct marker_state),
	.m_methods = marker_methods,
	.m_slots = marker_slots,
	.m_traverse = marker_traverse,
	.m_clear = marker_clear,
	.m_free = marker_free,
};

PyMODINIT_FUNC PyInit__marker(void)
{
	return PyModuleDef_Init(&marker_module);
}
