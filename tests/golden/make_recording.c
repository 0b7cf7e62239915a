/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the recordings that the golden tests replay: make_recording DIRECTORY. Each function of
 * the table fills one; what they should look like is in the .text and .json files beside this.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record_make.h"
#include "recordings.h"

static void put_process(struct recording *out, __u32 pid, enum rec_process_what what, __u32 other)
{
	struct rec_process record = {
		.h = make_header(REC_PROCESS, sizeof(record)), .what = what, .other = other};

	record.h.tgid = pid;
	put(out, &record, sizeof(record));
}

/* Each outcome, with what shows it. */
static void fill_outcomes(struct recording *out)
{
	struct rec_request r = make_request(1);

	put_worker(out, MAKE_PID, "gunicorn");
	put_request(out, r, "/ok");
	r = make_request(2);
	r.mark_flags = WSGISCOPE_F_EXC_CALL;
	r.status = 0;
	r.blocks = r.bytes = r.output_ns = 0;
	r.writes.wire_status = 500;
	make_latin1(&r, STR_EXCEPTION, "ValueError");
	put_request(out, r, "/raises/in/call");
	r = make_request(3);
	r.mark_flags = WSGISCOPE_F_EXC_ITER | WSGISCOPE_F_CLOSED;
	r.writes.wire_status = 500;
	make_latin1(&r, STR_EXCEPTION, "KeyError");
	put_request(out, r, "/raises/in/iteration");
	r = make_request(4);
	r.mark_flags |= WSGISCOPE_F_EXC_CLOSE;
	make_latin1(&r, STR_EXCEPTION, "RuntimeError");
	put_request(out, r, "/raises/in/close");
	r = make_request(5);
	r.mark_flags = WSGISCOPE_F_CLOSED;
	r.writes.error = EPIPE;
	put_request(out, r, "/client/went");
	r = make_request(6);
	r.mark_flags = WSGISCOPE_F_CLOSED;
	put_request(out, r, "/closed/early");
	r = make_request(7);
	r.mark_flags = WSGISCOPE_F_EXC_ITER | WSGISCOPE_F_CLOSED;
	r.writes.error = ECONNRESET;
	make_latin1(&r, STR_EXCEPTION, "OSError");
	put_request(out, r, "/write/error");
	r = make_request(8);
	r.mark_flags = WSGISCOPE_F_UNCLOSED;
	put_request(out, r, "/never/closed");
	r = make_request(9);
	r.flags = REC_F_NO_END;
	r.mark_flags = 0;
	r.end_ns = r.blocks = r.bytes = r.output_ns = 0;
	r.status = 0;
	put_request(out, r, "/worker/died");
	r = make_request(10);
	r.text_bytes = 0;
	make_latin1(&r, STR_METHOD, "HEAD");
	r.mark_flags = WSGISCOPE_F_CLOSED;
	r.blocks = r.bytes = r.output_ns = 0;
	put_request(out, r, "/head");
	put_counters(out, 10, 0);
}

