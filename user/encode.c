/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way back from an event to a raw record, for what this process made itself: the inverse
 * of decode.c, and as that it knows abi.h. Keeps nothing; trusts the event, which was checked.
 */
#include "encode.h"

#include <arpa/inet.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "decode.h"
#include "marks.h"
#include "wire.h"

/* Appends a string; of PEP 3333, so that its characters are bytes. */
static void string_put(struct rec_request *out, enum rec_string which,
		       const struct event_text *from, const char *bytes, size_t count)
{
	struct rec_str *string = &out->str[which];

	if (from->text.ptr)
		string->kind = WSGISCOPE_STR_LATIN1;
	string->cut = from->cut;
	string->failed = from->failed;
	string->offset = (__u16)out->text_bytes;
	string->bytes = (__u16)count;
	if (count)
		/* NOLINTNEXTLINE(clang-analyzer-*): where it is NULL, count is 0 */
		memcpy(out->text + out->text_bytes, bytes, count);
	out->text_bytes += (__u32)count;
}

static void strings_encode(const struct event_request *from, struct rec_request *out)
{
	const struct request_text path = from->path.text;
	size_t script = path.bytes > STR_PATH_MAX ? path.bytes - STR_PATH_MAX : 0;
	const struct event_text none = {.text = {path.ptr, script}};

	string_put(out, STR_METHOD, &from->method, from->method.text.ptr, from->method.text.bytes);
	/* The path is one text, which has the room of both. */
	if (script)
		string_put(out, STR_SCRIPT, &none, path.ptr, script);
	/* A path that was not read has no address to count from. */
	string_put(out, STR_PATH, &from->path, script ? path.ptr + script : path.ptr,
		   path.bytes - script);
	string_put(out, STR_QUEUE, &from->queue, from->queue.text.ptr, from->queue.text.bytes);
	string_put(out, STR_TRACEPARENT, &from->traceparent, from->traceparent.text.ptr,
		   from->traceparent.text.bytes);
}

static void writes_encode(const struct event_request *from, struct rec_writes *out)
{
	static const enum rec_family families[] = {
		[FAMILY_UNSEEN] = REC_FAMILY_NONE, [FAMILY_INET] = REC_FAMILY_INET,
		[FAMILY_INET6] = REC_FAMILY_INET6, [FAMILY_UNIX] = REC_FAMILY_UNIX,
		[FAMILY_OTHER] = REC_FAMILY_OTHER,
	};

	*out = (struct rec_writes){
		.calls = from->writes.calls,
		.bytes = from->writes.bytes,
		.time_ns = from->writes.time_ns,
		.first_ns = from->writes.first_ns,
		.last_ns = from->turn.last_ns,
		.family = families[from->writes.family],
		.wire_status = (__u16)from->writes.status,
		.error = (__u16)from->writes.error,
	};
}

/* "10.0.0.5:5432", "[::1]:5432", "unix", "". */
static void peer_encode(const struct event_states *from, struct rec_peer *out)
{
	char address[EVENT_PEER_BYTES];
	bool inet6 = from->peer[0] == '[';
	char *colon;

	out->wait_ns = from->peer_ns;
	memcpy(address, from->peer + inet6, sizeof(address) - inet6);
	address[sizeof(address) - 1] = '\0';
	colon = strrchr(address, ':');
	if (!colon) {
		out->family = address[0] ? REC_FAMILY_UNIX : REC_FAMILY_NONE;
		return;
	}
	out->port = (__u16)strtoul(colon + 1, NULL, 10);
	colon[-inet6] = '\0';
	out->family = inet6 ? REC_FAMILY_INET6 : REC_FAMILY_INET;
	inet_pton(inet6 ? AF_INET6 : AF_INET, address, out->address);
}

static void states_encode(const struct event_states *from, struct rec_states *out)
{
	memcpy(out->ns, from->ns, sizeof(out->ns));
	out->client_read_ns = from->client_read_ns;
	out->gc_ns = from->gc_ns;
	out->gc_count = (__u32)from->gc_count;
	peer_encode(from, &out->peer);
}

static __u32 flags_encode(const struct event_request *from)
{
	__u32 flags = REC_F_WIRE_MADE;

	flags |= from->no_start ? REC_F_NO_START : 0;
	flags |= from->no_end ? REC_F_NO_END : 0;
	flags |= from->conn_unknown ? REC_F_CONN_UNKNOWN : 0;
	flags |= from->writes_cut ? REC_F_WRITES_CUT : 0;
	flags |= from->write_short ? REC_F_WRITE_SHORT : 0;
	flags |= from->text_unread ? REC_F_TEXT_UNREAD : 0;
	flags |= from->id_reused ? REC_F_ID_REUSED : 0;
	flags |= from->states.seen ? REC_F_STATES : 0;
	flags |= from->states.mixed ? REC_F_STATES_MIXED : 0;
	flags |= from->states.gil_unseen ? REC_F_GIL_UNSEEN : 0;
	flags |= from->states.gc_seen ? REC_F_GC_SEEN : 0;
	flags |= from->turn.truncated ? REC_F_WIRE_TRUNCATED : 0;
	return flags | (from->turn.pipelined ? REC_F_WIRE_PIPELINED : 0);
}

size_t encode_made(const struct event *event, struct rec_request *out)
{
	const struct event_request *from = &event->request;

	memset(out, 0, sizeof(*out));
	out->id = from->id;
	out->conn = from->turn.conn;
	out->start_ns = from->start_ns;
	out->end_ns = from->end_ns;
	out->fd = -1;
	out->flags = flags_encode(from);
	out->queue_ns = from->queue_ns;
	writes_encode(from, &out->writes);
	states_encode(&from->states, &out->states);
	out->reads =
		(struct rec_reads){from->reads.bytes, from->reads.calls, from->reads.states_ns};
	strings_encode(from, out);
	out->text_bytes = (out->text_bytes + 7) & ~7U;
	out->h = (struct rec_header){
		.size = (__u32)offsetof(struct rec_request, text) + out->text_bytes,
		.kind = REC_REQUEST,
		.version = REC_VERSION,
		.tgid = event->pid,
		.tid = event->tid,
		.time_ns = event->time_ns,
	};
	return out->h.size;
}

_Static_assert((int)DROP_WIRE_OPEN - DROP_WIRE_TLS == (int)WIRE_LOSS_OPEN - WIRE_LOSS_TLS &&
		       !WIRE_LOSS_TLS && WIRE_LOSS_OPEN + 1 == WIRE_LOSSES,
	       "each loss has its reason, in the same order");

void encode_losses(const struct wire *wire, struct rec_counters *out)
{
	for (int loss = 0; loss < WIRE_LOSSES; loss++)
		out->drops[DROP_WIRE_TLS + loss] = wire_lost(wire, loss);
}
