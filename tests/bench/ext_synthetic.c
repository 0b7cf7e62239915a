/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests without an application: a steady stream of marks, for the tracer's own load. Calls the
 * marks that the real marker exports, with structs as it fills them.
 */
#include "ext.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define SYNTHETIC_PATHS 200
#define PATH_BYTES	32
#define PAIRS_MAX	64
#define TICK_NS		1000000u /* the stream is paced in bursts of a millisecond */

struct stream {
	start_mark_fn *start_mark;
	mark_fn *end_mark;
	uint64_t rate; /* requests a second */
	uint64_t seconds;
	int fd[PAIRS_MAX], peer[PAIRS_MAX];
	unsigned int pairs;
	uint64_t late_ns; /* the furthest that the stream fell behind its pace */
	char path[SYNTHETIC_PATHS][PATH_BYTES];
};

/* One request of one block and one write; 0 or -errno. */
static int stream_request(struct stream *stream, uint64_t id)
{
	unsigned int pair = id % stream->pairs;
	struct wsgiscope_request request;
	char byte = 'x';

	request_fill(&request, id, stream->fd[pair], stream->path[id % SYNTHETIC_PATHS]);
	stream->start_mark(&request, request.id, request.start_ns, request.fd);
	if (send(stream->fd[pair], &byte, 1, MSG_NOSIGNAL) != 1 ||
	    recv(stream->peer[pair], &byte, 1, 0) != 1)
		return -errno;
	request.end_ns = clock_ns(CLOCK_MONOTONIC);
	request.first_block_ns = request.start_ns;
	request.output_ns = request.end_ns - request.start_ns;
	request.blocks = 1;
	request.bytes = 1;
	request.status = 200;
	request.flags |= WSGISCOPE_F_EXHAUSTED | WSGISCOPE_F_CLOSED;
	stream->end_mark(&request);
	return 0;
}

/* The number of requests made, or -errno. */
static int64_t stream_run(struct stream *stream)
{
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t total = stream->rate * stream->seconds;
	uint64_t done = 0;

	while (done < total) {
		uint64_t past_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
		uint64_t due = past_ns / 1000 * stream->rate / 1000000;
		uint64_t late_ns = due > done ? (due - done) * 1000000000u / stream->rate : 0;

		if (late_ns > stream->late_ns)
			stream->late_ns = late_ns;
		for (; done < due && done < total; done++) {
			int err = stream_request(stream, done + 1);

			if (err)
				return err;
		}
		nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
	}
	return (int64_t)done;
}

static int stream_pairs(struct stream *stream, PyObject *pairs)
{
	Py_ssize_t n = PyList_Size(pairs);

	if (n < 1 || n > PAIRS_MAX) {
		PyErr_Format(PyExc_ValueError, "1 to %d pairs", PAIRS_MAX);
		return -1;
	}
	for (Py_ssize_t i = 0; i < n; i++) {
		if (!PyArg_ParseTuple(PyList_GET_ITEM(pairs, i), "ii", &stream->fd[i],
				      &stream->peer[i]))
			return -1;
	}
	stream->pairs = (unsigned int)n;
	return 0;
}

PyObject *bench_synthetic(PyObject *self, PyObject *args)
{
	unsigned long long start_mark, end_mark, rate, seconds;
	struct stream stream = {0};
	PyObject *pairs;
	int64_t done;

	if (!PyArg_ParseTuple(args, "KKKKO!", &start_mark, &end_mark, &rate, &seconds, &PyList_Type,
			      &pairs))
		return NULL;
	if (!rate || stream_pairs(&stream, pairs))
		return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "rate is 0");
	stream.start_mark = (start_mark_fn *)(uintptr_t)start_mark;
	stream.end_mark = (mark_fn *)(uintptr_t)end_mark;
	stream.rate = rate;
	stream.seconds = seconds;
	for (int i = 0; i < SYNTHETIC_PATHS; i++)
		snprintf(stream.path[i], PATH_BYTES, "/issue/%d/comments", i);
	Py_BEGIN_ALLOW_THREADS;
	done = stream_run(&stream);
	Py_END_ALLOW_THREADS;
	if (done < 0) {
		errno = (int)-done;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	return Py_BuildValue("LK", (long long)done, (unsigned long long)stream.late_ns);
}
