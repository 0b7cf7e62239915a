/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs that write the golden recordings have in common.
 */
#ifndef WSGISCOPE_TESTS_RECORDINGS_H
#define WSGISCOPE_TESTS_RECORDINGS_H

#include "record_make.h"
#include "source.h"

struct golden_recording {
	const char *name; /* NULL: the end of the list */
	void (*fill)(struct recording *out);
};

/* main() of such a program: PROGRAM DIRECTORY writes them all. */
int recordings_write(int argc, char **argv, const struct golden_recording *recordings);

/* Each ends the program where it cannot write. */
void put(struct recording *out, const void *record, size_t bytes);
void put_request(struct recording *out, struct rec_request record, const char *path);
void put_worker(struct recording *out, __u32 pid, const char *server);
void put_counters(struct recording *out, __u64 requests, __u64 lost_each);

#endif
