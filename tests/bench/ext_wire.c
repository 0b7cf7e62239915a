/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls of a request on a connection that is kept alive: one read of its head, a write
 * of the answer's head, a write of its body. Times them; must not know who is attached.
 */
#include "ext.h"

#include <stdio.h>
#include <sys/socket.h>

static const char request_head[] =
	"GET /bench/issue/1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\n"
	"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
	"Cookie: session=0123456789abcdef\r\n\r\n";

static const char answer_head[] =
	"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
	"Connection: keep-alive\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n";

#define BODY_MAX 16384
static const char answer_body[BODY_MAX];

struct answer {
	char head[256];
	size_t head_bytes, body_bytes;
};

/* The addresses of the marks, 0: none. */
struct marks {
	start_mark_fn *start;
	mark_fn *end;
};

static int receive_all(int fd, size_t bytes)
{
	char sink[1024];

	while (bytes) {
		ssize_t got = recv(fd, sink, bytes < sizeof(sink) ? bytes : sizeof(sink), 0);

		if (got <= 0)
			return -1;
		bytes -= (size_t)got;
	}
	return 0;
}

/* What the server does for a request. */
static int serve(int fd, const struct answer *answer, const struct marks *marks,
		 struct wsgiscope_request *request)
{
	char in[8192];

	if (recv(fd, in, sizeof(in), 0) != sizeof(request_head) - 1)
		return -1;
	if (marks->start) {
		request->id++;
		request->start_ns = clock_ns(CLOCK_MONOTONIC);
		marks->start(request, request->id, request->start_ns, fd);
	}
	if (send(fd, answer->head, answer->head_bytes, MSG_NOSIGNAL) < 0 ||
	    send(fd, answer_body, answer->body_bytes, MSG_NOSIGNAL) < 0)
		return -1;
	if (marks->end) {
		request->end_ns = clock_ns(CLOCK_MONOTONIC);
		marks->end(request);
		request->end_ns = 0;
	}
	return 0;
}

/* The client's calls are not timed. */
static int serve_timed(int fd, int peer, const struct answer *answer, const struct marks *marks,
		       struct wsgiscope_request *request, struct stretch *sum)
{
	struct stretch stretch;
	int err;

	if (send(peer, request_head, sizeof(request_head) - 1, MSG_NOSIGNAL) < 0)
		return -1;
	stretch_start(&stretch);
	err = serve(fd, answer, marks, request);
	stretch_end(&stretch);
	sum->wall_ns += stretch.wall_ns;
	sum->cpu_ns += stretch.cpu_ns;
	return err ? err : receive_all(peer, answer->head_bytes + answer->body_bytes);
}

PyObject *bench_turns(PyObject *self, PyObject *args)
{
	unsigned long long start_mark, end_mark;
	struct wsgiscope_request request;
	struct stretch sum = {0};
	struct answer answer;
	struct marks marks;
	int fd, peer, err = 0;
	Py_ssize_t n, body;

	if (!PyArg_ParseTuple(args, "iinnKK", &fd, &peer, &n, &body, &start_mark, &end_mark))
		return NULL;
	if (body < 0 || body > BODY_MAX)
		return PyErr_Format(PyExc_ValueError, "a body of at most %d bytes", BODY_MAX);
	answer.body_bytes = (size_t)body;
	answer.head_bytes =
		(size_t)snprintf(answer.head, sizeof(answer.head), answer_head, answer.body_bytes);
	marks.start = (start_mark_fn *)(uintptr_t)start_mark;
	marks.end = (mark_fn *)(uintptr_t)end_mark;
	request_fill(&request, 0, fd, "/bench/issue/1");
	for (Py_ssize_t i = 0; i < n && !err; i++)
		err = serve_timed(fd, peer, &answer, &marks, &request, &sum);
	if (err)
		return PyErr_SetFromErrno(PyExc_OSError);
	return stretch_tuple(&sum, n);
}
