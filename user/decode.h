/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to checked events. The last place that knows abi.h and marks.h: what is behind it can rely
 * on every size, kind and offset here, but not on what the numbers say, for a worker can lie.
 */
#ifndef WSGISCOPE_DECODE_H
#define WSGISCOPE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

enum event_kind {
	EVENT_IS_REQUEST,
	EVENT_IS_BLOCK,
	EVENT_IS_PROCESS,
	EVENT_IS_WORKER,
	EVENT_IS_COUNTERS,
	EVENT_IS_CODE,
	EVENT_IS_SAMPLE,
	EVENT_IS_WIRE,
};

/* A string of a request: bytes as PEP 3333 had them, else UTF-8. May hold anything. */
struct event_text {
	struct request_text text; /* borrowed from the event */
	bool cut;		  /* longer in the worker than what was kept */
	bool failed;		  /* the worker's memory could not be read */
};

/* All texts of a request, each character of every kept byte at its widest in UTF-8. */
#define EVENT_TEXT_BYTES 1536

/* A count that could not be seen: nothing real is so large. */
#define EVENT_UNSEEN UINT64_MAX

struct event_writes {
	uint64_t calls, bytes, time_ns;
	uint64_t first_ns;   /* CLOCK_MONOTONIC when the first one returned, 0: none */
	unsigned int status; /* said by the first bytes, 0: not seen */
	int error;	     /* errno of the last failed one, 0: none */
	enum request_family family;
};

/* As "10.0.0.5:5432", "[::1]:5432" or "unix". */
#define EVENT_PEER_BYTES 64

struct event_states {
	bool seen, mixed, gil_unseen, gc_seen;
	uint64_t ns[REQUEST_STATES];
	uint64_t client_read_ns;
	char peer[EVENT_PEER_BYTES]; /* terminated; "": none */
	uint64_t peer_ns;
	uint64_t gc_ns, gc_count;
};

/* From the client, as far as reads were watched. */
struct event_reads {
	uint64_t bytes, calls; /* 0: none, or not watched */
	uint64_t states_ns;    /* of a turn: when its states began to count */
};

/* What a record of a turn of a connection has that one of a request has not (bpf/wire.bpf.c). */
struct event_turn {
	bool is_turn;	  /* it is one: not a request yet */
	bool made;	  /* a request that was made of turns (wire.c) */
	uint64_t conn;	  /* of either kind, 0: not known */
	uint64_t last_ns; /* when the last write returned */
	bool answer;	  /* began with a write: nothing was read in it */
	bool last_chunk;  /* the last write was an empty chunk, and no more */
	bool closed;	  /* the connection was closed */
	bool truncated;	  /* made: the answer was not as long as it said */
	bool pipelined;	  /* made: its bytes had come with another request's */
	/* The first bytes that it read and wrote; borrowed from the event. NULL: of an
	 * EVENT_IS_WIRE that came before. */
	struct request_text read, written;
};

struct event_request {
	uint64_t id;
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC, as the worker said; end 0: not known */
	uint64_t output_ns, blocks, bytes;
	unsigned int status; /* 0: start_response was not called */
	/* What the marker saw. */
	bool raised_call, raised_iter, raised_close;
	bool exhausted, closed, unclosed;
	bool is_bytes, is_str, is_file_wrapper, used_write;
	bool blocks_unseen, end_inferred, nested;
	/* What the kernel side says of its own record. */
	bool no_start, no_end, conn_unknown, writes_cut, text_unread, id_reused;
	bool write_short;  /* the last write took less than it was given */
	uint64_t queue_ns; /* as the kernel saw it, 0: not seen */
	struct event_writes writes;
	struct event_states states;
	struct event_reads reads;
	struct event_turn turn;
	struct event_text method, script, path, queue, traceparent, app, route, exception;
	char storage[EVENT_TEXT_BYTES]; /* the texts' bytes */
};

struct event_block {
	uint64_t id, index, bytes, app_ns, output_ns;
};

enum event_process_what {
	PROCESS_FORKED,
	PROCESS_EXECED,
	PROCESS_EXITED,
	PROCESS_THREAD_EXITED, /* the event's tid, which has begun requests */
	PROCESS_NOTED,	       /* something that only the source acts on */
};

