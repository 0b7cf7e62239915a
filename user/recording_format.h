/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A recording on disk: this header, then records (bpf/abi.h), one after the other, each of the
 * size that its struct rec_header says, filled up with zeros to a multiple of 8. All numbers are in
 * the order of the machine that wrote it. The last record of a whole recording is REC_COUNTERS.
 *
 *	0              header_bytes                 +align8(size)
 *	| header ...   | size kind ... text 0 0 0   | size kind ...
 */
#ifndef WSGISCOPE_RECORDING_FORMAT_H
#define WSGISCOPE_RECORDING_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Like PNG's: not ASCII, with line ends, so that a transfer as text is noticed. */
#define RECORDING_MAGIC	      "\x89WSGISC\n"
#define RECORDING_MAGIC_BYTES 8
#define RECORDING_ORDER	      UINT32_C(0x01020304)
#define RECORDING_ORDER_SWAP  UINT32_C(0x04030201)
/* Of the framing and of all records: it is REC_VERSION. A reader knows its own only. */
#define RECORDING_VERSION 6
/* No record is larger; what says so is damaged. */
#define RECORD_BYTES_MAX 65536

struct recording_header {
	char magic[RECORDING_MAGIC_BYTES];
	uint32_t order;	       /* RECORDING_ORDER as the writer's machine has it */
	uint32_t version;      /* RECORDING_VERSION */
	uint32_t header_bytes; /* where the records begin; a multiple of 8 */
	uint32_t pad;
	int64_t realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
};

_Static_assert(sizeof(struct recording_header) == 32, "the header is part of the format");

/* What a record takes in the file. */
static inline size_t recording_align(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

#endif
