/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF side as a C object: loading, knobs, maps. tracer.c is the only file that sees the
 * skeleton; what is attached where is attach.c's business.
 */
#ifndef WSGISCOPE_TRACER_H
#define WSGISCOPE_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bpf_link;
struct config;
struct pystack_python;
struct rec_counters;
struct request_sweep;
struct ring_buffer;
struct tracefs;
struct tracer;

enum tracer_mark {
	TRACER_START,
	TRACER_BLOCK,
	TRACER_END,
	TRACER_GC_START,
	TRACER_GC_DONE,
	TRACER_MARKS,
};

/* struct tracer_process.flags, beside enum server_flags: its garbage collections are seen. */
#define TRACER_GC_SEEN (1U << 2)
/* Its connections are watched; and the marker tells of its requests, too. */
#define TRACER_WIRE   (1U << 3)
#define TRACER_MARKED (1U << 4)

/* Opens, sets the knobs, loads. 0 or -errno, message printed. */
int tracer_open(const struct config *config, struct tracer **out);
void tracer_close(struct tracer *tracer); /* detaches all; NULL is fine */

/* System calls, fork, exec and exit. 0 or -errno, message printed. */
int tracer_attach_kernel(struct tracer *tracer, const struct tracefs *tracefs);

/* The read system calls, for servers that hide the client's descriptor; once is enough. */
int tracer_attach_reads(struct tracer *tracer, const struct tracefs *tracefs);

/* Reads from clients, accept and close, for processes with TRACER_WIRE; once is enough. */
int tracer_attach_wire(struct tracer *tracer, const struct tracefs *tracefs);

/* Turns of connections begin and end no more: what is there can be taken as it is. */
void tracer_stop_wire(struct tracer *tracer);

/* A TCP port on which a traced process listens, in the network namespace of this inode number:
 * connections that have it were accepted. 0 or -errno. */
int tracer_listener_add(struct tracer *tracer, uint64_t net_inode, uint16_t port);

/* Binds the program of a mark to a perf event; the link is the caller's. 0 or -errno. */
int tracer_attach_mark(struct tracer *tracer, enum tracer_mark mark, int perf_fd,
		       struct bpf_link **out);

#define TRACER_GILS_MAX 8

/* What the kernel side is told of a process. */
struct tracer_process {
	unsigned int flags; /* enum server_flags, TRACER_GC_SEEN, _WIRE, _MARKED */
	uint32_t gil_bytes; /* of CPython's GIL structure, 0: not known, or there is none */
	uint64_t gil[TRACER_GILS_MAX]; /* addresses, 0: none */
};

/*
 * Traces a process from now on, or, where it is traced already, tells more of it. -ENOSPC: too
 * many; -ENOENT: it is not traced any more, as the kernel side has seen its end.
 */
int tracer_process_set(struct tracer *tracer, pid_t pid, const struct tracer_process *process,
		       bool is_traced);
void tracer_process_forget(struct tracer *tracer, pid_t pid);

/* The Python of a process whose stacks are to be taken; its children begin with the same. 0 or
 * -errno. */
int tracer_python_set(struct tracer *tracer, pid_t pid, const struct pystack_python *python);

/* A thread that lives already, for whose waits there must be room: it could be asleep for long. 0,
 * -ESRCH, -EINVAL (this kernel gives descriptors of processes only), -errno. */
int tracer_thread_prepare(struct tracer *tracer, pid_t tid);

/* The sampling clock, where the config asked for one. 0 or -errno, message printed. */
int tracer_clock_start(struct tracer *tracer);
void tracer_clock_follow(struct tracer *tracer); /* to CPUs that come and go */

/* Takes no more samples; waits that go on have theirs, as long as they are by now. */
void tracer_sampling_stop(struct tracer *tracer);

/* Requests that began when there was no room for them, and that have not ended. */
uint64_t tracer_refused_open(const struct tracer *tracer);

/* Whether a process that is not traced has run a mark since the last call. */
bool tracer_foreign_seen(struct tracer *tracer);

/* The ring, as libbpf's reader. NULL with errno. The caller frees. */
struct ring_buffer *tracer_ring_new(struct tracer *tracer,
				    int (*fn)(void *context, void *record, size_t bytes),
				    void *context);

/* The ring's size, and how much of it waits to be read. */
uint64_t tracer_ring_bytes(const struct tracer *tracer);
uint64_t tracer_ring_used(const struct tracer *tracer);
/* Where the next record goes; and whether all before such a place has been read. */
uint64_t tracer_ring_produced(const struct tracer *tracer);
bool tracer_ring_is_read(const struct tracer *tracer, uint64_t position);

/* Goes through the requests that are in the kernel's table (request_table.h). */
int tracer_requests_sweep(struct tracer *tracer, const struct request_sweep *sweep);

/* All CPUs' counters, summed into the arrays; the header is the caller's. */
int tracer_counters_read(struct tracer *tracer, struct rec_counters *out);

#endif
