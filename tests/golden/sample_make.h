/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw samples and code objects as the live half would have made them, for tests.
 */
#ifndef WSGISCOPE_TESTS_SAMPLE_MAKE_H
#define WSGISCOPE_TESTS_SAMPLE_MAKE_H

#include <stddef.h>

#include "record_make.h"

#define SAMPLE_FRAMES_MAX (STACK_PYTHON_MAX + STACK_NATIVE_MAX + STACK_KERNEL_MAX)

struct made_sample {
	struct rec_sample record;
	struct rec_frame frames[SAMPLE_FRAMES_MAX];
};

struct made_code {
	struct rec_code record;
	char rest[REC_CODE_LINES_MAX * sizeof(struct rec_line) + REC_CODE_NAME_MAX +
		  REC_CODE_FILE_MAX + 8];
};

/* A tick of 10 ms on the CPU for a request, with no frames yet. */
void sample_make(struct made_sample *sample, __u64 id);

/* One Python frame more, outside the ones before: innermost first. The fingerprint is the code's
 * address once more. */
void sample_frame(struct made_sample *sample, __u64 code, __s32 offset);

/* Native and kernel frames, after all Python ones; native before kernel. */
void sample_native(struct made_sample *sample, __u64 address);
void sample_kernel(struct made_sample *sample, __u64 address);

/* Turns it into a wait of so long. */
void sample_wait(struct made_sample *sample, enum rec_state state, __u64 weight_ns);

/* A function of 10 lines from first_line on, each of 10 bytes of bytecode. */
void code_make(struct made_code *code, enum rec_code_kind kind, __u64 address, const char *name,
	       const char *file, __u32 first_line);

/* The same with names that are no C strings and lines as they come. */
void code_make_raw(struct made_code *code, enum rec_code_kind kind, __u64 address, const void *name,
		   size_t name_bytes, const void *file, size_t file_bytes,
		   const struct rec_line *lines, size_t line_count);

#endif
