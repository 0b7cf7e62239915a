/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The contract between the kernel side and user space: record kinds, limits, drop reasons.
 * No code, no libc header (vmlinux.h or <linux/types.h> comes first). Every record begins with
 * struct rec_header; enums are append-only; user space re-checks every size (user/decode.c).
 * The same records, framed the same way, make up a recording (user/source_file.c).
 */
#ifndef WSGISCOPE_ABI_H
#define WSGISCOPE_ABI_H

#define REC_VERSION 6

enum rec_kind {
	REC_REQUEST = 1, /* struct rec_request: one finished (or lost) request */
	REC_BLOCK = 2,	 /* struct rec_block: one block, only with --blocks */
	REC_PROCESS = 3, /* struct rec_process: fork, exec, exit, a process not known yet */
	REC_WORKER =
		4, /* struct rec_worker: what user space knows of a process; made by user space */
	REC_COUNTERS = 5, /* struct rec_counters: events and losses so far; made by user space */
	REC_CODE = 6,	  /* struct rec_code: a code object or a native symbol; made by user space,
			   * may come after the samples that name it */
	REC_SAMPLE = 7,	  /* struct rec_sample: one stack */
	REC_RAW_CODE = 8, /* struct rec_raw_code: for the source alone, never in a recording */
	REC_WIRE = 9, /* struct rec_wire_bytes: what went over a connection, or that it closed; for
		       * the pipeline alone, never in a recording */
};

struct rec_header {
	__u32 size;    /* of the whole record, this header included */
	__u16 kind;    /* enum rec_kind */
	__u16 version; /* REC_VERSION */
	__u32 tgid;    /* process, in the tracer's (initial) PID namespace */
	__u32 tid;     /* thread that made the record */
	__u64 time_ns; /* CLOCK_MONOTONIC; of a request: when it was last heard of */
};

enum rec_family {
	REC_FAMILY_NONE = 0, /* no write seen */
	REC_FAMILY_INET = 1,
	REC_FAMILY_INET6 = 2,
	REC_FAMILY_UNIX = 3,
	REC_FAMILY_OTHER = 4,
};

/* The socket-write system calls made for one request on the connection that it came in on. */
struct rec_writes {
	__u64 calls;	   /* failed ones included */
	__u64 bytes;	   /* sum of what they returned */
	__u64 time_ns;	   /* time inside them */
	__u64 first_ns;	   /* CLOCK_MONOTONIC when the first successful one returned, 0: none */
	__u64 last_ns;	   /* when the last one returned, 0: none */
	__u32 family;	   /* enum rec_family */
	__u16 wire_status; /* from the first bytes written: HTTP/1.x NNN or Status: NNN, 0: not seen
			    */
	__u16 error; /* errno of the last failed write that was not EAGAIN or EINTR, 0: none */
};

/* Where the application time went. Exclusive; they add up to it. */
enum rec_state {
	STATE_CPU,
	STATE_RUNNABLE,
	STATE_GIL,
	STATE_SOCKET_READ,
	STATE_SOCKET_WRITE,
	STATE_FILE,
	STATE_LOCK,
	STATE_SLEEP,
	STATE_OTHER,
	STATE_COUNT,
};

/* The other end of a connection that a request waited for. */
struct rec_peer {
	__u64 wait_ns;
	__u32 family; /* enum rec_family; NONE: no such wait */
	__u16 port;   /* host order */
	__u16 pad;
	__u8 address[16]; /* network order; the first 4 bytes of an inet one */
};

struct rec_states {
	__u64 ns[STATE_COUNT];
	__u64 client_read_ns; /* of socket_read: on the request's own connection */
	struct rec_peer peer; /* of socket_read: the other connection most waited for */
	__u64 gc_ns;	      /* an overlay, not a state */
	__u32 gc_count;
	__u32 pad;
};

/* The strings of a request, in the order in which they lie in rec_request.text. */
enum rec_string {
	STR_METHOD,
	STR_SCRIPT,
	STR_PATH,
	STR_QUEUE,
	STR_TRACEPARENT,
	STR_APP,
	STR_ROUTE,
	STR_EXCEPTION,
	STR_COUNT,
};

/* Bytes kept of each; what is longer is cut and marked. What the marker had copied together
 * (WSGISCOPE_TEXT_MAX) comes first, the others behind it. */
