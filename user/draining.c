/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the rules of the header. Must not know clocks, processes or where the record lies.
 */
#include <linux/types.h>

#include "abi.h"
#include "draining.h"

/* Less than what a socket takes at first without a reader (tcp_wmem). */
#define SOCKET_FULL_BYTES 65536

bool request_is_at_rest(const struct rec_request *r)
{
	return r->flags & REC_F_DRAINING || (r->flags & REC_F_WIRE && r->writes.first_ns &&
					     !(r->flags & (REC_F_WIRE_INTERIM | REC_F_WRITING)));
}

/*
 * The last write took less than it was given; or less has gone out than the application gave to the
 * server, and enough for the socket to be full (Twisted writes 128 KB at a time, and waits for room
 * without a write that fails). An answer that is smaller than its blocks, as to HEAD, does not fill
 * a socket.
 */
bool request_is_writing(const struct rec_request *r)
{
	if (r->flags & REC_F_WRITE_SHORT)
		return true;
	return !(r->flags & REC_F_WIRE) && !r->writes.error &&
	       r->writes.bytes >= SOCKET_FULL_BYTES && r->writes.bytes < r->bytes;
}
