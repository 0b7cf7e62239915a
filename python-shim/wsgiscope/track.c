/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One call of the application with a tracer attached: puts the request into the environ, stands in
 * for what the server gave, calls, and decides how the answer is followed.
 *
 * Must not know: server and framework names (hints.c), the layout of proxies.
 *
 * Whatever goes wrong here for want of memory, the application is still called and its answer still
 * handed on: a traced program is never changed.
 */
#include "marker.h"

#define TRACK_MAX_ARGS 3 /* self, environ, start_response */

/* What lasts for one call. */
struct track {
	struct marker_state *state;
	struct request *request;
	PyObject *environ;	     /* borrowed from the caller */
	PyObject *start_response;    /* owned: our hook */
	PyObject *file_wrapper;	     /* owned: the server's, or NULL */
	PyObject *file_wrapper_hook; /* owned: ours in its place, or NULL */
};

/* A further mark lies inside: a server's own is put around one that the application's author named.
 */
static void request_note_nested(struct request *req, PyObject *name)
{
	request_flag(req, WSGISCOPE_F_NESTED);
	request_set_string(req, STRING_APP, name); /* unless it has one */
}

/* What dict has under key, which is value if there was nothing. New reference, or NULL with an
 * exception set. */
static PyObject *dict_set_default(PyObject *dict, PyObject *key, PyObject *value)
{
	PyObject *found;

#if PY_VERSION_HEX >= 0x030D0000
	if (PyDict_SetDefaultRef(dict, key, value, &found) < 0)
		return NULL;
#else
	found = PyDict_SetDefault(dict, key, value);
	Py_XINCREF(found);
#endif
	return found;
}

/*
 * The guard: puts the request into the environ, unless that belongs to another one that is still
 * followed, which is told of the nested mark, and of its name if it has none. An environ that is
 * used again after its request has ended is free; one marked by another copy of this module is not.
 * False, with no exception set: it is taken, or there is no memory.
 */
static bool environ_claim(struct track *track, PyObject *name)
{
	PyObject *key = track->state->names[NAME_GUARD];
	PyObject *own = (PyObject *)track->request;
	PyObject *guard = dict_set_default(track->environ, key, own);
	bool claimed = guard == own;

	if (guard && !claimed && Py_TYPE(guard) == track->state->types[TYPE_REQUEST]) {
		if (request_live((struct request *)guard))
			request_note_nested((struct request *)guard, name);
		else
			claimed = !PyDict_SetItem(track->environ, key, own);
	}
	if (!claimed)
		PyErr_Clear();
	Py_XDECREF(guard);
	return claimed;
}

/*
 * uWSGI's file wrapper is a builtin that returns its argument, and its C code compares what the
 * application returns with that: so what it returned is remembered here. A file wrapper that is a
 * type must stay what it is, for servers use isinstance().
 */
static int file_wrapper_replace(struct track *track)
{
	PyObject *key = track->state->names[NAME_FILE_WRAPPER];

	track->file_wrapper = dict_get(track->state, track->environ, NAME_FILE_WRAPPER);
	if (!track->file_wrapper || PyType_Check(track->file_wrapper) ||
	    !PyCallable_Check(track->file_wrapper))
		return 0;
	track->file_wrapper_hook =
		hook_new_file_wrapper(track->state, track->request, track->file_wrapper);
	if (!track->file_wrapper_hook)
		return -1;
	return PyDict_SetItem(track->environ, key, track->file_wrapper_hook);
}

/* Puts the server's file wrapper back, unless the application has put another in its place. */
static void file_wrapper_restore(struct track *track)
{
	PyObject *type, *value, *traceback, *current;

	if (!track->file_wrapper_hook)
		return;
	PyErr_Fetch(&type, &value, &traceback);
	current = dict_get(track->state, track->environ, NAME_FILE_WRAPPER);
	if (current == track->file_wrapper_hook &&
	    PyDict_SetItem(track->environ, track->state->names[NAME_FILE_WRAPPER],
			   track->file_wrapper) < 0)
		PyErr_Clear();
	Py_XDECREF(current);
	PyErr_Restore(type, value, traceback);
}

static void track_done(struct track *track)
{
	Py_XDECREF(track->start_response);
	Py_XDECREF(track->file_wrapper);
	Py_XDECREF(track->file_wrapper_hook);
	Py_XDECREF(track->request);
}