/* Each note, each socket family, each server; unknown connections; queue times; routes. */
static void fill_notes(struct recording *out)
{
	static const __u32 marks[] = {
		WSGISCOPE_F_BYTES | WSGISCOPE_F_END_INFERRED,
		WSGISCOPE_F_STR | WSGISCOPE_F_END_INFERRED,
		WSGISCOPE_F_FILE_WRAPPER | WSGISCOPE_F_BLOCKS_UNSEEN | WSGISCOPE_F_CLOSED,
		WSGISCOPE_F_WRITE | WSGISCOPE_F_EXHAUSTED,
		WSGISCOPE_F_NESTED | WSGISCOPE_F_EXHAUSTED,
	};
	static const __u32 flags[] = {REC_F_CONN_UNKNOWN, REC_F_WRITES_CUT | REC_F_DRAINED,
				      REC_F_NO_START, REC_F_TEXT_UNREAD,
				      REC_F_NO_END | REC_F_ID_REUSED};
	static const char *const servers[] = {"uwsgi", "mod_wsgi", "waitress", "wsgiref", ""};
	struct rec_request r;

	for (unsigned int i = 0; i < 5; i++) {
		put_worker(out, MAKE_PID + i, servers[i]);
		r = make_request(20 + i);
		r.h.tgid = MAKE_PID + i;
		r.mark_flags = marks[i];
		r.writes.family = i;
		put_request(out, r, "/mark/flags");
		r = make_request(30 + i);
		r.h.tgid = MAKE_PID + i;
		r.flags = flags[i];
		put_request(out, r, "/record/flags");
	}
	put_process(out, MAKE_PID, REC_PROCESS_FORK, 77);
	r = make_request(40);
	r.h.tgid = 77;
	r.writes = (struct rec_writes){0};
	make_latin1(&r, STR_ROUTE, "/issue/<int:id>");
	make_latin1(&r, STR_APP, "shop");
	make_latin1(&r, STR_QUEUE, "t=1795341639.990");
	make_latin1(&r, STR_TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	r.str[STR_PATH].cut = 1;
	r.str[STR_SCRIPT] = (struct rec_str){0};
	make_latin1(&r, STR_SCRIPT, "/mounted");
	put_request(out, r, "/issue/42");
	put_process(out, 77, REC_PROCESS_EXEC, 0);
	r = make_request(41);
	r.h.tgid = 77;
	r.str[STR_EXCEPTION].failed = 1;
	r.str[STR_EXCEPTION].kind = WSGISCOPE_STR_LATIN1;
	make_latin1(&r, STR_PATH, "/cut");
	r.str[STR_PATH].cut = 1;
	put_request(out, r, NULL);
	put_process(out, 77, REC_PROCESS_EXIT, 0);
	put_counters(out, 12, 1);
}

/* Strings that would do harm. */
static void fill_hostile(struct recording *out)
{
	static const char *const paths[] = {
		"/\x1b[2J\x1b]0;owned\x07",	    /* escape sequences */
		"/caf\xc3\xa9/\xe2\x98\x83",	    /* text in UTF-8 */
		"/bad\xff\xc0\xaf\xed\xa0\x80utf8", /* no text */
		"/quote\"back\\slash\x7f",
		"/rtl\xe2\x80\xae"
		"gpj.exe", /* bidi override */
		"/two words\nand a line\r\t",
		"/c1\xc2\x9b"
		"31m",
		"/a/b/c/d/e/f/g/h/i/j",
		"/\xef\xbb\xbf"
		"bom\xf3\xa0\x80\xa1tag",
		"//..//%2e%2e/<script>",
		"",
	};
	static const __u16 ucs2[] = {'/', 0x20ac, 0xd800, 0x202e, 'x'};
	static const __u32 ucs4[] = {'/', 0x1f600, 0x110000, 0xffffffff, 'y'};
	struct rec_request r;

	put_worker(out, MAKE_PID, "gunicorn");
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		put_request(out, make_request(50 + i), paths[i]);
	r = make_request(70);
	make_string(&r, STR_PATH, WSGISCOPE_STR_LATIN1, "/nul\0inside", 11);
	put_request(out, r, NULL);
	r = make_request(71);
	make_string(&r, STR_PATH, WSGISCOPE_STR_UCS2, ucs2, sizeof(ucs2));
	put_request(out, r, NULL);
	r = make_request(72);
	make_string(&r, STR_PATH, WSGISCOPE_STR_UCS4, ucs4, sizeof(ucs4));
	make_string(&r, STR_ROUTE, WSGISCOPE_STR_LATIN1, "/caf\xe9/<x>", 9);
	put_request(out, r, NULL);
	r = make_request(73);
	r.text_bytes = 0;
	make_string(&r, STR_METHOD, WSGISCOPE_STR_LATIN1, "GET\x1b[31m / x", 12);
	r.mark_flags = WSGISCOPE_F_EXC_CALL;
	make_string(&r, STR_EXCEPTION, WSGISCOPE_STR_UTF8, "Evil\x1b]52;c;x\x07", 13);
	put_request(out, r, "/method");
	r = make_request(74);
	r.str[STR_METHOD] = (struct rec_str){0};
	put_request(out, r, NULL);
	put_counters(out, 16, 0);
}

/* Numbers that cannot be. */
static void fill_lying(struct recording *out)
{
	struct rec_request r = make_request(80);

	r.end_ns = r.start_ns - 1;
	put_request(out, r, "/ends/before/start");
	r = make_request(81);
	r.start_ns = r.h.time_ns + 3600 * 1000 * MS;
	r.end_ns = r.start_ns + 1;
	put_request(out, r, "/starts/in/the/future");
	r = make_request(82);
	r.output_ns = 11 * MS;
	put_request(out, r, "/output/over/application");
	r = make_request(83);
	r.blocks = r.bytes = r.writes.calls = r.writes.bytes = r.writes.time_ns = 1ULL << 63;
	r.id = ~0ULL;
	put_request(out, r, "/counts");
	r = make_request(84);
	r.writes.first_ns = r.start_ns - 5;
	put_request(out, r, "/first/write/before/start");
	r = make_request(85);
	r.start_ns = 0;
	r.end_ns = ~0ULL;
	r.status = 0xffffffff;
	r.writes.wire_status = 65535;
	put_request(out, r, "/all/ones");
	r = make_request(86);
	r.h.time_ns = ~0ULL;
	put_request(out, r, "/recorded/at/the/end/of/time");
	r = make_request(87);
	make_latin1(&r, STR_QUEUE, "t=1795345200");
	put_request(out, r, "/queued/in/the/future");
	r = make_request(88);
	r.h.tgid = 0xffffffff;
	r.h.tid = 0xffffffff;
	put_request(out, r, "/pid");
	put_counters(out, 9, 0);
}

/* Records that are framed well and make no sense inside: each is counted as lost. */
static void fill_broken(struct recording *out)
{
	struct rec_request r = make_request(90);
	struct rec_header header = make_header(REC_BLOCK, sizeof(header));

	put_request(out, r, "/sound");
	put(out, &header, sizeof(header)); /* a block of no size */
	header.kind = 99;
	put(out, &header, sizeof(header));
	header = make_header(REC_PROCESS, sizeof(header));
	header.version = 9;
	put(out, &header, sizeof(header));
	r.str[STR_PATH] = (struct rec_str){.offset = 60000, .bytes = 60000, .kind = 1};
	put_request(out, r, NULL);
	r = make_request(91);
	r.writes.family = 77;
	put_request(out, r, "/family");
	r = make_request(92);
	put_request(out, r, "/also/sound");
	put_counters(out, 2, 0);
}

static void put_block(struct recording *out, __u64 id, __u64 index, __u64 bytes)
{
	struct rec_block record = {.h = make_header(REC_BLOCK, sizeof(record)),
				   .id = id,
				   .index = index,
				   .bytes = bytes,
				   .app_ns = index * 1234567,
				   .output_ns = 1000 + index};

	record.h.time_ns = MAKE_START + id * 1000 * MS + index * MS;
	put(out, &record, sizeof(record));
}

/* The blocks of two requests at once, and of one that never ends. */
static void fill_blocks(struct recording *out)
{
	struct rec_request r;

	put_worker(out, MAKE_PID, "waitress");
	put_block(out, 100, 1, 128);
	put_block(out, 101, 1, 5);
	put_block(out, 102, 1, 1);
	put_block(out, 100, 2, 0);
	put_block(out, 101, 2, ~0ULL);
	r = make_request(101);
	r.blocks = 2;
	put_request(out, r, "/second");
	put_block(out, 100, 3, 64);
	r = make_request(100);
	r.blocks = 3;
	r.bytes = 192;
	r.end_ns += 300 * MS;
	r.h.time_ns = r.end_ns;
	put_request(out, r, "/first");
	put_counters(out, 2, 0);
}

/* Enough of two routes for percentiles, and more groups than the table shows. */
static void fill_many(struct recording *out)
{
	char path[64];

	for (unsigned int i = 1; i <= 100; i++) {
		struct rec_request r = make_request(1000 + i);

		r.end_ns = r.start_ns + i * MS;
		r.h.time_ns = r.end_ns;
		r.output_ns = 0;
		make_latin1(&r, STR_ROUTE, i % 2 ? "/odd/<n>" : "/even/<n>");
		snprintf(path, sizeof(path), "/%s/%u", i % 2 ? "odd" : "even", i);
		put_request(out, r, path);
	}
	for (unsigned int i = 0; i < 2100; i++) {
		struct rec_request r = make_request(2000 + i);

		snprintf(path, sizeof(path), "/page-%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26,
			 'a' + i / 676);
		put_request(out, r, path);
	}
	put_counters(out, 2200, 0);
}

/* A request whose 10 ms went so, in the order of enum rec_state, in units of 10 us. */
static struct rec_request states_request(__u64 id, const __u64 units[STATE_COUNT])
{
	struct rec_request r = make_request(id);

	r.flags = REC_F_STATES;
	for (int i = 0; i < STATE_COUNT; i++)
		r.states.ns[i] = units[i] * MS / 100;
	return r;
}

static const __u64 all_states[STATE_COUNT] = {100, 50, 200, 300, 100, 25, 25, 150, 50};
static const __u64 cpu_only[STATE_COUNT] = {1000};
static const __u64 cpu_and_lock[STATE_COUNT] = {[STATE_CPU] = 300, [STATE_LOCK] = 700};
static const __u64 cpu_and_read[STATE_COUNT] = {[STATE_CPU] = 200, [STATE_SOCKET_READ] = 800};

static void fill_peers(struct recording *out)
{
	static const struct rec_peer peers[] = {
		{.wait_ns = 8 * MS,
		 .family = REC_FAMILY_INET,
		 .port = 5432,
		 .address = {10, 0, 0, 5}},
		{.wait_ns = 8 * MS,
		 .family = REC_FAMILY_INET6,
		 .port = 65535,
		 .address = {0x20, 1, 0xd, 0xb8, [15] = 1}},
		{.wait_ns = 8 * MS, .family = REC_FAMILY_UNIX},
		{.wait_ns = 1ULL << 63, .family = REC_FAMILY_INET, .address = {255, 255, 255, 255}},
		{.family = 77},
	};

	for (unsigned int i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		struct rec_request r = states_request(120 + i, cpu_and_read);

		r.states.peer = peers[i];
		put_request(out, r, "/peer");
	}
}

/* States that cannot be, though the record is sound otherwise. */
static void fill_false_states(struct recording *out)
{
	struct rec_request r = states_request(130, all_states);

	r.states.ns[STATE_SLEEP] += 10 * MS;
	put_request(out, r, "/sum/over");
	r = states_request(131, all_states);
	r.states.ns[STATE_SOCKET_READ] = 0;
	put_request(out, r, "/sum/short");
	r = states_request(132, cpu_only);
	r.states.ns[STATE_FILE] = ~0ULL; /* with the next one it wraps around to nothing */
	r.states.ns[STATE_LOCK] = 1;
	put_request(out, r, "/sum/wraps");
	r = states_request(133, cpu_only);
	r.flags |= REC_F_NO_END;
	r.end_ns = 0;
	put_request(out, r, "/no/end");
	r = states_request(134, cpu_only);
	r.flags |= REC_F_GC_SEEN;
	r.states.gc_ns = r.states.client_read_ns = 1ULL << 62;
	put_request(out, r, "/parts/over");
}

/* Where the time went, and what stands beside it. */
static void fill_states(struct recording *out)
{
	struct rec_request r = states_request(110, all_states);

	put_worker(out, MAKE_PID, "gunicorn");
	r.flags |= REC_F_GC_SEEN;
	r.states.client_read_ns = MS;
	r.states.peer = (struct rec_peer){.wait_ns = 3 * MS / 2,
					  .family = REC_FAMILY_INET,
					  .port = 80,
					  .address = {127, 0, 0, 1}};
	r.states.gc_ns = 123456;
	r.states.gc_count = 3;
	put_request(out, r, "/all");
	r = states_request(111, cpu_and_lock);
	r.flags |= REC_F_GIL_UNSEEN;
	r.states.gc_ns = 5;
	put_request(out, r, "/gil/unseen");
	put_request(out, states_request(112, cpu_and_lock), "/gil/seen");
	r = make_request(113);
	r.flags = REC_F_STATES_MIXED;
	put_request(out, r, "/mixed");
	r = states_request(114, cpu_only);
	r.states.ns[STATE_CPU] -= 40000;
	r.states.ns[STATE_SLEEP] = 40000; /* too little to be worth its place */
	r.flags |= REC_F_GC_SEEN;
	put_request(out, r, "/cpu");
	r = make_request(115);
	r.queue_ns = 12500001;
	put_request(out, r, "/queue/socket");
	r = make_request(116);
	r.queue_ns = 12500001;
	make_latin1(&r, STR_QUEUE, "t=1795341715.990");
	put_request(out, r, "/queue/header");
	r = make_request(117);
	r.queue_ns = 1ULL << 60;
	put_request(out, r, "/queue/false");
	fill_peers(out);
	fill_false_states(out);
	put_counters(out, 17, 0);
}

/* Nothing happened. */
static void fill_empty(struct recording *out)
{
	put_counters(out, 0, 0);
}

static const struct golden_recording recordings[] = {
	{"outcomes", fill_outcomes},
	{"notes", fill_notes},
	{"hostile", fill_hostile},
	{"lying", fill_lying},
	{"broken", fill_broken},
	{"blocks", fill_blocks},
	{"many", fill_many},
	{"empty", fill_empty},
	{"states", fill_states},

	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return recordings_write(argc, argv, recordings);
}
