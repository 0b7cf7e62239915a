/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What servers and frameworks let be seen of a request: the client's connection, the route. The
 * only file that knows their names; each is one row of a table.
 *
 * Must not know: what is done with it. Nothing is imported, nothing raises: a hint that is not
 * there is absent. As a look-up may run code, only the keys, types and attributes named here are
 * tried.
 */
#include "marker.h"

#include <frameobject.h>
#include <limits.h>
#include <string.h>

#define PATH_MAX_NAMES 3

/* Attributes to follow, one after the other; NAME_NONE ends it early. */
struct attr_path {
	enum marker_name names[PATH_MAX_NAMES];
};

/* To raise and clear an AttributeError for what is not there would cost 1 us. */
#if PY_VERSION_HEX >= 0x030D0000
#define attr_look_up PyObject_GetOptionalAttr
#else
#define attr_look_up _PyObject_LookupAttr
#endif

/* An attribute, or NULL with no exception set. */
static PyObject *attr_get(PyObject *object, PyObject *name)
{
	PyObject *value;

	if (attr_look_up(object, name, &value) < 0)
		PyErr_Clear();
	return value;
}

/* Whether object has the attribute; called with no exception set. */
bool hints_has_attr(PyObject *object, PyObject *name)
{
	PyObject *value = attr_get(object, name);

	Py_XDECREF(value);
	return value;
}

/* Follows path from object. New reference, or NULL with no exception set. */
static PyObject *attr_walk(struct marker_state *state, PyObject *object,
			   const struct attr_path *path)
{
	Py_INCREF(object);
	for (int i = 0; object && i < PATH_MAX_NAMES && path->names[i] != NAME_NONE; i++)
		Py_SETREF(object, attr_get(object, state->names[path->names[i]]));
	return object;
}

/* object.fileno(), or -1. */
static int fileno_call(struct marker_state *state, PyObject *object)
{
	PyObject *number = PyObject_CallMethodNoArgs(object, state->names[NAME_FILENO]);
	long fd = -1;
	int overflow;

	if (number && PyLong_Check(number))
		fd = PyLong_AsLongAndOverflow(number, &overflow);
	Py_XDECREF(number);
	PyErr_Clear();
	return fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
}

/* Whether object is of the class name of module. */
static bool type_is(struct marker_state *state, PyObject *object, const char *module,
		    const char *name)
{
	const char *own = Py_TYPE(object)->tp_name;
	const char *dot =
		strrchr(own, '.'); /* a type written in C has its module's name in front */
	PyObject *value;
	bool same;

	if (strcmp(dot ? dot + 1 : own, name) != 0)
		return false;
	value = attr_get((PyObject *)Py_TYPE(object), state->names[NAME_MODULE]);
	same = value && PyUnicode_Check(value) &&
	       PyUnicode_CompareWithASCIIString(value, module) == 0;
	Py_XDECREF(value);
	return same;
}

/* Servers that put the connection into the environ: the key, the way from there to the socket. */
static const struct {
	enum marker_name key;
	struct attr_path path;
} fd_keys[] = {
	{NAME_GUNICORN_SOCKET, {{NAME_NONE}}},
	{NAME_WERKZEUG_SOCKET, {{NAME_NONE}}},
	{NAME_WAITRESS_GONE, {{NAME_SELF, NAME_SOCKET}}},
};

/*
 * What wsgi.input may be made of, from the outside in, and the way from there to what is inside;
 * where there is none, fileno() of the object is the connection. A type that has changed between
 * versions has a row for each. A reader over a file that is no socket leads nowhere.
 */
static const struct {
	const char *module, *type;
	struct attr_path inner;
} fd_inputs[] = {
	{"uwsgi", "_Input", {{NAME_NONE}}},
	{"socket", "SocketIO", {{NAME_NONE}}},
	{"_io", "BufferedReader", {{NAME_RAW}}},			 /* wsgiref */
	{"django.core.handlers.wsgi", "LimitedStream", {{NAME_STREAM}}}, /* up to 4.1 */
	{"django.core.handlers.wsgi", "LimitedStream", {{NAME_READ_UNDER, NAME_SELF}}},
	{"cheroot.server", "KnownLengthRFile", {{NAME_RFILE}}},
	{"cheroot.server", "ChunkedRFile", {{NAME_RFILE}}},
	{"cheroot.makefile", "StreamReader", {{NAME_RAW}}},
	{"gevent.pywsgi", "Input", {{NAME_RFILE}}},
	{"eventlet.wsgi", "Input", {{NAME_RFILE}}},
};

#define FD_INPUT_ROWS  (sizeof(fd_inputs) / sizeof(fd_inputs[0]))
#define FD_INPUT_DEPTH 4