#define STR_METHOD_MAX	    16
#define STR_SCRIPT_MAX	    64
#define STR_PATH_MAX	    256
#define STR_QUEUE_MAX	    48
#define STR_TRACEPARENT_MAX 64
#define STR_APP_MAX	    32
#define STR_ROUTE_MAX	    128
#define STR_EXCEPTION_MAX   64
#define STR_BESIDE_MAX	    128 /* WSGISCOPE_TEXT_MAX */
#define STR_TEXT_MAX	    800 /* the sum of all */

/*
 * A turn of a connection has two others: the first bytes that it read and wrote, where they are few
 * and are HTTP's; else they came before it, in REC_WIREs. Of each of the two all or none lie here.
 */
enum rec_turn_string {
	TURN_READ,
	TURN_WRITTEN,
	TURN_STRINGS,
};

struct rec_str {
	__u16 offset; /* into text */
	__u16 bytes;  /* kept */
	__u8 kind;    /* enum wsgiscope_str_kind; NONE: absent */
	__u8 cut;     /* 1: longer in the worker than what was kept */
	__u8 failed;  /* 1: the worker's memory could not be read */
	__u8 pad;
};

enum rec_request_flags {
	REC_F_NO_START = 1 << 0,     /* the end was seen, the start was not */
	REC_F_NO_END = 1 << 1,	     /* the worker ended, execed or went on without an end mark */
	REC_F_CONN_UNKNOWN = 1 << 2, /* the connection is not known: writes were not attributed */
	REC_F_DRAINED = 1 << 3,	     /* was kept after its end for late writes */
	REC_F_WRITES_CUT = 1 << 4,   /* given up on while writes were still going out */
	REC_F_TEXT_UNREAD = 1 << 5,  /* lost before its strings were read */
	REC_F_ID_REUSED = 1 << 6,    /* another request began with the same id or connection */
	/* Has ended, is kept for late writes; never in a finished record. */
	REC_F_DRAINING = 1 << 7,
	/* The last write took less than it was given: more must follow. */
	REC_F_WRITE_SHORT = 1 << 8,
	REC_F_STATES = 1 << 9,	      /* the states are of this request alone */
	REC_F_STATES_MIXED = 1 << 10, /* took turns on its thread, or ended on another */
	REC_F_GIL_UNSEEN = 1 << 11,   /* where the GIL lies is not known: it is in lock */
	REC_F_GC_SEEN = 1 << 12,      /* the interpreter tells of its collections */
	/* Not a request but a turn of a connection, to be made into requests by user space: what
	 * was read from it, then what was written. */
	REC_F_WIRE = 1 << 13,
	REC_F_WIRE_ANSWER = 1 << 14,	 /* began with a write: nothing was read in it */
	REC_F_WIRE_INTERIM = 1 << 15,	 /* all that was written is an interim answer (1xx) */
	REC_F_WIRE_LAST_CHUNK = 1 << 16, /* the last write was an empty chunk, and no more */
	REC_F_WIRE_CLOSED = 1 << 17,	 /* the connection was closed or shut down */
	REC_F_WIRE_LEFT = 1 << 18,	 /* the kernel side's own: its thread serves others */
	REC_F_WRITING = 1 << 19,	 /* a thread is in a write */
	/* A request again, made of turns by user space, for a recording: the next two say more. */
	REC_F_WIRE_MADE = 1 << 20,
	REC_F_WIRE_TRUNCATED = 1 << 21, /* the answer was not as long as it said */
	REC_F_WIRE_PIPELINED = 1 << 22, /* its bytes had come with another request's */
};

/* Of a connection, as far as reads were watched. */
struct rec_reads {
	__u64 bytes;	 /* in a turn; of a marked request: head and body; 0: not watched */
	__u64 calls;	 /* that brought bytes */
	__u64 states_ns; /* of a turn: when its states began to count */
};

struct rec_request {
	struct rec_header h; /* tid: the thread that ended it (began it, with REC_F_NO_END) */
	__u64 id;
	__u64 conn;	/* socket's inode number, 0: not known */
	__u64 start_ns; /* CLOCK_MONOTONIC, as the marker said */
	__u64 end_ns;	/* 0 with REC_F_NO_END */
	__u64 first_block_ns;
	__u64 output_ns;
	__u64 blocks;
	__u64 bytes;
	__u32 status;
	__s32 fd;
	__u32 mark_flags; /* enum wsgiscope_request_flags */
	__u32 flags;	  /* enum rec_request_flags */
	__u64 queue_ns;	  /* from when its bytes were readable to the start, 0: not known */
	struct rec_writes writes;
	struct rec_states states;
	struct rec_reads reads;
	struct rec_str str[STR_COUNT];
	__u32 text_bytes; /* used of text; the record in the ring ends there */
	__u16 process;	  /* the kernel side's own: enum process_flags */
	__u16 gil_known;  /* the same */
	char text[STR_TEXT_MAX];
};

