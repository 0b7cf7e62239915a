/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the marker's source files share: the module's state, the request object, the prototypes.
 *
 * All that refers to Python objects lives in the module's state or in an object, so that every
 * (sub-)interpreter has its own. Must not know: the tracer, BPF.
 */
#ifndef WSGISCOPE_MARKER_H
#define WSGISCOPE_MARKER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "marks.h"

/* Every name that is looked up while a request is tracked, interned once per module. */
#define MARKER_NAMES(X)                                                                            \
	X(NONE, "")                                                                                \
	X(GUARD, "wsgiscope.request")                                                              \
	X(METHOD, "REQUEST_METHOD")                                                                \
	X(SCRIPT, "SCRIPT_NAME")                                                                   \
	X(PATH, "PATH_INFO")                                                                       \
	X(REQUEST_START, "HTTP_X_REQUEST_START")                                                   \
	X(QUEUE_START, "HTTP_X_QUEUE_START")                                                       \
	X(TRACEPARENT, "HTTP_TRACEPARENT")                                                         \
	X(FILE_WRAPPER, "wsgi.file_wrapper")                                                       \
	X(INPUT, "wsgi.input")                                                                     \
	X(GUNICORN_SOCKET, "gunicorn.socket")                                                      \
	X(WERKZEUG_SOCKET, "werkzeug.socket")                                                      \
	X(WAITRESS_GONE, "waitress.client_disconnected")                                           \
	X(WERKZEUG_REQUEST, "werkzeug.request")                                                    \
	X(BOTTLE_ROUTE, "bottle.route")                                                            \
	X(ROUTES_ROUTE, "routes.route")                                                            \
	X(CALL, "__call__")                                                                        \
	X(CLOSE, "close")                                                                          \
	X(CONNECTION, "connection")                                                                \
	X(F_GLOBALS, "f_globals")                                                                  \
	X(F_LOCALS, "f_locals")                                                                    \
	X(FILE, "file")                                                                            \
	X(FILELIKE, "filelike")                                                                    \
	X(FILENO, "fileno")                                                                        \
	X(GET, "__get__")                                                                          \
	X(GET_HANDLE, "getHandle")                                                                 \
	X(ITER, "__iter__")                                                                        \
	X(MODULE, "__module__")                                                                    \
	X(MRO_ENTRIES, "__mro_entries__")                                                          \
	X(OWN_NAME, "__name__")                                                                    \
	X(NEXT, "__next__")                                                                        \
	X(RAW, "raw")                                                                              \
	X(READ_UNDER, "_read")                                                                     \
	X(REQUEST, "request")                                                                      \
	X(RESOLVER_MATCH, "resolver_match")                                                        \
	X(RESOURCE_CLOSERS, "_resource_closers")                                                   \
	X(RFILE, "rfile")                                                                          \
	X(ROUTE, "route")                                                                          \
	X(ROUTEPATH, "routepath")                                                                  \
	X(RULE, "rule")                                                                            \
	X(SELF, "__self__")                                                                        \
	X(SOCKET, "socket")                                                                        \
	X(STATUS, "status")                                                                        \
	X(STREAM, "stream")                                                                        \
	X(TRANSPORT, "transport")                                                                  \
	X(URL_RULE, "url_rule")                                                                    \
	X(WRAPPED, "__wrapped__")

/* clang-format off */
enum marker_name {
#define X(name, text) NAME_##name,
	MARKER_NAMES(X)
#undef X
	NAME_COUNT
};
/* clang-format on */

enum marker_type {
	TYPE_MARK,		   /* what mark() returns */
	TYPE_REQUEST,		   /* one tracked request */
	TYPE_HOOK,		   /* stands in for start_response, write, wsgi.file_wrapper */
	TYPE_LIST,		   /* stands in for a list: a list that counts what is taken */
	TYPE_COUNTER,		   /* the iterator of TYPE_LIST and of the proxies */
	TYPE_PROXY,		   /* stands in for any other iterable ... */
	TYPE_PROXY_SIZED,	   /* ... that has a length */
	TYPE_PROXY_ITERATOR,	   /* ... that is its own iterator */
	TYPE_PROXY_SIZED_ITERATOR, /* ... both */
	TYPE_COUNT
};

