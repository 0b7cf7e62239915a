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

/* An error of the file's is kept until the next batch ends. */
void recorder_begin(struct recorder *recorder, const struct source_clock *clock);
/*
 * As a loop's client. After an error records are still taken, as the source hands out all it has
 * before it ends: those that make it into the file and those that do not are counted. A batch
 * answers with the file's first -errno, or -ENOMEM of ours.
 */
int recorder_record(void *recorder, const void *record, size_t bytes);
int recorder_batch(void *recorder);
/* No more records will come; error: that the run has ended with. The same, message printed. */
int recorder_end(struct recorder *recorder, int error);

#endif
