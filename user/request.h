/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A finished request, complete: what the assembler makes and every sink shows. Knows nothing of
 * BPF, the marker or abi.h. A number that could not be seen is REQUEST_UNSEEN, never 0.
 */
#ifndef WSGISCOPE_REQUEST_H
#define WSGISCOPE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_UNSEEN INT64_C(-1)

enum request_mode {
	REQUEST_MARKER, /* exact WSGI semantics, from the marker */
	REQUEST_WIRE,	/* what the socket showed */
};

enum request_outcome {
	OUTCOME_OK,
	OUTCOME_EXCEPTION,  /* raised in the call, the iteration or close() */
	OUTCOME_DISCONNECT, /* the client went */
	OUTCOME_UNCLOSED,   /* the worker ended, or the server never called close() */
};

enum request_family {
	FAMILY_UNSEEN,
	FAMILY_INET,
	FAMILY_INET6,
	FAMILY_UNIX,
	FAMILY_OTHER,
};

/* What says which application a request was for. */
enum request_app_source {
	APP_UNKNOWN,
	APP_MARK,    /* the name given to mark() */
	APP_TITLE,   /* the server's name for it, in its process title */
	APP_ADDRESS, /* where the server listens */
};

/* Where the application time went. Exclusive; they add up to it. In the order of the record. */
enum request_state {
	REQUEST_CPU,	  /* by the thread's own CPU clock */
	REQUEST_RUNNABLE, /* waiting for a CPU, also for one that a hypervisor has taken */
	REQUEST_GIL,	  /* waiting for CPython's global interpreter lock */
	REQUEST_SOCKET_READ,
	REQUEST_SOCKET_WRITE, /* blocked in sending to the client */
	REQUEST_FILE,
	REQUEST_LOCK,
	REQUEST_SLEEP,
	REQUEST_OTHER,
	REQUEST_STATES,
};

/* Remarks on a record: bits, shown as names in "notes". Append only. */
enum request_note {
	NOTE_RETURNED_BYTES = 1 << 0,  /* the application returned bytes as the iterable */
	NOTE_RETURNED_STR = 1 << 1,    /* the application returned str as the iterable */
	NOTE_FILE_WRAPPER = 1 << 2,    /* sent by the server's wsgi.file_wrapper: blocks unseen */
	NOTE_WRITE_CALLABLE = 1 << 3,  /* the application used write() */
	NOTE_END_INFERRED = 1 << 4,    /* no close() to see: ended when the server let go of it */
	NOTE_WRITES_UNSEEN = 1 << 5,   /* the connection is not known: write fields are null */
	NOTE_WRITES_CUT = 1 << 6,      /* writes were still going out when the record was closed */
	NOTE_TEXT_CUT = 1 << 7,	       /* a string was longer than what is kept */
	NOTE_TEXT_UNREADABLE = 1 << 8, /* a string could not be read from the worker */
	NOTE_NESTED = 1 << 9,	       /* a further mark() lies inside; counted once */
	NOTE_NO_START = 1 << 10,       /* seen from its end only */
	NOTE_CLOSED_EARLY = 1 << 11,   /* closed before its end, by the server */
	NOTE_ID_REUSED = 1 << 12,      /* another took its id or connection: its end was not seen */
	NOTE_STATES_MIXED = 1 << 13, /* took turns on its thread, or ended on another: no states */
	NOTE_GIL_UNSEEN = 1 << 14,   /* waits for the GIL cannot be told: they are in lock */
	NOTE_PIPELINED = 1 << 15,    /* came with the one before it, at whose end it begins */
};

/* Bytes as the worker had them (a PEP 3333 string taken back to bytes; others as UTF-8). Not
 * NUL-terminated, may hold anything: escape on output. ptr NULL: absent. */
struct request_text {
	const char *ptr; /* borrowed from the request */
	size_t bytes;
};

struct request {
	uint64_t id;
	uint32_t pid;
	uint32_t tid;
	const char *server; /* borrowed, never freed while the assembler lives; NULL: not known */
	enum request_mode mode;
	enum request_outcome outcome;
	uint32_t notes;	 /* enum request_note */
	int64_t time_ns; /* when the application was called, CLOCK_REALTIME (UTC) */
	struct request_text method, path, route, path_group, app, exception, traceparent;
	enum request_app_source app_source;
	/* What the application gave, REQUEST_UNSEEN: start_response not called; of the wire: what
	 * the client got. */
	int64_t status;
	int64_t wire_status; /* what the first write to the client said */
	int64_t application_ns;
	int64_t output_ns;
	int64_t blocks;
	int64_t bytes;
	int64_t request_bytes; /* what the client sent: head and body; unseen by the marker */
	int64_t write_calls;
	int64_t write_bytes;
	int64_t write_ns;
	enum request_family family;
	int64_t first_byte_ns; /* from the start */
	int64_t queue_ns;
	const char *queue_source;	   /* static string or NULL */
	int64_t states_ns[REQUEST_STATES]; /* all REQUEST_UNSEEN, or only that of the GIL */
	int64_t client_read_ns;		   /* of socket_read: on the request's own connection */
	struct request_text peer; /* of socket_read: the other connection most waited for */
	int64_t peer_ns;
	int64_t gc_ns; /* garbage collections inside: an overlay, not a state */
	int64_t gc_count;
	struct request_text top_frame; /* where the application was most; only with --top-frame */
};

/* When it ended, CLOCK_REALTIME; far in the future where that is not known. */
static inline int64_t request_end_ns(const struct request *request)
{
	return request->application_ns == REQUEST_UNSEEN
		       ? INT64_MAX / 2
		       : request->time_ns + request->application_ns;
}

/* One block, only with --blocks. */
struct request_block {
	uint64_t id;
	uint32_t pid;
	uint32_t tid;
	int64_t time_ns; /* CLOCK_REALTIME when it had been taken */
	uint64_t index;	 /* from 1 */
	uint64_t bytes;
	uint64_t app_ns;    /* the application's time to make it */
	uint64_t output_ns; /* the server's time to take it */
};

/* Named counts at a moment: events seen and losses by reason. Both arrays end with name NULL. */
struct request_count {
	const char *name; /* static */
	uint64_t value;
};

struct request_totals {
	const struct request_count *events;
	const struct request_count *losses;
	bool counted;	   /* the counts came; false: the recording ends before them */
	uint64_t requests; /* made complete by the assembler */
	uint64_t shown;	   /* passed the filter */
};

#endif