/*
 * The table of requests that both sides work on (bpf/table.bpf.h, user/request_table.c): a request
 * lies in a slot, and who changes the slot's key by compare-and-swap has it. A key is a socket's
 * inode number, or has the top bit set (request_key_by_id()).
 */
#define GROUP_SLOTS 8		 /* whose keys are one cache line */
#define KEY_OWNED   (1ULL << 62) /* with a key: somebody changes it */
#define KEY_BUSY    (~0ULL)	 /* somebody fills or empties it; 0: it is free */

struct request_group {
	__u64 key[GROUP_SLOTS];
};

enum rec_wire_what {
	WIRE_READ = 1,	  /* bytes that were read */
	WIRE_WRITTEN = 2, /* bytes that were written */
	WIRE_CLOSED = 3,  /* the connection was closed outside of a turn */
};

/* As much is copied of what a turn reads and writes: the heads are what is wanted. */
#define WIRE_READ_MAX	 8192
#define WIRE_WRITTEN_MAX 1024

/* Comes before the struct rec_request of its turn, in the order of the offsets. */
struct rec_wire_bytes {
	struct rec_header h;
	__u64 conn;   /* as in rec_request */
	__u64 id;     /* of the turn, 0 with WIRE_CLOSED */
	__u64 offset; /* of data, in all that the turn has read or written */
	__u32 what;   /* enum rec_wire_what */
	__u32 bytes;  /* of data, which is filled up to a multiple of 8 */
	__u8 data[];
};

struct rec_block {
	struct rec_header h;
	__u64 id;
	__u64 index; /* from 1 */
	__u64 bytes;
	__u64 app_ns;	 /* the application's time to make it */
	__u64 output_ns; /* the server's time to take it */
};

enum rec_process_what {
	REC_PROCESS_FORK = 1, /* other = the child's tgid */
	REC_PROCESS_EXEC = 2,
	REC_PROCESS_EXIT = 3,	     /* the last thread is going */
	REC_PROCESS_NEW = 4,	     /* a process that was not known has run a mark */
	REC_PROCESS_FD_HIDDEN = 5,   /* a request began without the client's descriptor */
	REC_PROCESS_THREAD_EXIT = 6, /* a thread that has begun requests, not the last one */
};

struct rec_process {
	struct rec_header h;
	__u32 what; /* enum rec_process_what */
	__u32 other;
};

#define REC_SERVER_MAX 16
#define REC_APP_MAX    64

enum rec_worker_flags {
	REC_WORKER_MARKER = 1 << 0,	 /* it has loaded the marker */
	REC_WORKER_APP_ADDRESS = 1 << 1, /* app is where it listens, not what it calls itself */
	REC_WORKER_WIRE = 1 << 2,	 /* its connections are watched */
};

struct rec_worker {
	struct rec_header h;
	__u32 parent;		     /* tgid */
	__u32 python;		     /* PY_VERSION_HEX, 0: not known */
	char server[REC_SERVER_MAX]; /* NUL-terminated name of the row in user/servers/, "" not
					known */
	/* Older recordings end here. */
	__u32 flags; /* enum rec_worker_flags */
	__u32 pad;
	char app[REC_APP_MAX]; /* NUL-terminated, else any bytes; "" not known */
};

enum rec_sample_what {
	SAMPLE_CPU = 1,	 /* the clock ticked while it ran */
	SAMPLE_WAIT = 2, /* a wait ended: its weight is the wait's length */
};

enum rec_sample_flags {
	SAMPLE_F_TRUNCATED = 1 << 0,  /* the outermost Python frames are missing: no room */
	SAMPLE_F_GIL_HELD = 1 << 1,   /* the thread was the one that may run Python code */
	SAMPLE_F_NATIVE_CUT = 1 << 2, /* the outermost native frames are missing: no room */
	SAMPLE_F_KERNEL_CUT = 1 << 3, /* the outermost kernel frames */
};

