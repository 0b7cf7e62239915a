/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One tracked request: what is counted, when the marks fire, what keeps their strings alive.
 *
 * Must not know: how an application answers (result.c, list.c, hook.c), servers, frameworks.
 *
 * Control alternates between the application and the server. request_resume() says that it has come
 * back to the application, request_hand_over() that the server takes a block, request_pause() that
 * the application returns without one. Output time is what lies between a block's hand-over and the
 * next resume. None of these functions raises or clears an exception, none runs Python code except
 * request_hand_over(), for the length of a block of an unknown type.
 *
 * What has static twins ending in _locked locks the request; the twins are called with the lock.
 */
#include "marker.h"

#include <limits.h>
#include <string.h>

static struct wsgiscope_str *string_slot(struct request *req, enum request_string which)
{
	return &req->mark.method + which;
}

_Static_assert(offsetof(struct wsgiscope_request, route) -
			       offsetof(struct wsgiscope_request, method) ==
		       STRING_ROUTE * sizeof(struct wsgiscope_str),
	       "enum request_string follows struct wsgiscope_request");

/* A short string is copied to where the tracer reads anyway. */
static const void *text_beside(struct wsgiscope_request *mark, const void *text, size_t bytes)
{
	char *to = mark->text + mark->text_bytes;

	if (bytes > sizeof(mark->text) - mark->text_bytes)
		return text;
	memcpy(to, text, bytes);
	mark->text_bytes += (unsigned int)bytes;
	return to;
}

static void string_set_locked(struct request *req, enum request_string which, PyObject *value)
{
	struct wsgiscope_str *slot = string_slot(req, which);
	Py_ssize_t len;

	Py_INCREF(value);
	req->strings[which] = value;
	len = PyUnicode_GET_LENGTH(value);
	slot->len = len > UINT_MAX ? UINT_MAX : (unsigned int)len;
	slot->kind = PyUnicode_KIND(value); /* 1, 2, 4: WSGISCOPE_STR_LATIN1, _UCS2, _UCS4 */
	slot->ptr = (uintptr_t)PyUnicode_DATA(value);
	if (slot->kind == WSGISCOPE_STR_LATIN1)
		slot->ptr = (uintptr_t)text_beside(&req->mark, PyUnicode_DATA(value), (size_t)len);
}

/*
 * Shows value, a str: copied if it is short, else as it lies in memory, where it stays alive until
 * the request is freed. Anything else, NULL included, leaves the string absent.
 */
void request_set_string(struct request *req, enum request_string which, PyObject *value)
{
	if (!value || !PyUnicode_CheckExact(value) || !text_is_ready(value))
		return;
	OBJECT_LOCK(req);
	if (!req->strings[which])
		string_set_locked(req, which, value);
	OBJECT_UNLOCK();
}

