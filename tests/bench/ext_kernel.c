/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a tracer can make dearer in a process: marks, system calls, socket writes, threads,
 * processes. Times them; must not know who is attached. Context switches are ext_switch.c's.
 */
#include "ext.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEND_BYTES 100
#define SEND_BATCH 64 /* fits into any socket buffer, so that no send has to wait */

/* Both marks of n requests in which nothing happens. */
PyObject *bench_marks(PyObject *self, PyObject *args)
{
	unsigned long long start_mark, end_mark;
	struct wsgiscope_request request;
	struct stretch stretch;
	Py_ssize_t n;

	if (!PyArg_ParseTuple(args, "nKK", &n, &start_mark, &end_mark))
		return NULL;
	request_fill(&request, 0, -1, "/bench");
	stretch_start(&stretch);
	for (Py_ssize_t i = 0; i < n; i++) {
		request.id++;
		request.start_ns = clock_ns(CLOCK_MONOTONIC);
		((start_mark_fn *)(uintptr_t)start_mark)(&request, request.id, request.start_ns,
							 request.fd);
		request.end_ns = clock_ns(CLOCK_MONOTONIC);
		((mark_fn *)(uintptr_t)end_mark)(&request);
		request.end_ns = 0;
	}
	stretch_end(&stretch);
	return stretch_tuple(&stretch, n);
}

PyObject *bench_getppid(PyObject *self, PyObject *args)
{
	struct stretch stretch;
	Py_ssize_t n;

	if (!PyArg_ParseTuple(args, "n", &n))
		return NULL;
	stretch_start(&stretch);
	for (Py_ssize_t i = 0; i < n; i++)
		syscall(SYS_getppid);
	stretch_end(&stretch);
	return stretch_tuple(&stretch, n);
}

PyObject *bench_write(PyObject *self, PyObject *args)
{
	struct stretch stretch;
	Py_ssize_t n;
	int fd;

	if (!PyArg_ParseTuple(args, "in", &fd, &n))
		return NULL;
	stretch_start(&stretch);
	for (Py_ssize_t i = 0; i < n; i++) {
		if (write(fd, "x", 1) != 1)
			return PyErr_SetFromErrno(PyExc_OSError);
	}
	stretch_end(&stretch);
	return stretch_tuple(&stretch, n);
}

static int bytes_drain(int peer, size_t bytes)
{
	char sink[SEND_BYTES * SEND_BATCH];

	while (bytes) {
		ssize_t got = recv(peer, sink, bytes < sizeof(sink) ? bytes : sizeof(sink), 0);

		if (got <= 0)
			return -1;
		bytes -= (size_t)got;
	}
	return 0;
}

/* A batch of sends, added to sum; reading them back is not timed. */
static int send_batch(int fd, int peer, struct stretch *sum)
{
	static const char data[SEND_BYTES];
	struct stretch stretch;

	stretch_start(&stretch);
	for (int i = 0; i < SEND_BATCH; i++) {
		if (send(fd, data, SEND_BYTES, MSG_NOSIGNAL) != SEND_BYTES)
			return -1;
	}
	stretch_end(&stretch);
	sum->wall_ns += stretch.wall_ns;
	sum->cpu_ns += stretch.cpu_ns;
	return bytes_drain(peer, SEND_BYTES * SEND_BATCH);
}

PyObject *bench_send(PyObject *self, PyObject *args)
{
	unsigned long long start_mark, end_mark;
	struct wsgiscope_request request;
	struct stretch sum = {0};
	Py_ssize_t n, batches;
	int fd, peer, err = 0;

	if (!PyArg_ParseTuple(args, "iinKK", &fd, &peer, &n, &start_mark, &end_mark))
		return NULL;
	batches = n / SEND_BATCH + 1;
	request_fill(&request, 1, fd, "/bench");
	if (start_mark)
		((start_mark_fn *)(uintptr_t)start_mark)(&request, request.id, request.start_ns,
							 request.fd);
	for (Py_ssize_t i = 0; i < batches && !err; i++)
		err = send_batch(fd, peer, &sum);
	if (end_mark)
		((mark_fn *)(uintptr_t)end_mark)(&request);
	if (err)
		return PyErr_SetFromErrno(PyExc_OSError);
	return stretch_tuple(&sum, batches * SEND_BATCH);
}

static void *thread_nothing(void *arg)
{
	return arg;
}

PyObject *bench_threads(PyObject *self, PyObject *args)
{
	struct stretch stretch;
	Py_ssize_t n;
	int err = 0;

	if (!PyArg_ParseTuple(args, "n", &n))
		return NULL;
	stretch_start(&stretch);
	for (Py_ssize_t i = 0; i < n && !err; i++) {
		pthread_t thread;

		err = pthread_create(&thread, NULL, thread_nothing, NULL);
		if (!err)
			err = pthread_join(thread, NULL);
	}
	stretch_end(&stretch);
	if (err) {
		errno = err;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	return stretch_tuple(&stretch, n);
}

PyObject *bench_forks(PyObject *self, PyObject *args)
{
	struct stretch stretch;
	Py_ssize_t n;

	if (!PyArg_ParseTuple(args, "n", &n))
		return NULL;
	stretch_start(&stretch);
	for (Py_ssize_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return PyErr_SetFromErrno(PyExc_OSError);
		if (!pid)
			_exit(0);
		if (waitpid(pid, NULL, 0) != pid)
			return PyErr_SetFromErrno(PyExc_OSError);
	}
	stretch_end(&stretch);
	return stretch_tuple(&stretch, n);
}
