/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that carry our probes: each is defined to the kernel once, however many processes map it.
 * Knows nothing of which processes those are, but for what opens a perf event.
 */
#ifndef WSGISCOPE_ARMED_FILE_H
#define WSGISCOPE_ARMED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "tracer.h"
#include "worker.h"

struct bpf_link;
struct tracefs;

#define ARMED_FILES_MAX 512

struct armed_file {
	struct worker_file file; /* inode 0: a free slot */
	bool whole;		 /* for every process that maps it */
	bool inherit;		 /* if not: for all our processes, and fork() hands it on */
	bool is_overlay;	 /* on overlayfs, where a file has more than one name */
	off_t bytes;
	struct timespec changed;     /* its content */
	unsigned int unused;	     /* how often in a row nobody was found to use it */
	int64_t ids[TRACER_MARKS];   /* 0: not armed */
	int whole_fds[TRACER_MARKS]; /* the perf event of every process, -1: none */
	/* Holds the probe in place while its link goes, which is the quicker half; -1: none. */
	int carriers[TRACER_MARKS];
	struct bpf_link *links[TRACER_MARKS];
};

struct armed_files {
	struct tracer *tracer;
	const struct tracefs *tracefs;
	const char *group; /* the name that this run's uprobe events go by */
	struct armed_file files[ARMED_FILES_MAX];
	int count;
};

/* A file to arm: which one, how, and where its marks lie (NULL: not wanted). */
struct arming {
	struct worker_file file;
	bool whole, inherit;
	const char *what; /* for people */
	pid_t pid;	  /* that maps it, for people */
	const struct elf_probe *probes[TRACER_MARKS];
};

/* The end before the start: a request that is seen to start is seen to end. */
extern const enum tracer_mark arming_order[TRACER_MARKS];

/* The slot of a file, or -ENOENT. */
int armed_file_find(const struct armed_files *files, const struct worker_file *file);

/* The slot of a file on overlayfs that may be this open one under another name, or -ENOENT. */
int armed_file_twin(const struct armed_files *files, int fd);

/* fd: the open file, borrowed. The file's slot or -errno, message printed. */
int armed_file_add(struct armed_files *files, int fd, const struct arming *arming);

/* Takes its probes out, its definitions too: they would keep its file system busy. */
void armed_file_remove(struct armed_files *files, int slot);

/* For nobody any more who has no perf event of his own. */
void armed_file_unwhole(struct armed_file *file);

/* These marks run no program any more, in any file. The probes are still there. */
void armed_files_unlink(struct armed_files *files, const enum tracer_mark *marks, size_t count);

/* Takes one mark of all files out. */
void armed_files_disarm(struct armed_files *files, enum tracer_mark mark);

/* A perf event on a uprobe event; pid -1: of every process. fd or -errno. It stays disabled: it
 * need not count for the program to run. */
int armed_event_open(int64_t id, pid_t pid, bool inherit);

#endif
