/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where records come from: the live ring or a recording, one interface. A source hands out raw
 * records (bpf/abi.h, struct rec_header first), one at a time; it checks framing, nothing more.
 */
#ifndef WSGISCOPE_SOURCE_H
#define WSGISCOPE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct rec_counters;

/* A raw record; borrowed, valid until the callback returns. Return 0 to go on, -errno to stop. */
typedef int (*source_record_fn)(void *context, const void *record, size_t bytes);

/* CLOCK_REALTIME - CLOCK_MONOTONIC at the session's start, and where the records were made. */
struct source_clock {
	int64_t realtime_offset_ns;
};

struct source {
	const struct source_ops *ops;
	struct source_clock clock;
};

/* What is so now, of a live source. */
struct source_status {
	uint64_t processes;	  /* traced ones, by the marker or by the wire */
	uint64_t ring_bytes;	  /* size of the ring */
	uint64_t ring_used_bytes; /* waiting in it */
};

struct source_ops {
	/* A descriptor that becomes readable when dispatch() has work; -1: always has (a file). */
	int (*fd)(struct source *source);
	/* Hands out what is there. >0: more may follow; 0: the end has come; -errno: failed and
	 * said why, or what fn returned. */
	int (*dispatch)(struct source *source, source_record_fn fn, void *context);
	/* Every tick (100 ms): sweeps, new processes, counters. NULL: nothing to do. */
	int (*tick)(struct source *source, source_record_fn fn, void *context);
	/* The run is ending: detach first, then hand out all that is left, and last REC_COUNTERS.
	 */
	int (*finish)(struct source *source, source_record_fn fn, void *context);
	void (*close)(struct source *source); /* frees it */
	/*
	 * Hands out each request that has begun and was not yet handed out, as it is now: a
	 * REC_REQUEST of the thread that began it, with REC_F_NO_END where it goes on, without
	 * where its end was seen and late writes are waited for. They will come again when they
	 * are done with. 0, -errno, what fn returned. NULL: a recording has none.
	 */
	int (*in_flight)(struct source *source, source_record_fn fn, void *context);
	/* 0 or -errno. NULL: a recording has none. */
	int (*status)(struct source *source, struct source_status *out);
};

/* The live ring: loads, attaches, says "wsgiscope: attached to …". 0 or -errno, message printed. */
int source_ring_open(const struct config *config, struct source **out);

/* A recording. 0 or -errno, message printed. */
int source_file_open(const char *path, struct source **out);

/*
 * Writing one: a header, then each record as it came. It is created before anything is attached,
 * and begun (an older one is emptied) once there is something to write; never begun, closing leaves
 * no new file behind. recording_write() checks the record's framing. Errors (a full disk) are
 * -errno, the file is cut back to the last whole record, and what comes then is counted alone.
 */
struct recording;
int recording_create(const char *path, struct recording **out);
int recording_begin(struct recording *recording, const struct source_clock *clock);
int recording_write(struct recording *recording, const void *record, size_t bytes);
int recording_flush(struct recording *recording); /* what was written so far is in the file */
/* After such an error, once: puts what did not fit into the counts, and them into the place of the
 * last records, which are counted with the rest. 0, or -ENOSPC: there is no place, or the counts
 * have no size as their source has given none; the file then ends without. */
int recording_settle(struct recording *recording, struct rec_counters *counts);
int recording_close(struct recording *recording); /* flushes; NULL is fine */

#endif
