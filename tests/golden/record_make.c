/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See record_make.h. Requests are one second apart, so that their order is seen.
 */
#include "record_make.h"

#include <string.h>

struct rec_header make_header(enum rec_kind kind, size_t bytes)
{
	return (struct rec_header){
		.size = (__u32)bytes,
		.kind = (__u16)kind,
		.version = REC_VERSION,
		.tgid = MAKE_PID,
		.tid = MAKE_TID,
		.time_ns = MAKE_START,
	};
}

void make_string(struct rec_request *record, enum rec_string which, unsigned int kind,
		 const void *bytes, size_t count)
{
	if (count > sizeof(record->text) - record->text_bytes)
		count = sizeof(record->text) - record->text_bytes;
	record->str[which] = (struct rec_str){
		.offset = (__u16)record->text_bytes,
		.bytes = (__u16)count,
		.kind = (__u8)kind,
	};
	memcpy(record->text + record->text_bytes, bytes, count);
	record->text_bytes += (__u32)count;
}

void make_latin1(struct rec_request *record, enum rec_string which, const char *text)
{
	make_string(record, which, WSGISCOPE_STR_LATIN1, text, strlen(text));
}

struct rec_request make_request(__u64 id)
{
	__u64 start = MAKE_START + id * 1000 * MS;
	struct rec_request record = {
		.h = make_header(REC_REQUEST, sizeof(record)),
		.id = id,
		.conn = 4000 + id,
		.start_ns = start,
		.end_ns = start + 10 * MS,
		.first_block_ns = start + 9 * MS,
		.output_ns = MS / 10,
		.blocks = 1,
		.bytes = 11,
		.status = 200,
		.fd = 7,
		.mark_flags = WSGISCOPE_F_EXHAUSTED | WSGISCOPE_F_CLOSED | WSGISCOPE_F_CLIENT_FD,
		.writes = {.calls = 2,
			   .bytes = 150,
			   .time_ns = 50000,
			   .first_ns = start + 9 * MS + 20000,
			   .last_ns = start + 9 * MS + 90000,
			   .family = REC_FAMILY_INET,
			   .wire_status = 200},
	};

	record.h.time_ns = record.end_ns + 5000;
	make_latin1(&record, STR_METHOD, "GET");
	make_latin1(&record, STR_SCRIPT, "");
	return record;
}

size_t make_finish(struct rec_request *record)
{
	record->h.size = (__u32)(offsetof(struct rec_request, text) + record->text_bytes);
	return record->h.size;
}
