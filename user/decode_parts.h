/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the halves of the decoder have of each other: decode.c reads requests and processes,
 * decode_stack.c samples and code objects. For these two files only.
 */
#ifndef WSGISCOPE_DECODE_PARTS_H
#define WSGISCOPE_DECODE_PARTS_H

#include <stdbool.h>
#include <stddef.h>

struct event_code;
struct event_sample;
struct rec_peer;

/* The other end of a connection, to EVENT_PEER_BYTES; false: makes no sense. */
bool decode_peer(const struct rec_peer *record, char *out);

/* A raw record of so many bytes, its header already checked. 0 or -EBADMSG. */
int decode_sample(const void *raw, size_t bytes, struct event_sample *out);
int decode_code(const void *raw, size_t bytes, struct event_code *out);

#endif
