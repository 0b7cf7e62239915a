/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What a socket-write call says: where its data lies, the status that it begins with, how its
 * return is counted. For the writes of marked requests and of turns.
 */
#ifndef WSGISCOPE_WRITE_BPF_H
#define WSGISCOPE_WRITE_BPF_H

#include "turn.bpf.h"

#define EINTR  4
#define EAGAIN 11

/* UAPI layouts (LP64). */
struct user_iovec {
	__u64 base;
	__u64 len;
};

struct user_msghdr {
	__u64 name;
	__u32 namelen;
	__u32 pad;
	__u64 iov;
	__u64 iovlen;
	__u64 control;
	__u64 controllen;
	__u64 flags;
};

struct user_mmsghdr {
	struct user_msghdr hdr;
	__u32 len;
	__u32 pad;
};

#define MESSAGES_MAX 16

/* Where the first byte of a call's data lies, 0: not in user memory. */
static __always_inline __u64 write_data(const struct write_call *call)
{
	struct user_msghdr msg;
	struct user_iovec iov;
	__u64 at = call->buffer;

	if (call->kind == CALL_FILE)
		return 0;
	if (call->kind == CALL_BUFFER)
		return at;
	if (call->kind == CALL_MESSAGE || call->kind == CALL_MESSAGES) {
		if (bpf_probe_read_user(&msg, sizeof(msg), (const void *)at))
			return 0;
		at = msg.iov;
	}
	if (bpf_probe_read_user(&iov, sizeof(iov), (const void *)at))
		return 0;
	return iov.base;
}

/* Three digits, or 0. */
static __always_inline __u16 number_parse(const char *b)
{
	__u16 number = 0;

	for (int i = 0; i < 3; i++) {
		if (b[i] < '0' || b[i] > '9')
			return 0;
		number = number * 10 + (b[i] - '0');
	}
	return number;
}

#define HEAD_BYTES 14

/*
 * "HTTP/1.x NNN", or "Status: NNN" of the CGI kind; 0: neither, or an interim answer (1xx, and
 * what mod_wsgi's daemon says before the application runs: "Status: 200 Continue"). The same
 * daemon asks Apache for a 500 by "Status: 200 Error".
 */
static __always_inline __u16 status_parse(const char *b)
{
	__u16 status = 0;

	if (b[0] == 'H' && b[1] == 'T' && b[2] == 'T' && b[3] == 'P' && b[4] == '/' && b[8] == ' ')
		status = number_parse(b + 9);
	else if (b[0] == 'S' && b[1] == 't' && b[2] == 'a' && b[3] == 't' && b[6] == ':')
		status = number_parse(b + 8);
	if (b[0] == 'S' && status == 200 && b[12] == 'C' && b[13] == 'o')
		return 0;
	if (b[0] == 'S' && status == 200 && b[12] == 'E' && b[13] == 'r')
		return 500;
	return status >= 200 ? status : 0;
}

static __always_inline void wire_status_read(struct rec_request *r, const struct write_call *call,
					     __u64 written)
{
	char head[HEAD_BYTES] = {};
	__u64 data = write_data(call);

	if (data && written >= HEAD_BYTES && !bpf_probe_read_user(head, HEAD_BYTES, (void *)data))
		r->writes.wire_status = status_parse(head);
}

/* sendmmsg returns how many messages went out; how long each was lies in the vector. */
static __always_inline __u64 messages_bytes(const struct write_call *call, long count)
{
	struct user_mmsghdr m;
	__u64 bytes = 0;

	for (int i = 0; i < MESSAGES_MAX && i < count; i++) {
		if (bpf_probe_read_user(&m, sizeof(m),
					(const void *)(call->buffer + i * sizeof(m))))
			break;
		bytes += m.len;
	}
	return bytes;
}

/* All but the status. How many bytes went out. */
static __always_inline __u64 write_count(struct rec_request *r, const struct write_call *call,
					 long ret, __u64 now)
{
	__u64 bytes = ret;

	__sync_fetch_and_add(&r->writes.calls, 1);
	__sync_fetch_and_add(&r->writes.time_ns, now - call->enter_ns);
	r->writes.last_ns = now;
	if (ret < 0) {
		if (ret == -EAGAIN) {
			r->flags |= REC_F_WRITE_SHORT;
		} else if (ret != -EINTR && ret > -4096) {
			r->flags &= ~REC_F_WRITE_SHORT; /* nothing more will go out */
			r->writes.error = -ret;
		}
		return 0;
	}
	if (call->kind == CALL_MESSAGES)
		bytes = messages_bytes(call, ret);
	if (call->wanted > bytes)
		r->flags |= REC_F_WRITE_SHORT;
	else
		r->flags &= ~REC_F_WRITE_SHORT;
	if (!bytes)
		return 0;
	if (!r->writes.first_ns)
		r->writes.first_ns = now;
	__sync_fetch_and_add(&r->writes.bytes, bytes);
	return bytes;
}

static __always_inline void write_add(struct rec_request *r, const struct write_call *call,
				      long ret)
{
	__u64 bytes = write_count(r, call, ret, bpf_ktime_get_ns());

	/* The head may come in pieces or behind an interim answer: look again until it is seen,
	 * while the writes are still few. */
	if (bytes && !r->writes.wire_status && r->writes.calls <= 4)
		wire_status_read(r, call, bytes);
}

#endif
