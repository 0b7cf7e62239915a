/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes into a recording: records as they came, but for those of connections, of which only
 * the requests that they make are kept. So nothing that a client or a worker has sent is in the
 * file, but what a line of output could show.
 */
#ifndef WSGISCOPE_RECORDER_H
#define WSGISCOPE_RECORDER_H

#include <stddef.h>

struct recorder;
struct recording;
struct source_clock;

/* path: of the recording, for messages; both are borrowed. 0 or -ENOMEM, message printed. */
int recorder_new(struct recording *recording, const char *path, struct recorder **out);
void recorder_free(struct recorder *recorder);

/* The rest: 0 or the file's first -errno (-ENOMEM of ours), message printed once. */
int recorder_begin(struct recorder *recorder, const struct source_clock *clock);
/* As a loop's client. */
int recorder_record(void *recorder, const void *record, size_t bytes);
int recorder_batch(void *recorder);
/* No more records will come; error: of the source that they came from. */
int recorder_end(struct recorder *recorder, int error);

#endif
