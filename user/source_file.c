/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the reading of a recording, which is hostile: only its framing is believed, and that is
 * bounded. Whole records before a cut or damage are handed out all the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "log.h"
#include "recording_format.h"
#include "source.h"

/* Between two looks at signals and at the output. */
#define BATCH_RECORDS 256

struct source_file {
	struct source source; /* first: a struct source * is this */
	FILE *file;
	char *path;
	uint64_t at;	    /* offset of the next record */
	uint32_t last_kind; /* of the record handed out last */
	char record[RECORD_BYTES_MAX + 8];
};

static struct source_file *file_of(struct source *source)
{
	return (struct source_file *)source;
}

static int file_fd(struct source *source)
{
	return -1;
}

/* Reads all or what is left; how much, or -errno. */
static ssize_t bytes_read(struct source_file *file, void *out, size_t bytes)
{
	size_t got = fread(out, 1, bytes, file->file);

	if (got < bytes && ferror(file->file)) {
		int error = errno ? -errno : -EIO;

		log_error("cannot read %s: %s", file->path, strerror(-error));
		return error;
	}
	return (ssize_t)got;
}

static int cut_say(const struct source_file *file)
{
	log_error("%s was cut off at byte %" PRIu64 ": what was whole is shown, the rest is lost; "
		  "let record end by itself or by SIGINT",
		  file->path, file->at);
	return -ENODATA;
}

static int damage_say(const struct source_file *file, const char *what)
{
	log_error("%s is damaged at byte %" PRIu64 " (%s): what came before is shown; copy or "
		  "record it again",
		  file->path, file->at, what);
	return -EBADMSG;
}

/* The file ends where a record could have begun. Nothing that was written is lost, but record did
 * not get to its end: it was killed, or its disk was too full even for the counts. */
static int end_judge(const struct source_file *file)
{
	if (file->last_kind != REC_COUNTERS)
		log_warn("%s has no counts at its end: record was stopped short (killed?), so "
			 "what was lost is not known",
			 file->path);
	return 0;
}

/* The next record into file->record: its size, 0 at a proper end, -errno with the message said. */
static int record_read(struct source_file *file)
{
	struct rec_header header;
	ssize_t got = bytes_read(file, file->record, sizeof(header));
	size_t rest;

	if (got < 0)
		return (int)got;
	if (!got)
		return end_judge(file);
	if ((size_t)got < sizeof(header))
		return cut_say(file);
	memcpy(&header, file->record, sizeof(header));
	if (header.size < sizeof(header) || header.size > RECORD_BYTES_MAX)
		return damage_say(file, "a record of no possible size");
	rest = recording_align(header.size) - sizeof(header);
	got = bytes_read(file, file->record + sizeof(header), rest);
	if (got < 0)
		return (int)got;
	if ((size_t)got < header.size - sizeof(header))
		return cut_say(file);
	/* The filling of the last record may be missing: nothing is lost with it. */
	for (size_t i = header.size; i < sizeof(header) + (size_t)got; i++) {
		if (file->record[i])
			return damage_say(file, "no zeros after a record");
	}
	file->at += recording_align(header.size);
	file->last_kind = header.kind;
	return (int)header.size;
}

static int file_dispatch(struct source *source, source_record_fn fn, void *context)
{
	struct source_file *file = file_of(source);

	for (int i = 0; i < BATCH_RECORDS; i++) {
		int bytes = record_read(file);
		int error;

		if (bytes <= 0)
			return bytes;
		error = fn(context, file->record, (size_t)bytes);
		if (error)
			return error;
	}
	return 1;
}

static int file_finish(struct source *source, source_record_fn fn, void *context)
{
	return 0; /* what was not read until now is not asked for */
}

static void file_close(struct source *source)
{
	struct source_file *file = file_of(source);

	if (file->file)
		fclose(file->file);
	free(file->path);
	free(file);
}

static const struct source_ops file_ops = {
	.fd = file_fd,
	.dispatch = file_dispatch,
	.finish = file_finish,
	.close = file_close,
};

static int header_refuse(const struct source_file *file, const char *why)
{
	log_error("%s %s", file->path, why);
	return -EBADMSG;
}

/* Records are read as they lie in memory, so those of another version cannot be: a recording is
 * kept for days, not for years, and the program that made it can still show it. */
static int version_refuse(const struct source_file *file, uint32_t version)
{
	log_error("%s is a recording of version %" PRIu32
		  ", and this wsgiscope knows version %d: %s",
		  file->path, version, RECORDING_VERSION,
		  version > RECORDING_VERSION ? "replay it with a newer wsgiscope"
					      : "replay it with the wsgiscope that recorded it");
	return -EPROTONOSUPPORT;
}

static int header_check(struct source_file *file, const struct recording_header *header)
{
	if (memcmp(header->magic, RECORDING_MAGIC, RECORDING_MAGIC_BYTES))
		return header_refuse(file, "is not a recording: give a file that wsgiscope record "
					   "has written");
	if (header->order == RECORDING_ORDER_SWAP)
		return header_refuse(file, "was recorded on a machine of the other byte order: "
					   "replay it on one like it");
	if (header->order != RECORDING_ORDER)
		return header_refuse(file, "is damaged in its header: copy or record it again");
	if (header->version != RECORDING_VERSION)
		return version_refuse(file, header->version);
	if (header->header_bytes < sizeof(*header) || header->header_bytes > 4096 ||
	    header->header_bytes % 8)
		return header_refuse(file, "is damaged in its header: copy or record it again");
	return 0;
}

static int header_read(struct source_file *file)
{
	struct recording_header header;
	char skipped[4096];
	ssize_t got = bytes_read(file, &header, sizeof(header));
	int error;

	if (got < 0)
		return (int)got;
	if (!got)
		return header_refuse(file,
				     "is empty, not a recording: record has written nothing to it");
	if ((size_t)got < sizeof(header)) {
		size_t known =
			(size_t)got < RECORDING_MAGIC_BYTES ? (size_t)got : RECORDING_MAGIC_BYTES;

		if (!memcmp(header.magic, RECORDING_MAGIC, known))
			return cut_say(file);
		return header_refuse(file, "is not a recording: give a file that wsgiscope record "
					   "has written");
	}
	error = header_check(file, &header);
	if (error)
		return error;
	/* A later writer of this version may have put more into its header. */
	got = bytes_read(file, skipped, header.header_bytes - sizeof(header));
	if (got < 0)
		return (int)got;
	if ((size_t)got < header.header_bytes - sizeof(header))
		return cut_say(file);
	file->at = header.header_bytes;
	file->source.clock.realtime_offset_ns = header.realtime_offset_ns;
	return 0;
}

int source_file_open(const char *path, struct source **out)
{
	struct source_file *file = calloc(1, sizeof(*file));
	int error = -ENOMEM;

	if (file)
		file->path = strdup(path);
	if (!file || !file->path) {
		log_error("cannot open %s: %s", path, strerror(-error));
		goto out;
	}
	file->source.ops = &file_ops;
	file->file = fopen(path, "re");
	if (!file->file) {
		error = -errno;
		log_error("cannot open %s: %s", path, strerror(-error));
		goto out;
	}
	error = header_read(file);
out:
	if (error) {
		if (file)
			file_close(&file->source);
		return error;
	}
	*out = &file->source;
	return 0;
}
