/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See sample_make.h.
 */
#include "sample_make.h"

#include <string.h>

static void size_set(struct made_sample *sample)
{
	size_t frames =
		(size_t)sample->record.python + sample->record.native + sample->record.kernel;

	sample->record.h.size =
		(__u32)(sizeof(sample->record) + frames * sizeof(sample->frames[0]));
}

void sample_make(struct made_sample *sample, __u64 id)
{
	memset(&sample->record, 0, sizeof(sample->record));
	sample->record.h = make_header(REC_SAMPLE, sizeof(sample->record));
	sample->record.h.time_ns = MAKE_START + id * 1000 * MS + 5 * MS;
	sample->record.id = id;
	sample->record.weight_ns = 10 * MS;
	sample->record.what = SAMPLE_CPU;
	sample->record.state = STATE_CPU;
}

static void frame_put(struct made_sample *sample, struct rec_frame frame)
{
	const struct rec_sample *record = &sample->record;

	sample->frames[record->python + record->native + record->kernel] = frame;
}

void sample_frame(struct made_sample *sample, __u64 code, __s32 offset)
{
	frame_put(sample, (struct rec_frame){code, (__u32)code, offset});
	sample->record.python++;
	size_set(sample);
}

void sample_native(struct made_sample *sample, __u64 address)
{
	frame_put(sample, (struct rec_frame){address, 0, -1});
	sample->record.native++;
	size_set(sample);
}

void sample_kernel(struct made_sample *sample, __u64 address)
{
	frame_put(sample, (struct rec_frame){address, 0, -1});
	sample->record.kernel++;
	size_set(sample);
}

void sample_wait(struct made_sample *sample, enum rec_state state, __u64 weight_ns)
{
	sample->record.what = SAMPLE_WAIT;
	sample->record.state = (__u8)state;
	sample->record.weight_ns = weight_ns;
}

void code_make_raw(struct made_code *code, enum rec_code_kind kind, __u64 address, const void *name,
		   size_t name_bytes, const void *file, size_t file_bytes,
		   const struct rec_line *lines, size_t line_count)
{
	size_t lines_bytes = line_count * sizeof(*lines), whole;

	memset(code, 0, sizeof(*code));
	whole = sizeof(code->record) + lines_bytes + name_bytes + file_bytes;
	code->record = (struct rec_code){
		.h = make_header(REC_CODE, (whole + 7) & ~(size_t)7),
		.code = address,
		.fingerprint = kind == CODE_PYTHON ? (__u32)address : 0,
		.first_line = line_count ? lines[0].line : 0,
		.kind = (__u8)kind,
		.name_bytes = (__u16)name_bytes,
		.file_bytes = (__u16)file_bytes,
		.lines = (__u16)line_count,
	};
	if (kind == CODE_KERNEL)
		code->record.h.tgid = 0;
	if (line_count)
		memcpy(code->rest, lines, lines_bytes);
	memcpy(code->rest + lines_bytes, name, name_bytes);
	memcpy(code->rest + lines_bytes + name_bytes, file, file_bytes);
}

void code_make(struct made_code *code, enum rec_code_kind kind, __u64 address, const char *name,
	       const char *file, __u32 first_line)
{
	struct rec_line lines[10];

	for (__u32 i = 0; i < 10; i++)
		lines[i] = (struct rec_line){10 * i, first_line + i};
	code_make_raw(code, kind, address, name, strlen(name), file, strlen(file), lines,
		      first_line ? 10 : 0);
}
