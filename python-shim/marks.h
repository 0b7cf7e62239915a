/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The contract between the marker (user/worker side) and the tracer's BPF programs.
 *
 * Owns: the layout of what a mark points at, the names of the marks, the limits of trust.
 * Must not know: CPython, BPF helpers, the ring buffer. No libc header: vmlinux.h comes first in
 * BPF.
 *
 * A mark is an exported function that begins with a one-byte nop and returns at once; its first
 * argument points at a struct wsgiscope_request. A USDT note of provider "wsgiscope" names the same
 * address and the arguments' registers, so any USDT tool can use it. One semaphore per probe.
 *
 *   request_start   the application is about to be called. The struct's id, start_ns and fd come as
 *                   the 2nd to 4th argument too: to read a worker's memory is the dearest thing
 *                   that a tracer does, and it need not be done before the end
 *   request_block   control has come back for the next block: the block_* fields describe the
 *                   block that has just been taken (attached only where block detail is asked for)
 *   request_end     close() has returned, or the call or the iteration ended another way
 *
 * Why a one-byte nop and not the five-byte one: Linux 6.18 turns a probe on a five-byte nop into a
 * call of a trampoline page that fork() does not copy, so that a forked child which runs the mark
 * dies of SIGSEGV (tests/bench/nop5_fork shows it). A traced program must never notice.
 */
#ifndef WSGISCOPE_MARKS_H
#define WSGISCOPE_MARKS_H

#define WSGISCOPE_PROVIDER	"wsgiscope"
#define WSGISCOPE_MARKS_VERSION 2

/* How a string lies in memory (struct wsgiscope_str.kind). */
enum wsgiscope_str_kind {
	WSGISCOPE_STR_NONE = 0, /* absent */
	WSGISCOPE_STR_LATIN1 =
		1, /* one byte a character: a PEP 3333 string, bytes dressed as Latin-1 */
	WSGISCOPE_STR_UCS2 = 2, /* two bytes a character, host order */
	WSGISCOPE_STR_UCS4 = 4, /* four bytes a character, host order */
	WSGISCOPE_STR_UTF8 = 8, /* UTF-8 (a C string or a cached UTF-8 form), len in bytes */
};

/* As it lies in the worker's memory, or copied into wsgiscope_request.text; valid only while the
 * mark runs. */
struct wsgiscope_str {
	unsigned long long ptr; /* address in the worker */
	unsigned int len;	/* characters, of kind's width */
	unsigned int kind;	/* enum wsgiscope_str_kind */
};

/*
 * Bytes of wsgiscope_request.text: the usual method, path and route. Reading a worker's memory
 * costs a tracer some 200 ns a time, whatever the length.
 */
#define WSGISCOPE_TEXT_MAX 128

/* struct wsgiscope_request.flags */
enum wsgiscope_request_flags {
	WSGISCOPE_F_EXC_CALL = 1 << 0,	/* the call of the application raised */
	WSGISCOPE_F_EXC_ITER = 1 << 1,	/* the iteration raised */
	WSGISCOPE_F_EXC_CLOSE = 1 << 2, /* close() raised */
	WSGISCOPE_F_EXHAUSTED = 1 << 3, /* the iterable was taken to its end */
	WSGISCOPE_F_CLOSED = 1 << 4,	/* the server called close() */
	WSGISCOPE_F_UNCLOSED = 1 << 5,	/* dropped without close(), before its end */
	WSGISCOPE_F_BYTES = 1 << 6, /* the application returned bytes itself: handed on untouched */
	WSGISCOPE_F_STR = 1 << 7,   /* the application returned str itself: handed on untouched */
	WSGISCOPE_F_FILE_WRAPPER = 1
				   << 8, /* wsgi.file_wrapper: handed on untouched, blocks unseen */
	WSGISCOPE_F_WRITE = 1 << 9,	 /* the write() callable was used */
	WSGISCOPE_F_BLOCKS_UNSEEN = 1 << 10, /* blocks, bytes and output_ns are not known */
	WSGISCOPE_F_END_INFERRED = 1 << 11,  /* the end is when the server let go of the request */
	WSGISCOPE_F_NESTED =
		1 << 12, /* a further mark() lies inside this one and was passed through */
	WSGISCOPE_F_CLIENT_FD = 1 << 13, /* fd is known to be the client's connection */
};

/*
 * One request as the worker counted it. Owned by the marker; lives as long as the request. Times
 * are CLOCK_MONOTONIC nanoseconds. Append only: a reader copies min(size, what it knows).
 */
struct wsgiscope_request {
	unsigned int version;	     /* WSGISCOPE_MARKS_VERSION */
	unsigned int size;	     /* sizeof(struct wsgiscope_request) of the writer */
	unsigned long long id;	     /* unique in the process; never 0 */
	unsigned long long start_ns; /* when the application was called */
	unsigned long long end_ns;   /* when it ended, 0 until then */
	unsigned long long
		first_block_ns;		/* when the first block was handed to the server, 0: none */
	unsigned long long output_ns;	/* sum of (control back - block handed over) */
	unsigned long long blocks;	/* items yielded + calls of write() */
	unsigned long long bytes;	/* length of all blocks */
	unsigned long long block_bytes; /* request_block: this block's length */
	unsigned long long block_app_ns; /* request_block: time the application took to make it */
	unsigned long long block_output_ns; /* request_block: its share of output_ns */
	unsigned int status;		    /* what start_response was given, 0: not called */
	int fd;				    /* the client's connection, -1: not known */
	unsigned int flags;		    /* enum wsgiscope_request_flags */
	unsigned int text_bytes;	    /* used of text */
	struct wsgiscope_str method;	    /* REQUEST_METHOD */
	struct wsgiscope_str script;	    /* SCRIPT_NAME */
	struct wsgiscope_str path;	    /* PATH_INFO */
	struct wsgiscope_str queue;	    /* X-Request-Start or X-Queue-Start */
	struct wsgiscope_str traceparent;   /* W3C traceparent header */
	struct wsgiscope_str app;	    /* the name given to mark() */
	struct wsgiscope_str route;	    /* the framework's template; set by request_end */
	struct wsgiscope_str exception;	    /* the exception's type; set by request_end */
	/* Short strings, copied: who reads the struct has read them too. A string whose ptr does
	 * not lead here lies elsewhere. Grows only: what was there at the start is there at the
	 * end. */
	char text[WSGISCOPE_TEXT_MAX];
};

_Static_assert(sizeof(struct wsgiscope_str) == 16, "wsgiscope_str is part of the contract");
_Static_assert(sizeof(struct wsgiscope_request) == 360,
	       "wsgiscope_request is part of the contract");

#endif
