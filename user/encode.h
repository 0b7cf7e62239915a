/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request that was made of what a connection showed, as a record. Recordings hold these and not
 * the bytes that they were made of, among which are cookies, credentials and bodies.
 */
#ifndef WSGISCOPE_ENCODE_H
#define WSGISCOPE_ENCODE_H

#include <stddef.h>

struct event;
struct rec_counters;
struct rec_request;
struct wire;

/*
 * event: of kind REQUEST, its turn.made set. How many bytes of *out are the record; decoded, that
 * is the event again.
 */
size_t encode_made(const struct event *event, struct rec_request *out);

/* Adds what was lost in making requests, which only this process knows, to the kernel side's
 * counts. */
void encode_losses(const struct wire *wire, struct rec_counters *out);

#endif