struct event_process {
	enum event_process_what what;
	uint32_t other; /* the child, of PROCESS_FORKED */
};

#define EVENT_SERVER_BYTES 16
#define EVENT_APP_BYTES	   64

struct event_worker {
	uint32_t parent;
	uint32_t python;		 /* PY_VERSION_HEX, 0: not known */
	char server[EVENT_SERVER_BYTES]; /* of A-Z a-z 0-9 _ - . only, terminated; "": not known */
	bool has_marker, is_wired;
	enum request_app_source app_source; /* not APP_MARK: that is said by each request */
	char app[EVENT_APP_BYTES];	    /* any bytes, terminated; "": not known */
};

#define EVENT_COUNTS_MAX 40

/* So far; both end with name NULL. */
struct event_counters {
	struct request_count events[EVENT_COUNTS_MAX];
	struct request_count losses[EVENT_COUNTS_MAX];
	uint64_t waits_unasked; /* one of the events: the footers of profiles tell it */
};

/* A stack's frame: where it is, not what it is called. */
struct event_frame {
	uint64_t code; /* address of the code object; of a native frame: of the instruction */
	uint32_t fingerprint; /* tells a reused address, 0: none */
	int32_t offset;	      /* of the instruction, in bytes into the bytecode; -1: not known */
};

#define EVENT_FRAMES_MAX (512 + 127 + 127)

struct event_sample {
	uint64_t id;	    /* of the request that the thread serves, 0: none */
	uint64_t weight_ns; /* what it stands for */
	bool is_wait;	    /* a wait that ended; else the clock ticked while it ran */
	enum request_state state;
	/* The outermost frames are missing, there was no room: Python's, native, the kernel's. */
	bool truncated, native_cut, kernel_cut;
	const char *missing; /* static, "[frames missing: why]"; NULL: none are */
	/* How many of each kind, in this order in frames, each innermost first. */
	unsigned int python, native, kernel;
	char peer[EVENT_PEER_BYTES]; /* of a wait in socket_read, terminated; "": none */
	struct event_frame frames[EVENT_FRAMES_MAX];
};

enum event_code_kind {
	CODE_IS_PYTHON,
	CODE_IS_NATIVE,
	CODE_IS_KERNEL,
};

struct event_line {
	uint32_t offset; /* from this byte of the bytecode on; ascending */
	uint32_t line;	 /* 0: none */
};

#define EVENT_LINES_MAX	      4096
#define EVENT_CODE_TEXT_BYTES (256 + 512)

struct event_code {
	uint64_t code; /* as in event_frame */
	uint32_t fingerprint;
	uint32_t first_line;
	enum event_code_kind kind;
	const char *failed; /* static, "[no name: why]"; NULL: it has one */
	struct request_text name, file;
	unsigned int line_count;
	struct event_line lines[EVENT_LINES_MAX];
	char storage[EVENT_CODE_TEXT_BYTES]; /* the texts' bytes */
};

enum event_wire_what {
	WIRE_WAS_READ,
	WIRE_WAS_WRITTEN,
	WIRE_WAS_CLOSED,
};

#define EVENT_WIRE_BYTES 8192

/* Of a connection: the first bytes that a turn of it read or wrote, or that it is closed. */
struct event_wire {
	uint64_t conn;
	uint64_t turn;	 /* the id of the turn's record, which comes later */
	uint64_t offset; /* of data, in all that the turn has read or written */
	enum event_wire_what what;
	unsigned int bytes;
	char data[EVENT_WIRE_BYTES];
};

struct event {
	enum event_kind kind;
	uint32_t pid, tid;
	uint64_t time_ns; /* CLOCK_MONOTONIC when the record was made */
	union {
		struct event_request request;
		struct event_block block;
		struct event_process process;
		struct event_worker worker;
		struct event_counters counters;
		struct event_code code;
		struct event_sample sample;
		struct event_wire wire;
	};
};

/*
 * Checks a raw record of so many bytes and fills *out, which owns all that it points at and must
 * not be moved while it is in use. The record may lie at any address.
 * 0; -EBADMSG: makes no sense; -EPROTONOSUPPORT: of a kind or version not known here.
 */
int decode_record(const void *record, size_t bytes, struct event *out);

/* The loss that a record which could not be decoded counts as, as it is named in losses. */
const char *decode_stream_loss(void);

#endif
