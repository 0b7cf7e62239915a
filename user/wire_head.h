/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the first bytes of a request and of its response say, where there is no marker: HTTP/1.x
 * (RFC 9112), the uwsgi protocol, that of mod_wsgi's daemons. Pure, bounded, without allocations;
 * the bytes are a client's: hostile. Knows nothing of connections, of records, or of BPF.
 *
 * A parser that reads along must accept what the server may have accepted: so odd heads are read
 * as far as they can be, and marked doubtful, where a server's own parser would give up.
 */
#ifndef WSGISCOPE_WIRE_HEAD_H
#define WSGISCOPE_WIRE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

enum wire_protocol {
	WIRE_NEED_MORE, /* not to be told from so few bytes */
	WIRE_HTTP,	/* HTTP/0.9, 1.0, 1.1 */
	WIRE_UWSGI,
	WIRE_MOD_WSGI, /* httpd to a daemon process, and the CGI-like answer */
	WIRE_TLS,
	WIRE_HTTP2,
	WIRE_FOREIGN, /* none of these */
};

/* How a server makes SCRIPT_NAME + PATH_INFO of the request's target, where it does more or less
 * than the common way: cut off scheme and authority, query and fragment; decode %XX once. */
enum wire_path_rules {
	WIRE_PATH_ONE_SLASH = 1 << 0,	    /* slashes at its beginning become one */
	WIRE_PATH_MERGE_SLASHES = 1 << 1,   /* slashes become one anywhere; never empty */
	WIRE_PATH_DOTS = 1 << 2,	    /* the segments "." and ".." are resolved */
	WIRE_PATH_CODED_DOTS = 1 << 3,	    /* so are those written with %2E */
	WIRE_PATH_KEEP_SCHEME = 1 << 4,	    /* http://host/path stays as it is */
	WIRE_PATH_KEEP_FRAGMENT = 1 << 5,   /* # is a character like others */
	WIRE_PATH_KEEP_SLASH_CODE = 1 << 6, /* %2F is not decoded */
	WIRE_PATH_LATIN1 = 1 << 7, /* a raw byte from 0x80 on is taken as Latin-1, told as UTF-8 */
};

/* Texts of a request. What is longer than its room is cut, and says so. */
enum wire_text {
	WIRE_METHOD,
	WIRE_PATH,  /* as the application gets it: SCRIPT_NAME and PATH_INFO */
	WIRE_QUEUE, /* X-Request-Start, else X-Queue-Start */
	WIRE_TRACEPARENT,
	WIRE_TEXTS,
};

/* As much as of a marked request (STR_*_MAX in abi.h). Of a path: 64 bytes of SCRIPT_NAME where
 * the protocol tells that apart, 256 of the rest. */
#define WIRE_METHOD_MAX	     16
#define WIRE_SCRIPT_MAX	     64
#define WIRE_PATH_MAX	     256
#define WIRE_QUEUE_MAX	     48
#define WIRE_TRACEPARENT_MAX 64
#define WIRE_TEXT_MAX                                                                              \
	(WIRE_METHOD_MAX + WIRE_SCRIPT_MAX + WIRE_PATH_MAX + WIRE_QUEUE_MAX + WIRE_TRACEPARENT_MAX)

struct wire_text_kept {
	uint16_t bytes;
	bool seen;
	bool cut; /* it was longer */
};

/* Owns its texts: may be copied, and outlives the bytes that it was read from. */
struct wire_request_head {
	enum wire_protocol protocol; /* as soon as it is known, also of a head not complete */
	bool line;		     /* method and path are complete */
	bool complete;		     /* so is the head: head_bytes is its length */
	bool chunked;		     /* the body is; content_length is then -1 */
	bool expect_continue;
	bool upgrade; /* asks for another protocol on this connection: Upgrade, CONNECT */
	bool keep_alive;
	bool head_method;   /* HEAD: the answer has no body, though many servers send one */
	bool doubtful;	    /* servers differ over it: may be refused, or its body end elsewhere */
	uint8_t queue_rank; /* the parser's own: which header the queue text is of */
	uint32_t asked;	    /* hash of the target as the client sent it, which front ends hand on
			     * whatever they make of the path; without scheme and host; 0: not known */
	int64_t content_length; /* -1: not said, or nonsense */
	size_t head_bytes;	/* empty lines before it included; while not complete: 0 */
	struct wire_text_kept kept[WIRE_TEXTS];
	char text[WIRE_TEXT_MAX];
};

