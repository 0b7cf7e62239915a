/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Turns of connections, as the system calls see them.
 */
#ifndef WSGISCOPE_TURN_BPF_H
#define WSGISCOPE_TURN_BPF_H

#include "state.bpf.h"

/* How a system call's data lies in user memory. */
enum call_kind {
	CALL_BUFFER,   /* buffer, length */
	CALL_VECTOR,   /* struct iovec[] */
	CALL_MESSAGE,  /* struct msghdr */
	CALL_MESSAGES, /* struct mmsghdr[]: returns a count of messages */
	CALL_FILE,     /* no buffer in user space */
};

/* So many bytes have come on the connection of t->read. Global, as are the next two, so that the
 * verifier walks each once. */
int turn_read(struct thread *t, long bytes);

/* A write to a connection that has no turn open: begins one, for a thread that thread_get() has
 * made room for. 0; -1: no room, counted. */
int turn_answer(__u64 conn, __u32 family);

/* A write of a turn has returned. */
int turn_written(struct thread *t, __u64 conn, long ret);

/* The connection is being closed: its turn is over, and told of. True: there was one, or a marked
 * request, of this process. */
__hidden bool turn_close(__u64 conn, __u32 tgid);

#endif
