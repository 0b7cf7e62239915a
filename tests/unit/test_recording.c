/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written is what is read, and a file that was cut, damaged or is not ours is refused in
 * words with all that was whole before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "record_make.h"
#include "recording_format.h"
#include "source.h"
#include "unit.h"

#define RECORDS 4 /* three requests and the counts */

static char directory[] = "/tmp/wsgiscope-unit-XXXXXX";
static char path[64];
static char whole[16384]; /* the file as it was written */
static size_t whole_bytes;
static struct rec_request requests[RECORDS - 1];

struct seen {
	unsigned int records;
	int answer; /* to the record handed out */
};

static int see(void *context, const void *record, size_t bytes)
{
	struct seen *seen = context;

	if (seen->records < RECORDS - 1) {
		assert_int_equal(bytes, requests[seen->records].h.size);
		assert_memory_equal(record, &requests[seen->records], bytes);
	}
	seen->records++;
	return seen->answer;
}

static void file_write(const void *bytes, size_t count)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
}

/* 0 or -errno of opening or reading; how many records came before. */
static int file_read(struct seen *seen)
{
	struct source *source;
	int error = source_file_open(path, &source);
	int more;

	if (error)
		return error;
	assert_true(source->clock.realtime_offset_ns == 42);
	assert_int_equal(source->ops->fd(source), -1);
	do {
		more = source->ops->dispatch(source, see, seen);
	} while (more > 0);
	assert_int_equal(source->ops->finish(source, see, seen), 0);
	source->ops->close(source);
	return more;
}

static int setup(void **state)
{
	const struct source_clock clock = {42};
	struct rec_counters counters = {.h = make_header(REC_COUNTERS, sizeof(counters))};
	struct recording *recording;
	FILE *file;

	log_level_set(LOG_LEVEL_NONE);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/a.rec", directory);
	if (recording_create(path, &recording) || recording_begin(recording, &clock))
		return -1;
	for (unsigned int i = 0; i < RECORDS - 1; i++) {
		requests[i] = make_request(i);
		make_string(&requests[i], STR_PATH, WSGISCOPE_STR_LATIN1, "/abcdefgh", 3 + i);
		make_finish(&requests[i]);
		if (recording_write(recording, &requests[i], requests[i].h.size))
			return -1;
	}
	if (recording_write(recording, &counters, sizeof(counters)) || recording_close(recording))
		return -1;
	file = fopen(path, "r");
	if (!file)
		return -1;
	whole_bytes = fread(whole, 1, sizeof(whole), file);
	return fclose(file);
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(directory);
}

static void test_round_trip(void **state)
{
	struct seen seen = {0};
	struct stat stat_buffer;

	file_write(whole, whole_bytes);
	assert_int_equal(file_read(&seen), 0);
	assert_int_equal(seen.records, RECORDS);
	assert_int_equal(whole_bytes % 8, 0);
	assert_int_equal(stat(path, &stat_buffer), 0);
	assert_int_equal(stat_buffer.st_mode & 0777, 0600);
}

/* How many whole records so many bytes hold, and whether the cut is between two. */
static unsigned int records_within(size_t bytes, bool *between)
{
	size_t at = sizeof(struct recording_header);
	unsigned int records = 0;

	*between = bytes == at;
	while (at < whole_bytes) {
		struct rec_header header;

		memcpy(&header, whole + at, sizeof(header));
		if (at + header.size > bytes)
			break;
		records++;
		/* The zeros after the record may be missing, too. */
		*between = bytes <= at + recording_align(header.size);
		at += recording_align(header.size);
	}
	return records;
}

static void test_cut_at_every_byte(void **state)
{
	for (size_t bytes = 0; bytes < whole_bytes; bytes++) {
		struct seen seen = {0};
		bool between;
		unsigned int expected = records_within(bytes, &between);
		int error;

		file_write(whole, bytes);
		error = file_read(&seen);
		assert_int_equal(seen.records, expected);
		if (bytes == 0)
			assert_int_equal(error, -EBADMSG);
		else
			assert_int_equal(error, between ? 0 : -ENODATA);
	}
}

/* Any byte changed: refused or read, never more records, never a crash. */
static void test_damage(void **state)
{
	static char damaged[sizeof(whole)];

	for (size_t at = 0; at < whole_bytes; at++) {
		/* Past the expected ones: the contents are not compared. */
		struct seen seen = {.records = RECORDS};
		struct source *source;

		memcpy(damaged, whole, whole_bytes);
		damaged[at] ^= (char)0x81;
		file_write(damaged, whole_bytes);
		if (source_file_open(path, &source))
			continue;
		while (source->ops->dispatch(source, see, &seen) > 0)
			;
		assert_in_range(seen.records, RECORDS, 2 * RECORDS);
		source->ops->close(source);
	}
}