/* The first row of input's type from this one on; FD_INPUT_ROWS: there is none. */
static size_t input_find(struct marker_state *state, PyObject *input, size_t row)
{
	while (row < FD_INPUT_ROWS &&
	       !type_is(state, input, fd_inputs[row].module, fd_inputs[row].type))
		row++;
	return row;
}

/* What is inside of input, whose first row this is. New reference, or NULL. */
static PyObject *input_inner(struct marker_state *state, PyObject *input, size_t row)
{
	PyObject *inner = NULL;

	for (; !inner && row < FD_INPUT_ROWS; row = input_find(state, input, row + 1))
		inner = attr_walk(state, input, &fd_inputs[row].inner);
	return inner;
}

/* Remembered to be compared with, nothing else: so another thread may let go of it at any time. */
static void blind_input_set(struct marker_state *state, PyTypeObject *type)
{
	PyTypeObject *old;

	Py_INCREF(type);
	old = __atomic_exchange_n(&state->blind_input, type, __ATOMIC_ACQ_REL);
	Py_XDECREF(old);
}

static int input_fd(struct marker_state *state, PyObject *input)
{
	PyTypeObject *outermost = Py_TYPE(input);
	int fd = -1;

	/* A process has one server as a rule: its type need not be looked for each time. */
	if (outermost == __atomic_load_n(&state->blind_input, __ATOMIC_RELAXED))
		return -1;
	Py_INCREF(input);
	for (int depth = 0; input && depth < FD_INPUT_DEPTH; depth++) {
		size_t row = input_find(state, input, 0);

		if (row == FD_INPUT_ROWS) {
			if (!depth)
				blind_input_set(state, outermost);
			break;
		}
		if (fd_inputs[row].inner.names[0] == NAME_NONE) {
			fd = fileno_call(state, input);
			break;
		}
		Py_SETREF(input, input_inner(state, input, row));
	}
	Py_XDECREF(input);
	return fd;
}

/* Twisted: start_response is a method of the response, which knows its transport. */
static int twisted_fd(struct marker_state *state, PyObject *start_response)
{
	static const struct attr_path path = {{NAME_REQUEST, NAME_TRANSPORT}};
	PyObject *transport, *handle = NULL;
	int fd = -1;

	if (!PyMethod_Check(start_response) ||
	    !type_is(state, PyMethod_GET_SELF(start_response), "twisted.web.wsgi", "_WSGIResponse"))
		return -1;
	transport = attr_walk(state, PyMethod_GET_SELF(start_response), &path);
	if (transport)
		handle = PyObject_CallMethodNoArgs(transport, state->names[NAME_GET_HANDLE]);
	PyErr_Clear();
	if (handle)
		fd = fileno_call(state, handle);
	Py_XDECREF(handle);
	Py_XDECREF(transport);
	return fd;
}

/* What a frame of the module has under this name. New reference, or NULL with no exception set. */
static PyObject *frame_local(struct marker_state *state, PyObject *frame, const char *module,
			     enum marker_name name)
{
	PyObject *globals = attr_get(frame, state->names[NAME_F_GLOBALS]);
	PyObject *own, *locals = NULL, *value = NULL;

	own = globals && PyDict_Check(globals) ? dict_get(state, globals, NAME_OWN_NAME) : NULL;
	if (own && PyUnicode_Check(own) && PyUnicode_CompareWithASCIIString(own, module) == 0)
		locals = attr_get(frame, state->names[NAME_F_LOCALS]);
	if (locals)
		value = PyObject_GetItem(locals, state->names[name]);
	PyErr_Clear();
	Py_XDECREF(locals);
	Py_XDECREF(own);
	Py_XDECREF(globals);
	return value;
}

#define TORNADO_FRAMES 4

/*
 * Tornado: start_response is a function of WSGIContainer's, whose frame has the request. That frame
 * called us, or since 6.3 called an executor that did.
 */
static int tornado_fd(struct marker_state *state, PyObject *start_response)
{
	static const struct attr_path path = {{NAME_CONNECTION, NAME_STREAM, NAME_SOCKET}};
	PyObject *module, *socket, *request = NULL;
	PyFrameObject *frame;
	bool ours;
	int fd = -1;

	if (!PyFunction_Check(start_response))
		return -1;
	module = attr_get(start_response, state->names[NAME_MODULE]);
	ours = module && PyUnicode_Check(module) &&
	       PyUnicode_CompareWithASCIIString(module, "tornado.wsgi") == 0;
	Py_XDECREF(module);
	if (!ours)
		return -1;
	frame = PyEval_GetFrame();
	Py_XINCREF(frame);
	for (int i = 0; frame && !request && i < TORNADO_FRAMES; i++) {
		request = frame_local(state, (PyObject *)frame, "tornado.wsgi", NAME_REQUEST);
		Py_SETREF(frame, PyFrame_GetBack(frame));
	}
	Py_XDECREF(frame);
	socket = request ? attr_walk(state, request, &path) : NULL;
	if (socket)
		fd = fileno_call(state, socket);
	Py_XDECREF(socket);
	Py_XDECREF(request);
	return fd;
}

