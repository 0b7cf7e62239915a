/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events to finished requests: what a number means, which could not be seen, how it ended. Judges
 * what a worker says: times and counts that make no sense are unseen. Must not know abi.h.
 */
#ifndef WSGISCOPE_ASSEMBLE_H
#define WSGISCOPE_ASSEMBLE_H

#include <stdint.h>

#include "request.h"

struct event;
struct assembler;

/* realtime_offset_ns: CLOCK_REALTIME - CLOCK_MONOTONIC where the records were made. 0, -ENOMEM. */
int assembler_new(int64_t realtime_offset_ns, struct assembler **out);
void assembler_free(struct assembler *assembler); /* NULL is fine */

/* Takes in what an event of kind WORKER or PROCESS says about whose requests these are. */
void assembler_learn(struct assembler *assembler, const struct event *event);

/*
 * From an event of kind REQUEST. *out borrows from the event, and from the assembler until its
 * next call.
 */
void assembler_request(struct assembler *assembler, const struct event *event, struct request *out);

/* The name of the server that a process runs, NULL: not known. */
const char *assembler_server(const struct assembler *assembler, uint32_t pid);

/* From an event of kind BLOCK; borrows nothing. */
void assembler_block(const struct assembler *assembler, const struct event *event,
		     struct request_block *out);

#endif
