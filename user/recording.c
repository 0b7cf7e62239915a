/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the file being recorded. Keeps whole records in memory until told to flush; where the disk
 * fills up in the middle of one, the file is cut back to the last whole one, so that what is there
 * can be replayed. What comes then is counted, and the counts get the place of the last records:
 * where the disk is full, only what the file has already can be written over.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi.h"
#include "recording_format.h"
#include "source.h"

#define BUFFER_BYTES (4 * RECORD_BYTES_MAX)

_Static_assert(RECORDING_VERSION == REC_VERSION, "other records make it another recording");
_Static_assert(sizeof(struct rec_counters) % 8 == 0, "counts are put into a file as they are");

/* What is not in the file, or will not be. */
struct unwritten {
	uint64_t requests;
	uint64_t parts; /* of them: blocks, samples, names */
};

struct recording {
	char *path;  /* owned */
	bool is_new; /* there was no such file before */
	bool begun;
	int fd;
	int error;   /* the first -errno; nothing is added after it */
	off_t whole; /* bytes in the file that are whole */
	/* The end of the last record behind which lies as much as the counts take. */
	off_t counts_at;
	struct unwritten behind; /* what they take the place of */
	struct unwritten unwritten;
	size_t used; /* of buffer */
	char buffer[BUFFER_BYTES];
};

/* The end of the last whole record within so many bytes of the buffer. */
static size_t whole_bytes(const struct recording *recording, size_t written)
{
	size_t at = 0;

	if (!recording->whole) {
		if (written < sizeof(struct recording_header))
			return 0;
		at = sizeof(struct recording_header);
	}
	while (at + sizeof(struct rec_header) <= written) {
		struct rec_header header;

		memcpy(&header, recording->buffer + at, sizeof(header));
		if (at + recording_align(header.size) > written)
			break;
		at += recording_align(header.size);
	}
	return at;
}

static void unwritten_add(struct unwritten *to, const struct rec_header *record)
{
	to->requests += record->kind == REC_REQUEST;
	to->parts +=
		record->kind == REC_BLOCK || record->kind == REC_SAMPLE || record->kind == REC_CODE;
}

/* So many bytes of the buffer are in the file. */
static void written_note(struct recording *recording, size_t written)
{
	size_t at = recording->whole ? 0 : sizeof(struct recording_header), next;
	size_t whole = whole_bytes(recording, written);

	for (; at < recording->used; at = next) {
		struct rec_header header;

		memcpy(&header, recording->buffer + at, sizeof(header));
		next = at + recording_align(header.size);
		if (at + sizeof(struct rec_counters) <= whole) {
			recording->counts_at = recording->whole + (off_t)at;
			recording->behind = (struct unwritten){0};
		}
		unwritten_add(next <= whole ? &recording->behind : &recording->unwritten, &header);
	}
	recording->whole += (off_t)whole;
}

int recording_flush(struct recording *recording)
{
	size_t done = 0;

	if (recording->error) /* the file has been cut back already */
		return recording->error;
	while (!recording->error && done < recording->used) {
		ssize_t written =
			write(recording->fd, recording->buffer + done, recording->used - done);

		if (written < 0 && errno != EINTR)
			recording->error = -errno;
		done += written > 0 ? (size_t)written : 0;
	}
	written_note(recording, done);
	recording->used = 0;
	/* A pipe cannot be cut back; its reader will say that the end is missing. */
	if (recording->error)
		(void)!ftruncate(recording->fd, recording->whole);
	return recording->error;
}

int recording_create(const char *path, struct recording **out)
{
	const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
	struct recording *recording = calloc(1, sizeof(*recording));
	int error = -ENOMEM;

	if (!recording)
		return error;
	recording->fd = -1;
	recording->path = strdup(path);
	if (!recording->path)
		goto out;
	/* For the owner only: paths can be private. */
	recording->fd = open(path, flags | O_EXCL, 0600);
	recording->is_new = recording->fd >= 0;
	if (recording->fd < 0 && errno == EEXIST)
		recording->fd = open(path, flags, 0600);
	error = recording->fd < 0 ? -errno : 0;
out:
	if (error) {
		recording_close(recording);
		return error;
	}
	*out = recording;
	return 0;
}

static int file_empty(const struct recording *recording)
{
	struct stat stat;

	if (fstat(recording->fd, &stat))
		return -errno;
	return S_ISREG(stat.st_mode) && ftruncate(recording->fd, 0) ? -errno : 0;
}

int recording_begin(struct recording *recording, const struct source_clock *clock)
{
	struct recording_header header = {
		.magic = RECORDING_MAGIC,
		.order = RECORDING_ORDER,
		.version = RECORDING_VERSION,
		.header_bytes = sizeof(header),
		.realtime_offset_ns = clock->realtime_offset_ns,
	};

	recording->error = file_empty(recording);
	if (recording->error)
		return recording->error;
	memcpy(recording->buffer, &header, sizeof(header));
	recording->used = sizeof(header);
	recording->counts_at = sizeof(header);
	recording->begun = true;
	return recording_flush(recording);
}

int recording_write(struct recording *recording, const void *record, size_t bytes)
{
	struct rec_header header;
	size_t aligned = recording_align(bytes);

	if (bytes < sizeof(header) || bytes > RECORD_BYTES_MAX)
		return -EBADMSG;
	memcpy(&header, record, sizeof(header));
	if (header.size != bytes)
		return -EBADMSG;
	if (!recording->error && aligned > sizeof(recording->buffer) - recording->used)
		recording_flush(recording);
	if (recording->error) {
		unwritten_add(&recording->unwritten, &header);
		return recording->error;
	}
	memcpy(recording->buffer + recording->used, record, bytes);
	memset(recording->buffer + recording->used + bytes, 0, aligned - bytes);
	recording->used += aligned;
	return 0;
}

int recording_settle(struct recording *recording, struct rec_counters *counts)
{
	off_t end = recording->whole ? recording->counts_at : 0;
	ssize_t written = 0;

	counts->drops[DROP_UNWRITTEN] = recording->unwritten.requests + recording->behind.requests;
	counts->drops[DROP_UNWRITTEN_PARTS] = recording->unwritten.parts + recording->behind.parts;
	if (end && counts->h.size == sizeof(*counts))
		written = pwrite(recording->fd, counts, sizeof(*counts), end);
	if (written == sizeof(*counts))
		end += written;
	return ftruncate(recording->fd, end) || written != sizeof(*counts) ? -ENOSPC : 0;
}

int recording_close(struct recording *recording)
{
	int error = 0;

	if (!recording)
		return 0;
	if (recording->begun)
		error = recording_flush(recording);
	else if (recording->is_new)
		unlink(recording->path);
	if (recording->fd >= 0 && close(recording->fd) && !error)
		error = -errno;
	free(recording->path);
	free(recording);
	return error;
}