/* On 3.9 there are no such flags: type_add() takes tp_new away instead. */
#if PY_VERSION_HEX >= 0x030A0000
#define MARKER_TYPE_FLAGS                                                                          \
	(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION)
#else
#define MARKER_TYPE_FLAGS Py_TPFLAGS_DEFAULT
#endif

struct marker_state {
	PyTypeObject *types[TYPE_COUNT];
	PyObject *names[NAME_COUNT];
	PyTypeObject
		*blind_input; /* owned, atomic: type of wsgi.input last found to show nothing */
	bool fast_clock;      /* clock_is_fast() */
};

/*
 * Without a GIL (a free-threaded Python) an object that two threads may change is locked by what
 * Python has for that. Elsewhere the GIL does it, and these are braces.
 */
#ifdef Py_GIL_DISABLED
#define OBJECT_LOCK(object) Py_BEGIN_CRITICAL_SECTION(object)
#define OBJECT_UNLOCK()	    Py_END_CRITICAL_SECTION()
#else
#define OBJECT_LOCK(object) {
#define OBJECT_UNLOCK()	    }
#endif

/* The strings of a request, in the order of struct wsgiscope_request. */
enum request_string {
	STRING_METHOD,
	STRING_SCRIPT,
	STRING_PATH,
	STRING_QUEUE,
	STRING_TRACEPARENT,
	STRING_APP,
	STRING_ROUTE,
	STRING_COUNT
};

/*
 * One tracked request. Its references are exact str objects, which lead nowhere, and the type of an
 * exception, which does not lead to an environ; so it is not tracked by the garbage collector.
 * Times are in ticks (clock.h). A server may use it from several threads: the functions of
 * request.c lock it, and nobody else writes to it once it has been started.
 */
struct request {
	PyObject ob_base;
	struct wsgiscope_request mark;	 /* what the marks point at */
	PyObject *strings[STRING_COUNT]; /* owned; keep the memory behind mark's strings */
	PyObject *exception;		 /* owned: the type that was raised, or NULL */
	struct clock_pair start;
	uint64_t first_block;  /* when the first block was handed over, 0: none yet */
	uint64_t handed;       /* when the block that the server holds was handed over */
	uint64_t resumed;      /* when the application last got control */
	uint64_t app_ticks;    /* time in the application since the last block */
	uint64_t output_ticks; /* sum of the closed blocks' output times */
	uint64_t block_bytes;  /* length of the block that the server holds */
	unsigned int fork;     /* marks_fork() of the process that owns the request */
	bool fast_clock : 1;
	bool detailed : 1; /* block marks are wanted, as of the start */
	bool holding;	   /* the server holds a block that was yielded */
	bool counting;	   /* an iterator that counts is there: see counter_new() */
	bool ended;	   /* atomic: also read without the lock */
};

/* Python has memory of its own for objects of up to 512 bytes; a larger one costs a request as much
 * as a block. */
_Static_assert(sizeof(PyObject) > 16 || sizeof(struct request) <= 512,
	       "a request is an object that Python allocates itself");

/* marks.c: the marks themselves, and what belongs to the process rather than to an interpreter. */
bool marks_init(void);
bool marks_armed(void);
bool marks_block_armed(void);
uint64_t marks_next_id(void);
unsigned int marks_fork(void);
void marks_request_start(const struct wsgiscope_request *mark);
void marks_request_block(const struct wsgiscope_request *mark);
void marks_request_end(const struct wsgiscope_request *mark);