/* The client's connection, -1 if the server does not let it be seen. */
int hints_client_fd(struct marker_state *state, PyObject *environ, PyObject *start_response)
{
	PyObject *value, *socket;
	int fd;

	for (size_t i = 0; i < sizeof(fd_keys) / sizeof(fd_keys[0]); i++) {
		value = dict_get(state, environ, fd_keys[i].key);
		if (!value)
			continue;
		socket = attr_walk(state, value, &fd_keys[i].path);
		Py_DECREF(value);
		if (!socket)
			return -1;
		fd = fileno_call(state, socket);
		Py_DECREF(socket);
		return fd;
	}
	value = dict_get(state, environ, NAME_INPUT);
	fd = value ? input_fd(state, value) : -1;
	Py_XDECREF(value);
	if (fd < 0)
		fd = twisted_fd(state, start_response);
	return fd >= 0 ? fd : tornado_fd(state, start_response);
}

/* Frameworks that leave their route in the environ: the key, the way from there to the text. */
static const struct {
	enum marker_name key;
	struct attr_path path;
} environ_routes[] = {
	{NAME_WERKZEUG_REQUEST, {{NAME_URL_RULE, NAME_RULE}}}, /* Flask */
	{NAME_BOTTLE_ROUTE, {{NAME_RULE}}},
	{NAME_ROUTES_ROUTE, {{NAME_ROUTEPATH}}},
};

/*
 * The route, read while start_response runs: Flask forgets it later. New reference to some object,
 * or NULL.
 */
PyObject *hints_environ_route(struct marker_state *state, PyObject *environ)
{
	PyObject *value, *route;

	for (size_t i = 0; i < sizeof(environ_routes) / sizeof(environ_routes[0]); i++) {
		value = dict_get(state, environ, environ_routes[i].key);
		if (!value)
			continue;
		route = value == Py_None ? NULL : attr_walk(state, value, &environ_routes[i].path);
		Py_DECREF(value);
		if (value != Py_None)
			return route;
	}
	return NULL;
}

/* Django: one of the response's closers is the bound close() of the request, which was routed. */
static PyObject *django_route(struct marker_state *state, PyObject *response)
{
	static const struct attr_path path = {{NAME_RESOLVER_MATCH, NAME_ROUTE}};
	PyObject *closers = attr_get(response, state->names[NAME_RESOURCE_CLOSERS]);
	PyObject *closer, *route = NULL;

	if (!closers)
		return NULL;
	/* A look-up may run code that changes the list. */
	for (Py_ssize_t i = 0; PyList_CheckExact(closers) && !route; i++) {
		closer = list_item(closers, i);
		if (!closer)
			break;
		if (PyMethod_Check(closer))
			route = attr_walk(state, PyMethod_GET_SELF(closer), &path);
		Py_DECREF(closer);
	}
	Py_DECREF(closers);
	return route;
}

/* A wrapped file: Django sets the file's close() to that of the response it came from. */
static PyObject *wrapped_response(struct marker_state *state, PyObject *wrapper)
{
	static const enum marker_name inside[] = {NAME_FILELIKE, NAME_FILE};
	static const struct attr_path path = {{NAME_CLOSE, NAME_SELF}};
	PyObject *file = NULL, *response;

	for (size_t i = 0; !file && i < sizeof(inside) / sizeof(inside[0]); i++)
		file = attr_get(wrapper, state->names[inside[i]]);
	response = attr_walk(state, file ? file : wrapper, &path);
	Py_XDECREF(file);
	return response;
}

/*
 * The route, from what the application returned; is_file: by way of wsgi.file_wrapper. New
 * reference to some object, or NULL.
 */
PyObject *hints_result_route(struct marker_state *state, PyObject *result, bool is_file)
{
	PyObject *response, *route;

	if (!is_file)
		return Py_TYPE(result)->tp_flags & Py_TPFLAGS_HEAPTYPE ? django_route(state, result)
								       : NULL;
	response = wrapped_response(state, result);
	if (!response)
		return NULL;
	route = django_route(state, response);
	Py_DECREF(response);
	return route;
}
