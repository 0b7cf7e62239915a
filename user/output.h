/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdout as data: a stdio stream that remembers what went wrong, and that a signal can free from a
 * reader who has stopped reading. Knows nothing of what is written.
 */
#ifndef WSGISCOPE_OUTPUT_H
#define WSGISCOPE_OUTPUT_H

#include <stdio.h>

struct output;

/* fd is borrowed. stop_fd becomes readable when the run is to end (a signalfd), -1: none. */
int output_open(int fd, int stop_fd, struct output **out);

/* The stream to print to; owned by the output. */
FILE *output_stream(const struct output *output);

/*
 * Writes out what is buffered. 0; -EPIPE: the reader has gone; -ECANCELED: the reader did not read
 * on after the run was told to end; -errno. The first failure stays.
 */
int output_flush(struct output *output);

void output_close(struct output *output); /* does not flush what failed; NULL is fine */

#endif