static void check_header(size_t at, uint32_t value, int expected)
{
	static char changed[sizeof(whole)];
	struct seen seen = {0};

	memcpy(changed, whole, whole_bytes);
	memcpy(changed + at, &value, sizeof(value));
	file_write(changed, whole_bytes);
	assert_int_equal(file_read(&seen), expected);
	assert_int_equal(seen.records, 0);
}

static void test_header(void **state)
{
	check_header(0, 0x464c457f, -EBADMSG); /* ELF */
	check_header(offsetof(struct recording_header, order), RECORDING_ORDER_SWAP, -EBADMSG);
	check_header(offsetof(struct recording_header, order), 7, -EBADMSG);
	check_header(offsetof(struct recording_header, version), RECORDING_VERSION + 1,
		     -EPROTONOSUPPORT);
	for (uint32_t version = 0; version < RECORDING_VERSION; version++)
		check_header(offsetof(struct recording_header, version), version, -EPROTONOSUPPORT);
	check_header(offsetof(struct recording_header, header_bytes), 24, -EBADMSG);
	check_header(offsetof(struct recording_header, header_bytes), 36, -EBADMSG);
	check_header(offsetof(struct recording_header, header_bytes), 0x7ffffff8, -EBADMSG);
	check_header(sizeof(struct recording_header), 23, -EBADMSG); /* a record's size */
	check_header(sizeof(struct recording_header), 0, -EBADMSG);
	check_header(sizeof(struct recording_header), 0xffffffff, -EBADMSG);
}

/* A longer header of the same version is skipped. */
static void test_header_grown(void **state)
{
	static char grown[sizeof(whole)];
	struct recording_header header;
	struct seen seen = {0};
	const size_t more = 64;

	memcpy(&header, whole, sizeof(header));
	header.header_bytes += (uint32_t)more;
	memcpy(grown, &header, sizeof(header));
	memcpy(grown + sizeof(header) + more, whole + sizeof(header), whole_bytes - sizeof(header));
	file_write(grown, whole_bytes + more);
	assert_int_equal(file_read(&seen), 0);
	assert_int_equal(seen.records, RECORDS);
}

static void test_stopped_by_client(void **state)
{
	struct seen seen = {.answer = -ECANCELED};

	file_write(whole, whole_bytes);
	assert_int_equal(file_read(&seen), -ECANCELED);
	assert_int_equal(seen.records, 1);
}

static void test_framing_is_checked(void **state)
{
	struct rec_request record = make_request(1);
	struct recording *recording;

	make_finish(&record);
	assert_int_equal(recording_create(path, &recording), 0);
	assert_int_equal(recording_begin(recording, &(struct source_clock){42}), 0);
	assert_int_equal(recording_write(recording, &record, record.h.size - 1), -EBADMSG);
	assert_int_equal(recording_write(recording, &record, 8), -EBADMSG);
	assert_int_equal(recording_write(recording, &record, RECORD_BYTES_MAX + 1), -EBADMSG);
	assert_int_equal(recording_close(recording), 0);
}

/* What was never begun leaves no file; an older one stays as it was. */
static void test_never_begun(void **state)
{
	struct recording *recording;
	struct seen seen = {0};

	unlink(path);
	assert_int_equal(recording_create(path, &recording), 0);
	assert_int_equal(recording_close(recording), 0);
	assert_int_equal(access(path, F_OK), -1);
	file_write(whole, whole_bytes);
	assert_int_equal(recording_create(path, &recording), 0);
	assert_int_equal(recording_close(recording), 0);
	assert_int_equal(file_read(&seen), 0);
	assert_int_equal(seen.records, RECORDS);
	assert_int_equal(recording_create("/nonexistent/a.rec", &recording), -ENOENT);
}

