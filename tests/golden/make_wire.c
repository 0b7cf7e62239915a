/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the recording of connections that the golden tests replay: make_wire DIRECTORY. What it
 * should look like is in wire.text and wire.json beside this.
 */
#include <string.h>

#include "record_make.h"
#include "recordings.h"

/* Bytes of a turn, from its begin on; out: NULL, the turn's record will hold them. How many. */
static __u64 put_bytes(struct recording *out, __u64 turn, enum rec_wire_what what, __u64 offset,
		       const char *text)
{
	struct {
		struct rec_wire_bytes head;
		char data[512];
	} record = {.head.h = make_header(REC_WIRE, 0)};
	size_t bytes = strlen(text);

	record.head.h.size = (__u32)(sizeof(record.head) + ((bytes + 7) & ~7UL));
	record.head.h.time_ns = MAKE_START + turn * 1000 * MS;
	record.head.conn = 4000 + turn;
	record.head.id = turn;
	record.head.offset = offset;
	record.head.what = what;
	record.head.bytes = (__u32)bytes;
	memcpy(record.data, text, bytes);
	if (out)
		put(out, &record, record.head.h.size);
	return offset + bytes;
}

/* A turn that read and wrote these texts; its record is the caller's to put. */
static struct rec_request make_turn(struct recording *out, __u64 id, const char *in,
				    const char *answer)
{
	struct rec_request r = make_request(id);

	r.flags = REC_F_WIRE | REC_F_STATES;
	r.mark_flags = 0;
	r.status = 0;
	r.blocks = r.bytes = r.output_ns = 0;
	r.text_bytes = 0;
	memset(r.str, 0, sizeof(r.str));
	r.reads = (struct rec_reads){.bytes = put_bytes(out, id, WIRE_READ, 0, in), .calls = 1};
	r.writes.bytes = put_bytes(out, id, WIRE_WRITTEN, 0, answer);
	r.writes.calls = 1;
	r.reads.states_ns = r.start_ns;
	r.end_ns = r.writes.last_ns;
	r.states.ns[STATE_CPU] = 2 * MS;
	r.states.ns[STATE_SLEEP] = r.end_ns - r.start_ns - 2 * MS;
	return r;
}

/* The same, and the record itself holds them. */
static struct rec_request make_turn_held(__u64 id, const char *in, const char *answer)
{
	struct rec_request r = make_turn(NULL, id, in, answer);
	__u16 read = (__u16)strlen(in), written = (__u16)strlen(answer);

	r.str[TURN_READ] = (struct rec_str){.offset = 0, .bytes = read};
	r.str[TURN_WRITTEN] = (struct rec_str){.offset = read, .bytes = written};
	r.text_bytes = read + written;
	memcpy(r.text, in, read);
	memcpy(r.text + read, answer, written);
	return r;
}

#define WIRE_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* What connections showed. */
static void fill_wire(struct recording *out)
{
	struct rec_request r;

	put_worker(out, MAKE_PID, "gunicorn");
	put_request(out,
		    make_turn(out, 1,
			      "GET /caf%C3%A9/7?q=secret HTTP/1.1\r\nHost: a\r\n"
			      "X-Request-Start: t=1795341600.990\r\n\r\n",
			      WIRE_OK),
		    NULL);
	r = make_turn(out, 2, "GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n",
		      WIRE_OK WIRE_OK);
	put_request(out, r, NULL);
	r = make_turn(out, 3, "GET /cut HTTP/1.1\r\n\r\n",
		      "HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nso far");
	r.flags |= REC_F_WIRE_CLOSED;
	put_request(out, r, NULL);
	r = make_turn(out, 4, "POST /gone HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "");
	r.flags = REC_F_WIRE | REC_F_WIRE_CLOSED | REC_F_NO_END;
	r.end_ns = 0;
	r.writes = (struct rec_writes){.family = REC_FAMILY_INET};
	put_request(out, r, NULL);
	r = make_turn(out, 5, "\x16\x03\x01\x02\x05\x01\x01\x01\xfc\x03\x03", "\x16\x03\x03");
	put_request(out, r, NULL);
	r = make_turn_held(6, "GET /\x1b[31m HTTP/1.1\r\n\r\n", WIRE_OK);
	r.flags = REC_F_WIRE | REC_F_STATES_MIXED;
	put_request(out, r, NULL);
	put_counters(out, 7, 0);
}

static const struct golden_recording recordings[] = {{"wire", fill_wire}, {NULL, NULL}};

int main(int argc, char **argv)
{
	return recordings_write(argc, argv, recordings);
}
