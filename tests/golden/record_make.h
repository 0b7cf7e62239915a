/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw records as the kernel side would have made them, for tests: bpf/abi.h filled in by hand.
 * Knows nothing of how they are read.
 */
#ifndef WSGISCOPE_TESTS_RECORD_MAKE_H
#define WSGISCOPE_TESTS_RECORD_MAKE_H

#include <linux/types.h>
#include <stddef.h>

#include "abi.h"
#include "marks.h"

#define MAKE_PID   1234
#define MAKE_TID   1235
#define MAKE_START 1000000000000ULL /* CLOCK_MONOTONIC of the first request */
#define MS	   1000000ULL

/* A sound request: GET / on inet, 200, one block of 11 bytes, 10 ms, nothing raised. */
struct rec_request make_request(__u64 id);

/* Puts a string of so many bytes, as it lies in memory; what is longer than text is cut. */
void make_string(struct rec_request *record, enum rec_string which, unsigned int kind,
		 const void *bytes, size_t count);

/* The same for a C string of Latin-1. */
void make_latin1(struct rec_request *record, enum rec_string which, const char *text);

/* Sets the size; call it when all strings are in. */
size_t make_finish(struct rec_request *record);

struct rec_header make_header(enum rec_kind kind, size_t bytes);

#endif