/* Why a sample has no Python frames, or not all of them. */
enum rec_stack_error {
	STACK_OK,	       /* with no frames: the thread ran no Python code */
	STACK_NO_PYTHON,       /* no CPython in it yet, or one whose layout was refused */
	STACK_NO_THREAD_STATE, /* a thread that the interpreter does not know */
	STACK_UNREADABLE,      /* a page that was not in memory */
	STACK_BAD_FRAME,       /* what should have been a frame was none */
	STACK_ERRORS,
};

/* Frames of one sample at most, of each kind. */
#define STACK_PYTHON_MAX 512
#define STACK_NATIVE_MAX 127
#define STACK_KERNEL_MAX 127

struct rec_frame {
	__u64 code;	   /* address of the code object; of a native frame: of the instruction */
	__u32 fingerprint; /* of the code object: tells a reused address; 0: none or not read */
	__s32 offset;	   /* of the instruction, in bytes into the bytecode; -1: not known */
};

struct rec_sample {
	struct rec_header h; /* time_ns: when it was taken; of a wait: when that ended */
	__u64 id;	     /* of the request that the thread serves, 0: none */
	__u64 weight_ns;     /* what it stands for: the clock's period, the length of the wait */
	__u8 what;	     /* enum rec_sample_what */
	__u8 state;	     /* enum rec_state */
	__u8 error;	     /* enum rec_stack_error */
	__u8 flags;	     /* enum rec_sample_flags */
	/* How many frames of each kind: they follow in this order, each innermost first. */
	__u16 python;
	__u16 native;
	__u16 kernel;
	__u16 pad;
	__u32 pad2;
	struct rec_peer peer; /* of a wait in socket_read */
	struct rec_frame frames[];
};

enum rec_code_kind {
	CODE_PYTHON = 1,
	CODE_NATIVE = 2,
	CODE_KERNEL = 3,
};

/* Why a code object has no name. */
enum rec_code_failed {
	CODE_OK,
	CODE_GONE,	 /* its process had ended */
	CODE_REPLACED,	 /* another object lay at its address by then */
	CODE_UNREADABLE, /* memory that is not what a code object would be */
	CODE_UNKNOWN,	 /* of a native address: no symbol */
	CODE_FAILURES,
};

#define REC_CODE_NAME_MAX  256
#define REC_CODE_FILE_MAX  512
#define REC_CODE_LINES_MAX 4096

struct rec_line {
	__u32 offset; /* from this byte of the bytecode on; ascending */
	__u32 line;   /* 0: none */
};

/* Then `lines` of struct rec_line, the name (qualified, where there is such a name) and the file,
 * both UTF-8, unterminated, filled up with zeros to a multiple of 8. */
struct rec_code {
	struct rec_header h; /* tgid: whose; 0: the kernel's */
	__u64 code;	     /* as in rec_frame */
	__u32 fingerprint;
	__u32 first_line;
	__u8 kind;   /* enum rec_code_kind */
	__u8 failed; /* enum rec_code_failed */
	__u16 name_bytes;
	__u16 file_bytes;
	__u16 lines;
};

/* What a code object's members point at, as much as is taken of each. */
#define RAW_TEXT_BYTES	 448
#define RAW_LINES_BYTES	 1024
#define RAW_WINDOW_WORDS 16 /* the first PYSTACK_PRINT_WORDS are used */
#define RAW_HEAD_WORDS	 4

/*
 * A code object, as it lay in memory when it was sampled first: it may be gone before it can be
 * asked for at leisure. Goes before the sample that names it.
 */
struct rec_raw_code {
	struct rec_header h;
	__u64 code;
	__u32 fingerprint;
	__u16 name_bytes; /* read; 0: could not be */
	__u16 file_bytes;
	__u16 lines_bytes;
	__u16 pad;
	__u32 pad2;
	__u64 text_hash;		/* the rest of what the fingerprint is made of */
	__u64 head[RAW_HEAD_WORDS];	/* its first bytes: the object's header */
	__u64 window[RAW_WINDOW_WORDS]; /* pystack.h: what the fingerprint is made of */
	__u8 name[RAW_TEXT_BYTES];	/* the str objects, header and all */
	__u8 file[RAW_TEXT_BYTES];
	__u8 lines[RAW_LINES_BYTES]; /* the bytes object */
};