static void request_read_environ(struct request *req, struct marker_state *state, PyObject *environ)
{
	static const struct {
		enum request_string string;
		enum marker_name key;
	} rows[] = {
		{STRING_METHOD, NAME_METHOD},	  {STRING_SCRIPT, NAME_SCRIPT},
		{STRING_PATH, NAME_PATH},	  {STRING_QUEUE, NAME_REQUEST_START},
		{STRING_QUEUE, NAME_QUEUE_START}, {STRING_TRACEPARENT, NAME_TRACEPARENT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		PyObject *value = dict_get(state, environ, rows[i].key);

		request_set_string(req, rows[i].string, value);
		Py_XDECREF(value);
	}
}

/*
 * A request about to be served, to be started by request_start(). name is a str or None. Returns
 * NULL with an exception set if there is no memory.
 */
struct request *request_new(struct marker_state *state, PyObject *environ, PyObject *name)
{
	PyTypeObject *type = state->types[TYPE_REQUEST];
	struct request *req = PyObject_New(struct request, type);

	if (!req)
		return NULL;
	memset((char *)req + sizeof(PyObject), 0, sizeof(*req) - sizeof(PyObject));
	req->mark.version = WSGISCOPE_MARKS_VERSION;
	req->mark.size = sizeof(req->mark);
	req->mark.id = marks_next_id();
	req->mark.fd = -1;
	req->fork = marks_fork();
	req->detailed = marks_block_armed();
	req->fast_clock = state->fast_clock;
	request_read_environ(req, state, environ);
	request_set_string(req, STRING_APP, name);
	return req;
}

/* The application is called next. */
void request_start(struct request *req)
{
	req->start = clock_read_pair(req->fast_clock);
	req->resumed = req->start.ticks;
	req->mark.start_ns = req->start.ns;
	marks_request_start(&req->mark);
}

/* What is kept in ticks while the request runs, in nanoseconds, as of now. */
static void request_convert(struct request *req, const struct clock_pair *now)
{
	uint64_t first = clock_span(req->start.ticks, req->first_block);

	req->mark.output_ns = clock_scale(req->output_ticks, &req->start, now);
	if (req->first_block)
		req->mark.first_block_ns = req->start.ns + clock_scale(first, &req->start, now);
}

static void request_mark_block(struct request *req, uint64_t output_ticks)
{
	struct clock_pair now = clock_read_pair(req->fast_clock);

	req->mark.block_bytes = req->block_bytes;
	req->mark.block_app_ns = clock_scale(req->app_ticks, &req->start, &now);
	req->mark.block_output_ns = clock_scale(output_ticks, &req->start, &now);
	request_convert(req, &now);
	marks_request_block(&req->mark);
	req->resumed = clock_read_ticks(req->fast_clock); /* the mark is not application time */
}

static void resume_locked(struct request *req)
{
	uint64_t span;

	req->resumed = clock_read_ticks(req->fast_clock);
	if (!req->holding)
		return;
	req->holding = false;
	span = clock_span(req->handed, req->resumed);
	req->output_ticks += span;
	if (req->detailed)
		request_mark_block(req, span);
	req->app_ticks = 0;
}

/* Control is back in the application: the server is done with the block it held, if any. */
void request_resume(struct request *req)
{
	OBJECT_LOCK(req);
	resume_locked(req);
	OBJECT_UNLOCK();
}

/* The application returns to the server without a block. */
void request_pause(struct request *req)
{
	if (!req->detailed)
		return;
	OBJECT_LOCK(req);
	req->app_ticks += clock_span(req->resumed, clock_read_ticks(req->fast_clock));
	OBJECT_UNLOCK();
}

/* Length of a block; 0 where it has none. The caller has no exception set. */
static uint64_t block_length(PyObject *block)
{
	Py_ssize_t len;

	if (PyBytes_Check(block))
		return (uint64_t)PyBytes_GET_SIZE(block);
	len = PyObject_Size(block);
	if (len >= 0)
		return (uint64_t)len;
	PyErr_Clear();
	return 0;
}

/*
 * The server takes block, by yield or by write(). Called with no exception set, and last of all
 * before control goes to the server. instant: the application took no time for it, so that one
 * reading of the clock does.
 */
void request_hand_over(struct request *req, PyObject *block, bool instant)
{
	uint64_t length = block_length(block);

	OBJECT_LOCK(req);
	req->block_bytes = length;
	req->mark.blocks++;
	req->mark.bytes += req->block_bytes;
	req->holding = true;
	req->handed = instant ? req->resumed : clock_read_ticks(req->fast_clock);
	req->app_ticks += clock_span(req->resumed, req->handed);
	if (!req->first_block)
		req->first_block = req->handed;
	OBJECT_UNLOCK();
}

/* The server takes the whole answer as one block of length, and how long that took is not seen. */
void request_hand_over_unseen(struct request *req, Py_ssize_t length)
{
	OBJECT_LOCK(req);
	req->mark.blocks++;
	req->mark.bytes += (uint64_t)length;
	if (!req->first_block)
		req->first_block = clock_read_ticks(req->fast_clock);
	OBJECT_UNLOCK();
}

/* What start_response was given. */
void request_set_status(struct request *req, unsigned int status)
{
	OBJECT_LOCK(req);
	req->mark.status = status;
	OBJECT_UNLOCK();
}

void request_flag(struct request *req, unsigned int flag)
{
	OBJECT_LOCK(req);
	req->mark.flags |= flag;
	OBJECT_UNLOCK();
}

/* Whether the caller becomes the one that counts blocks, until request_count_end(). */
bool request_count_begin(struct request *req)
{
	bool first;

	OBJECT_LOCK(req);
	first = !req->counting;
	req->counting = true;
	OBJECT_UNLOCK();
	return first;
}

void request_count_end(struct request *req)
{
	OBJECT_LOCK(req);
	req->counting = false;
	OBJECT_UNLOCK();
}

/* The application has raised the exception that is set; flag says where. The first one counts. */
void request_fail(struct request *req, unsigned int flag)
{
	PyObject *type = PyErr_Occurred();

	OBJECT_LOCK(req);
	req->mark.flags |= flag;
	if (type && !req->exception) {
		Py_INCREF(type);
		req->exception = type;
	}
	OBJECT_UNLOCK();
}

static void end_locked(struct request *req, unsigned int flags)
{
	struct wsgiscope_str *name = &req->mark.exception;
	struct clock_pair now;

	if (!request_live(req))
		return;
	if (req->holding)
		resume_locked(req); /* never came back: the server had the block until now */
	__atomic_store_n(&req->ended, true, __ATOMIC_RELAXED);
	now = clock_read_pair(req->fast_clock);
	req->mark.flags |= flags;
	req->mark.end_ns = now.ns;
	request_convert(req, &now);
	if (req->exception) {
		name->ptr = (uintptr_t)((PyTypeObject *)req->exception)->tp_name;
		name->len = (unsigned int)strlen(((PyTypeObject *)req->exception)->tp_name);
		name->kind = WSGISCOPE_STR_UTF8;
	}
	marks_request_end(&req->mark);
}

/* The request is over, once: later calls, and those in a forked child, do nothing. */
void request_end(struct request *req, unsigned int flags)
{
	OBJECT_LOCK(req);
	end_locked(req, flags);
	OBJECT_UNLOCK();
}

static void request_dealloc(PyObject *self)
{
	struct request *req = (struct request *)self;
	PyTypeObject *type = Py_TYPE(self);

	/* Still open: its answer went to the server untouched, and the environ has just gone. */
	if (req->mark.start_ns)
		end_locked(req, WSGISCOPE_F_END_INFERRED);
	for (int i = 0; i < STRING_COUNT; i++)
		Py_XDECREF(req->strings[i]);
	Py_XDECREF(req->exception);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *request_repr(PyObject *self)
{
	struct request *req = (struct request *)self;

	return PyUnicode_FromFormat("<wsgiscope request %llu%s>", req->mark.id,
				    req->ended ? ", ended" : "");
}

static PyType_Slot request_slots[] = {
	{Py_tp_doc, "A request that is being traced (the key that makes nested marks count once)."},
	{Py_tp_dealloc, request_dealloc},
	{Py_tp_repr, request_repr},
	{0, NULL},
};

PyType_Spec request_spec = {
	.name = "wsgiscope._marker.Request",
	.basicsize = sizeof(struct request),
	.flags = MARKER_TYPE_FLAGS,
	.slots = request_slots,
};