/* request.c */
extern PyType_Spec request_spec;
struct request *request_new(struct marker_state *state, PyObject *environ, PyObject *name);
void request_start(struct request *req);
void request_resume(struct request *req);
void request_pause(struct request *req);
void request_hand_over(struct request *req, PyObject *block, bool instant);
void request_hand_over_unseen(struct request *req, Py_ssize_t length);
void request_flag(struct request *req, unsigned int flag);
void request_fail(struct request *req, unsigned int flag);
bool request_count_begin(struct request *req);
void request_count_end(struct request *req);
void request_set_status(struct request *req, unsigned int status);
void request_end(struct request *req, unsigned int flags);
void request_set_string(struct request *req, enum request_string which, PyObject *value);

static inline bool request_live(const struct request *req)
{
	return !__atomic_load_n(&req->ended, __ATOMIC_RELAXED) && req->fork == marks_fork();
}

/* hints.c: what servers and frameworks let be seen. None of these raises. */
int hints_client_fd(struct marker_state *state, PyObject *environ, PyObject *start_response);
PyObject *hints_environ_route(struct marker_state *state, PyObject *environ);
PyObject *hints_result_route(struct marker_state *state, PyObject *result, bool is_file);
bool hints_has_attr(PyObject *object, PyObject *name);

/* hook.c */
extern PyType_Spec hook_spec;
PyObject *hook_new_start_response(struct marker_state *state, struct request *req,
				  PyObject *environ, PyObject *start_response);
PyObject *hook_new_file_wrapper(struct marker_state *state, struct request *req,
				PyObject *file_wrapper);
PyObject *hook_returned(PyObject *hook);

/* result.c, list.c */
extern PyType_Spec proxy_specs[4];
extern PyType_Spec counter_spec;
extern PyType_Spec list_spec;
PyObject *result_wrap(struct marker_state *state, struct request *req, PyObject *result);
PyObject *counter_new(struct marker_state *state, struct request *req, PyObject *owner,
		      PyObject *iterator, bool has_close);
PyObject *counter_new_list(struct marker_state *state, struct request *req, PyObject *list);
PyObject *list_wrap(struct marker_state *state, struct request *req, PyObject *result);

/* mark.c, track.c */
extern PyType_Spec mark_spec;
PyObject *mark_new(struct marker_state *state, PyObject *application, PyObject *name);
PyObject *track_call(struct marker_state *state, PyObject *application, PyObject *name,
		     PyObject *const *args, size_t nargsf);

static inline struct marker_state *state_of(PyObject *self)
{
	return PyType_GetModuleState(Py_TYPE(self));
}

/* A value of environ, or of another dict, by an interned name. New reference, or NULL with no
 * exception set. */
static inline PyObject *dict_get(struct marker_state *state, PyObject *dict, enum marker_name key)
{
	PyObject *value;

#if PY_VERSION_HEX >= 0x030D0000
	if (PyDict_GetItemRef(dict, state->names[key], &value) < 0)
		PyErr_Clear();
#else
	value = PyDict_GetItemWithError(dict, state->names[key]);
	if (value)
		Py_INCREF(value);
	else if (PyErr_Occurred())
		PyErr_Clear();
#endif
	return value;
}

/* An item of a list, which may have become shorter meanwhile. New reference, or NULL with no
 * exception set. */
static inline PyObject *list_item(PyObject *list, Py_ssize_t index)
{
	PyObject *item;

	if (index >= PyList_GET_SIZE(list))
		return NULL;
#ifdef Py_GIL_DISABLED
	item = PyList_GetItemRef(list, index);
	if (!item)
		PyErr_Clear();
#else
	item = PyList_GET_ITEM(list, index);
	Py_INCREF(item);
#endif
	return item;
}

/* Whether text, a str, has its characters in their final place: on 3.9 to 3.11 it may not yet. */
static inline bool text_is_ready(PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
	return PyUnicode_IS_READY(text);
#else
	(void)text;
	return true;
#endif
}

static inline bool name_is(PyObject *name, PyObject *interned)
{
	return name == interned ||
	       (PyUnicode_Check(name) && PyUnicode_Compare(name, interned) == 0);
}

#endif