/*
 * Reads the beginning of what a client sent, n bytes from the first of a request on. rules: enum
 * wire_path_rules, 0: the common way.
 *
 * WIRE_NEED_MORE: out has what is known so far (out->protocol, texts, framing): ask again with more
 * bytes, or make do with it where no more were kept. WIRE_HTTP, _UWSGI, _MOD_WSGI: the head is
 * complete. Others: out->protocol and nothing else. Each call reads from the beginning: of a head
 * that comes in small pieces, call when a line may have ended.
 */
enum wire_protocol wire_request_parse(const char *bytes, size_t n, uint32_t rules,
				      struct wire_request_head *out);

/* One of its texts, borrowed from head; ptr NULL: not seen. */
struct request_text wire_head_text(const struct wire_request_head *head, enum wire_text which);

struct wire_response_head {
	enum wire_protocol protocol; /* WIRE_HTTP, or WIRE_MOD_WSGI: "Status: 200 OK" */
	unsigned int status;	     /* 100 to 999, as soon as its line shows it; 0 until then */
	bool complete;		     /* head_bytes is its length */
	bool interim;	  /* not the answer yet: 1xx but 101, the go-ahead of mod_wsgi's daemon */
	bool bodiless;	  /* ends with its head, whatever else it says: 1xx, 204, 304 */
	bool upgraded;	  /* 101: what follows is another protocol */
	bool chunked;	  /* content_length is then -1 */
	bool until_close; /* the end of the body is that of the connection */
	bool keep_alive;
	bool doubtful; /* readers differ over where it ends */
	int64_t content_length;
	size_t head_bytes;
};

/*
 * Reads the beginning of what a server wrote, from the first byte of a response on. WIRE_HTTP,
 * WIRE_MOD_WSGI: the head is complete; WIRE_NEED_MORE: out has what is known so far; WIRE_FOREIGN:
 * no response (also HTTP/0.9's, which has no head).
 */
enum wire_protocol wire_response_parse(const char *bytes, size_t n, struct wire_response_head *out);

/* How a message's body ends. */
enum wire_body {
	WIRE_BODY_NONE,
	WIRE_BODY_LENGTH, /* after content_length bytes */
	WIRE_BODY_CHUNKED,
	WIRE_BODY_UNTIL_CLOSE,
	WIRE_BODY_TUNNEL, /* no body: the connection has become something else */
};

/* Of a complete head. */
enum wire_body wire_request_body(const struct wire_request_head *request);

/* Of a complete head that is not interim (RFC 9112, section 6.3). request: what it answers, NULL:
 * not known. */
enum wire_body wire_response_body(const struct wire_response_head *response,
				  const struct wire_request_head *request);

/* A chunked body, fed in pieces (RFC 9112, section 7.1). Zeroed: at its beginning. */
struct wire_chunks {
	uint8_t state;	     /* the scanner's own */
	bool sized;	     /* a digit of the chunk's size has come */
	uint64_t left;	     /* of the chunk being read */
	uint64_t data_bytes; /* inside of chunks, so far */
};

enum wire_chunks_end {
	WIRE_CHUNKS_MORE, /* not at its end yet */
	WIRE_CHUNKS_DONE, /* the empty chunk and its trailers have been read */
	WIRE_CHUNKS_BAD,  /* not chunks: nothing is known of where it ends */
};

/* Reads on. used: how many of the n bytes belong to the body; after its end the rest is another
 * message's. After DONE or BAD nothing more is taken. */
enum wire_chunks_end wire_chunks_feed(struct wire_chunks *chunks, const char *bytes, size_t n,
				      size_t *used);

/* Goes over n bytes that were not kept. False, and nothing done: they are not all data of the
 * chunk being read, so that where chunks begin is no longer known. */
bool wire_chunks_skip(struct wire_chunks *chunks, uint64_t n);

#endif
