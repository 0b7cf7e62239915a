/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See recordings.h.
 */
#include "recordings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-11-22T10:00:00Z is MAKE_START; the first request starts a second later. */
#define REALTIME_OFFSET (1795341600000000000LL - (long long)MAKE_START)

void put(struct recording *out, const void *record, size_t bytes)
{
	int error = recording_write(out, record, bytes);

	if (error) {
		fprintf(stderr, "recordings: %s\n", strerror(-error));
		exit(1);
	}
}

void put_request(struct recording *out, struct rec_request record, const char *path)
{
	if (path)
		make_latin1(&record, STR_PATH, path);
	make_finish(&record);
	put(out, &record, record.h.size);
}

void put_worker(struct recording *out, __u32 pid, const char *server)
{
	struct rec_worker record = {.h = make_header(REC_WORKER, sizeof(record)), .parent = 1};

	record.h.tgid = pid;
	record.python = 0x030b02f0;
	memcpy(record.server, server, strlen(server));
	put(out, &record, sizeof(record));
}

void put_counters(struct recording *out, __u64 requests, __u64 lost_each)
{
	struct rec_counters record = {.h = make_header(REC_COUNTERS, sizeof(record))};

	record.events[EVENT_START] = requests;
	record.events[EVENT_END] = requests;
	record.events[EVENT_WRITE] = 2 * requests;
	record.events[EVENT_RECORD] = requests;
	for (int i = 0; i < DROP_REASONS; i++)
		record.drops[i] = lost_each * (__u64)(i + 1);
	put(out, &record, sizeof(record));
}

int recordings_write(int argc, char **argv, const struct golden_recording *recordings)
{
	const struct source_clock clock = {REALTIME_OFFSET};

	if (argc != 2) {
		fprintf(stderr, "Usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (; recordings->name; recordings++) {
		struct recording *out;
		char path[PATH_MAX];
		int error;

		snprintf(path, sizeof(path), "%s/%s.rec", argv[1], recordings->name);
		error = recording_create(path, &out);
		if (!error)
			error = recording_begin(out, &clock);
		if (!error) {
			recordings->fill(out);
			error = recording_close(out);
		}
		if (error) {
			fprintf(stderr, "recordings: %s: %s\n", path, strerror(-error));
			return 1;
		}
	}
	return 0;
}
