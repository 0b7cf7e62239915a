/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process is to us: a Python process or not, its version, its server, its marker. Reads
 * proc.c and elf.c, asks servers/ and python/; attaches nothing.
 */
#ifndef WSGISCOPE_WORKER_H
#define WSGISCOPE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf.h"

struct server;

enum worker_python {
	PYTHON_NONE, /* no Python runtime is mapped */
	PYTHON_CPYTHON,
	PYTHON_PYPY,
	PYTHON_OLD, /* CPython of before 3.7, such as 2.7 */
};

/*
 * A file as stat() names it, on the host. The maps of a process name it only for that process: on
 * btrfs they name all snapshots of a file alike.
 */
struct worker_file {
	dev_t device;
	uint64_t inode;
};

/* A marker file. */
struct worker_marker {
	dev_t device; /* as /proc/PID/maps has it */
	uint64_t inode;
	struct worker_file file;
	uint32_t version; /* WSGISCOPE_MARKS_VERSION of the file, 0: not said */
	struct elf_probe start, block, end;
};

#define WORKER_TITLE_BYTES 64

struct worker {
	pid_t pid, parent;
	uint64_t start_ticks;
	int threads;
	enum worker_python python;
	uint32_t python_version; /* PY_VERSION_HEX, 0: not known */
	dev_t python_device;	 /* of the file that defines the runtime, for python/locate.c */
	uint64_t python_inode;
	struct worker_file python_file;
	struct elf_probe gc_start, gc_done; /* its USDT probes, offset 0: it has none */
	const struct server *server;	    /* NULL: not known */
	char title[WORKER_TITLE_BYTES];	    /* what the server calls the application, "": nothing */
	bool has_marker;
	struct worker_marker marker; /* the first one mapped */
};

/* Whether the file may be a marker, by its path as /proc/PID/maps has it; its content decides. */
bool worker_name_is_marker(const char *path);

/* Fills *out. 0, -ESRCH, -EACCES, -errno. A process that is not Python is no error. */
int worker_inspect(pid_t pid, struct worker *out);

/* Opens the file of the worker's marker, through the process. fd or -errno. */
int worker_marker_open(const struct worker *worker);

/* The same for the file that defines the Python runtime. */
int worker_python_open(const struct worker *worker);

#endif