/* Why something was lost. Names in user/decode.c; shown by every output. */
enum drop_reason {
	DROP_RING_FULL,	     /* a record did not fit into the ring */
	DROP_REQUESTS_FULL,  /* too many requests in flight */
	DROP_BAD_MARK,	     /* a mark pointed at memory that could not be read or made no sense */
	DROP_MARKER_VERSION, /* a marker of another version */
	DROP_BAD_STRING,   /* a string of a request could not be read: the record goes without it */
	DROP_THREAD_STATE, /* no memory for a thread's state */
	DROP_NO_START,	   /* a request's end without its start */
	DROP_ID_REUSED,	   /* a request took the id or the connection of one still open */
	DROP_FD_UNREADABLE,  /* a descriptor could not be followed to its socket */
	DROP_SWEEP_RACE,     /* a record changed while user space took it */
	DROP_STREAM,	     /* a record in a recording or ring that could not be decoded */
	DROP_IN_FLIGHT,	     /* requests that had not ended when the trace did */
	DROP_WAIT_UNSAMPLED, /* a wait that was not sampled: its thread had no room for one yet */
	DROP_CODE_LOST,	     /* a code object whose name could not be read any more */
	DROP_WIRE_UNREAD,    /* bytes of a connection that could not be copied */
	DROP_CODE_STALE, /* frames that may have the name of a code object that another replaced */
	/* User space's own, in a recording: as enum wire_loss of user/wire.h, in its order. */
	DROP_WIRE_TLS,
	DROP_WIRE_HTTP2,
	DROP_WIRE_UPGRADED,
	DROP_WIRE_FOREIGN,
	DROP_WIRE_PARTIAL,
	DROP_WIRE_STRAY,
	DROP_WIRE_UNSPLIT,
	DROP_WIRE_FULL,
	DROP_WIRE_OPEN,
	DROP_UNWRITTEN,	      /* requests that did not fit into the recording */
	DROP_UNWRITTEN_PARTS, /* the same of blocks, samples and their names */
	DROP_REASONS,
};

/* What was seen, per CPU in the kernel, summed here. */
enum event_count {
	EVENT_START,
	EVENT_BLOCK,
	EVENT_END,
	EVENT_WRITE,	    /* write calls attributed to a request */
	EVENT_RECORD,	    /* records put into the ring or taken by user space */
	EVENT_SAMPLE,	    /* samples put into the ring */
	EVENT_WAIT_UNASKED, /* waits of threads that served no request: nobody wanted samples */
	EVENT_TURN,	    /* turns of connections that were begun */
	EVENT_READ,	    /* reads that brought bytes from a client */
	EVENT_COUNT,
};

struct rec_counters {
	struct rec_header h;
	__u64 events[EVENT_COUNT];
	__u64 drops[DROP_REASONS];
};

_Static_assert(sizeof(struct rec_header) == 24, "rec_header is part of the contract");
_Static_assert(sizeof(struct rec_writes) == 48, "rec_writes is part of the contract");
_Static_assert(sizeof(struct rec_states) == 128, "rec_states is part of the contract");
_Static_assert(sizeof(struct rec_reads) == 24, "rec_reads is part of the contract");
_Static_assert(sizeof(struct rec_request) ==
		       232 + sizeof(struct rec_states) + sizeof(struct rec_reads) + STR_TEXT_MAX,
	       "rec_request is part of the contract");
_Static_assert(sizeof(struct rec_wire_bytes) == 56, "rec_wire_bytes is part of the contract");
_Static_assert(sizeof(struct rec_block) == 64, "rec_block is part of the contract");
_Static_assert(sizeof(struct rec_process) == 32, "rec_process is part of the contract");
_Static_assert(sizeof(struct rec_worker) == 120, "rec_worker is part of the contract");
_Static_assert(sizeof(struct rec_frame) == 16, "rec_frame is part of the contract");
_Static_assert(sizeof(struct rec_sample) == 88, "rec_sample is part of the contract");
_Static_assert(sizeof(struct rec_raw_code) == 216 + 2 * RAW_TEXT_BYTES + RAW_LINES_BYTES,
	       "rec_raw_code is part of the contract");
_Static_assert(sizeof(struct rec_line) == 8, "rec_line is part of the contract");
_Static_assert(sizeof(struct rec_code) == 48, "rec_code is part of the contract");

#endif