/* Makes all that is needed. -1, with no exception set and nothing changed, if it cannot. */
static int track_prepare(struct track *track, PyObject *name, PyObject *start_response)
{
	struct marker_state *state = track->state;
	struct request *req = request_new(state, track->environ, name);

	if (!req) {
		PyErr_Clear();
		return -1;
	}
	track->request = req;
	if (!environ_claim(track, name))
		return -1;
	req->mark.fd = hints_client_fd(state, track->environ, start_response);
	if (req->mark.fd >= 0)
		req->mark.flags |= WSGISCOPE_F_CLIENT_FD;
	track->start_response = hook_new_start_response(state, req, track->environ, start_response);
	if (track->start_response && file_wrapper_replace(track) == 0)
		return 0;
	PyErr_Clear();
	file_wrapper_restore(track);
	if (PyDict_DelItem(track->environ, state->names[NAME_GUARD]) < 0)
		PyErr_Clear();
	return -1;
}

static bool result_is_file(struct track *track, PyObject *result)
{
	PyObject *wrapper = track->file_wrapper;

	if (!wrapper)
		return false;
	if (PyType_Check(wrapper))
		return PyObject_TypeCheck(result, (PyTypeObject *)wrapper);
	return track->file_wrapper_hook && hook_returned(track->file_wrapper_hook) == result;
}

/* The application returned the body itself, a mistake that each server takes in its own way. */
static PyObject *track_body(struct request *req, PyObject *body, Py_ssize_t len, unsigned int flag)
{
	request_hand_over_unseen(req, len);
	request_end(req, flag);
	return body;
}

/*
 * What the server gets for result, which is stolen. What a server knows by identity goes untouched:
 * bytes and str (their output time is not seen: F_BYTES and F_STR say so), None, wrapped files,
 * whose request ends when the server lets go of the environ.
 */
static PyObject *track_result(struct track *track, PyObject *result)
{
	struct marker_state *state = track->state;
	struct request *req = track->request;
	bool is_file = result_is_file(track, result);
	PyObject *route, *wrapped;

	if (!req->strings[STRING_ROUTE]) {
		route = hints_result_route(state, result, is_file);
		request_set_string(req, STRING_ROUTE, route);
		Py_XDECREF(route);
	}
	if (is_file) {
		request_flag(req, WSGISCOPE_F_FILE_WRAPPER | WSGISCOPE_F_BLOCKS_UNSEEN);
		return result;
	}
	if (PyBytes_Check(result))
		return track_body(req, result, PyBytes_GET_SIZE(result), WSGISCOPE_F_BYTES);
	if (PyUnicode_Check(result))
		return track_body(req, result, PyUnicode_GetLength(result), WSGISCOPE_F_STR);
	if (result == Py_None) {
		request_end(req, 0);
		return result;
	}
	wrapped = PyList_CheckExact(result) ? list_wrap(state, req, result)
					    : result_wrap(state, req, result);
	if (!wrapped) {
		PyErr_Clear();
		request_end(req, WSGISCOPE_F_BLOCKS_UNSEEN | WSGISCOPE_F_END_INFERRED);
		return result;
	}
	Py_DECREF(result);
	return wrapped;
}

/* Calls with start_response replaced; args as in a vectorcall, two or three of them. */
static PyObject *application_call(PyObject *application, PyObject *const *args, Py_ssize_t nargs,
				  PyObject *start_response)
{
	PyObject *stack[TRACK_MAX_ARGS + 1] = {NULL};
	Py_ssize_t i;

	for (i = 0; i < nargs - 1; i++)
		stack[i + 1] = args[i];
	stack[nargs] = start_response;
	return PyObject_Vectorcall(application, stack + 1,
				   (size_t)nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/*
 * The call of an application, tracked if it is one: (environ, start_response), or with self in
 * front where mark() decorates a method. Anything else goes through as it is. Returns what the
 * server gets, or NULL with the application's exception set.
 */
PyObject *track_call(struct marker_state *state, PyObject *application, PyObject *name,
		     PyObject *const *args, size_t nargsf)
{
	Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
	struct track track = {.state = state};
	PyObject *result;

	if (nargs < 2 || nargs > TRACK_MAX_ARGS || !PyDict_Check(args[nargs - 2]))
		return PyObject_Vectorcall(application, args, nargsf, NULL);
	track.environ = args[nargs - 2];
	if (track_prepare(&track, name, args[nargs - 1]) < 0) {
		track_done(&track);
		return PyObject_Vectorcall(application, args, nargsf, NULL);
	}
	request_start(track.request);
	result = application_call(application, args, nargs, track.start_response);
	if (request_live(track.request))
		request_pause(track.request);
	file_wrapper_restore(&track);
	if (!result) {
		request_fail(track.request, WSGISCOPE_F_EXC_CALL);
		request_end(track.request, 0);
	} else if (request_live(track.request)) {
		result = track_result(&track, result);
	}
	track_done(&track);
	return result;
}
