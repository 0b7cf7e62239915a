/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An output. A sink gets finished requests (and blocks, where asked for), and at the end the
 * totals. It includes neither abi.h, nor the skeleton, nor another sink. A NULL hook: not wanted.
 */
#ifndef WSGISCOPE_SINK_H
#define WSGISCOPE_SINK_H

#include <stdint.h>
#include <stdio.h>

struct config;
struct request;
struct request_block;
struct request_totals;

struct sink {
	const char *name;
	/* 0 or -errno, message printed; *state is the sink's own, handed back to the other hooks.
	 * out is borrowed, NULL where nothing is printed. */
	int (*open)(const struct config *config, FILE *out, void **state);
	/* 0 or -errno: -EPIPE ends the run in peace, any other error ends it with a message. */
	int (*on_request)(void *state, const struct request *request);
	int (*on_block)(void *state, const struct request_block *block);
	/* All that was there has been handed out: time to send what is waiting. */
	void (*on_batch)(void *state);
	/* What it could not pass on so far goes by this name among the losses; NULL: cannot be. */
	const char *loss;
	uint64_t (*lost)(const void *state);
	/* The run is over: the footer. */
	int (*on_end)(void *state, const struct request_totals *totals);
	void (*close)(void *state);
};

extern const struct sink
	sink_text; /* sinks/text.c: a line per request, a footer, a table by path */
extern const struct sink sink_statsd;	 /* sinks/statsd.c: datagrams of five metrics a request */
extern const struct sink sink_dogstatsd; /* the same, with tags */
extern const struct sink sink_json;	 /* sinks/json.c: one object a line, stable */
extern const struct sink sink_totals;	 /* sinks/totals.c: none, and the totals on stderr */

#endif