/* A file that may not grow further stands for a full disk, at each of many limits. */
static void test_full_disk(void **state)
{
	struct rlimit old, limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (size_t bytes = 32; bytes < whole_bytes; bytes += 61) {
		struct recording *recording;
		struct seen seen = {0};
		bool between;
		unsigned int expected = records_within(bytes, &between);
		int error = 0;

		limit = (struct rlimit){bytes, old.rlim_max};
		assert_int_equal(recording_create(path, &recording), 0);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(recording_begin(recording, &(struct source_clock){42}), 0);
		for (unsigned int i = 0; i < RECORDS - 1; i++)
			error = error ? error
				      : recording_write(recording, &requests[i],
							requests[i].h.size);
		error = error ? error : recording_flush(recording);
		assert_int_equal(recording_close(recording), error);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(error, expected < RECORDS - 1 ? -EFBIG : 0);
		/* Cut back: what is there reads to its end. A record is kept with its zeros. */
		assert_int_equal(file_read(&seen), 0);
		assert_in_range(seen.records, expected ? expected - 1 : 0,
				expected < RECORDS - 1 ? expected : RECORDS - 1);
	}
}

#define MANY 40

/* Of every third request there is a block. */
static struct rec_counters many_write(struct recording *recording, unsigned int flush_every)
{
	struct rec_block block = {.h = make_header(REC_BLOCK, sizeof(block))};
	struct rec_counters counts = {.h = make_header(REC_COUNTERS, sizeof(counts))};

	for (unsigned int i = 0; i < MANY; i++) {
		struct rec_request request = make_request(i);

		make_string(&request, STR_PATH, WSGISCOPE_STR_LATIN1, "/abcdefgh", 1 + i % 9);
		make_finish(&request);
		if (i % 3 == 0)
			recording_write(recording, &block, sizeof(block));
		recording_write(recording, &request, request.h.size);
		if (i % flush_every == 0)
			recording_flush(recording);
	}
	recording_flush(recording);
	return counts;
}

struct kinds {
	unsigned int requests, blocks;
	struct rec_counters counts; /* the last record, where its size is set */
};

static int kinds_see(void *context, const void *record, size_t bytes)
{
	struct kinds *kinds = context;
	struct rec_header header;

	memcpy(&header, record, sizeof(header));
	kinds->requests += header.kind == REC_REQUEST;
	kinds->blocks += header.kind == REC_BLOCK;
	kinds->counts.h.size = 0;
	if (header.kind == REC_COUNTERS)
		memcpy(&kinds->counts, record, sizeof(kinds->counts));
	return 0;
}

static struct kinds kinds_read(void)
{
	struct kinds kinds = {0};
	struct source *source;
	int more;

	assert_int_equal(source_file_open(path, &source), 0);
	do {
		more = source->ops->dispatch(source, kinds_see, &kinds);
	} while (more > 0);
	assert_int_equal(more, 0);
	source->ops->close(source);
	return kinds;
}

static void full_disk_check(size_t bytes, unsigned int flush_every)
{
	struct rec_counters counts;
	struct recording *recording;
	struct rlimit old, limit;
	struct kinds kinds;
	int error;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){bytes, old.rlim_max};
	assert_int_equal(recording_create(path, &recording), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	recording_begin(recording, &(struct source_clock){42});
	counts = many_write(recording, flush_every);
	error = recording_settle(recording, &counts);
	assert_int_equal(recording_close(recording), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	if (bytes < sizeof(struct recording_header)) {
		assert_int_equal(error, -ENOSPC);
		assert_int_equal(counts.drops[DROP_UNWRITTEN], MANY);
		return;
	}
	kinds = kinds_read();
	assert_int_equal(kinds.requests + counts.drops[DROP_UNWRITTEN], MANY);
	assert_int_equal(kinds.blocks + counts.drops[DROP_UNWRITTEN_PARTS], (MANY + 2) / 3);
	assert_int_equal(error, kinds.counts.h.size ? 0 : -ENOSPC);
	if (!error)
		assert_memory_equal(&kinds.counts, &counts, sizeof(counts));
	/* Nothing else can be in their way but a record that is cut. */
	if (bytes >= sizeof(struct recording_header) + sizeof(counts) + sizeof(struct rec_request))
		assert_int_equal(error, 0);
}

/* What is in the file and what the counts say of the rest is all that there was. */
static void test_full_disk_is_counted(void **state)
{
	static const unsigned int flush_every[] = {1, 2, 7, MANY + 1};

	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof(flush_every) / sizeof(flush_every[0]); i++)
		for (size_t bytes = 0; bytes < 16000; bytes += 53)
			full_disk_check(bytes, flush_every[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_grown),
		cmocka_unit_test(test_stopped_by_client),
		cmocka_unit_test(test_framing_is_checked),
		cmocka_unit_test(test_never_begun),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_full_disk_is_counted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
