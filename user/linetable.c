/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: three formats. co_lnotab (Objects/lnotab_notes.txt of 3.9), co_linetable of PEP 626
 * (the same file of 3.10), the location table of PEP 657 (Objects/locations.md of 3.11).
 * Must not know where a table comes from.
 */
#include "linetable.h"

#include <stdbool.h>

struct line_writer {
	struct rec_line *out;
	size_t count, max;
	bool full;
};

/* From this offset on, this line; 0: none. A line that makes no sense is none. */
static void line_put(struct line_writer *writer, uint64_t offset, int64_t line)
{
	struct rec_line *last = writer->count ? &writer->out[writer->count - 1] : NULL;

	if (line < 0 || line > INT32_MAX)
		line = 0;
	if (writer->full || offset > INT32_MAX)
		return;
	if (last && last->offset == offset) {
		/* What began here before had no instruction. */
		last->line = (uint32_t)line;
		if (writer->count > 1 && last[-1].line == last->line)
			writer->count--;
		return;
	}
	if (last && last->line == (uint32_t)line)
		return;
	if (writer->count == writer->max) {
		writer->full = true;
		if (last)
			last->line = 0;
		return;
	}
	writer->out[writer->count++] =
		(struct rec_line){.offset = (uint32_t)offset, .line = (uint32_t)line};
}

static void lnotab_decode(struct line_writer *writer, int64_t line, const uint8_t *table,
			  size_t bytes)
{
	uint64_t offset = 0;

	line_put(writer, 0, line);
	for (size_t i = 0; i + 1 < bytes; i += 2) {
		offset += table[i];
		line += (int8_t)table[i + 1];
		line_put(writer, offset, line);
	}
}

#define RANGE_NO_LINE (-128)

static void ranges_decode(struct line_writer *writer, int64_t line, const uint8_t *table,
			  size_t bytes)
{
	uint64_t offset = 0;

	for (size_t i = 0; i + 1 < bytes; i += 2) {
		int8_t delta = (int8_t)table[i + 1];

		if (delta != RANGE_NO_LINE)
			line += delta;
		if (table[i])
			line_put(writer, offset, delta == RANGE_NO_LINE ? 0 : line);
		offset += table[i];
	}
}

struct byte_reader {
	const uint8_t *at, *end;
};

/* CPython's numbers are ints. What has more bits is none, and is cut so that no table is long
 * enough for the sum of all that it adds to a line to overflow. */
#define VARINT_BITS 36

/* Six bits a byte, the least first; the seventh bit says that more follow. */
static uint64_t varint_take(struct byte_reader *reader)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; reader->at < reader->end; shift += 6) {
		uint8_t byte = *reader->at++;

		if (shift < VARINT_BITS)
			value |= (uint64_t)(byte & 0x3f) << shift;
		if (!(byte & 0x40))
			break;
	}
	return value;
}

static int64_t signed_varint_take(struct byte_reader *reader)
{
	uint64_t value = varint_take(reader);
	int64_t half = (int64_t)(value >> 1);

	return value & 1 ? -half : half;
}

enum location_kind {
	LOCATION_ONE_LINE = 10, /* up to 12: that many lines on, and two columns */
	LOCATION_NO_COLUMNS = 13,
	LOCATION_LONG = 14,
	LOCATION_NONE = 15,
};

/* How many lines on a location is; steps over its columns. */
static int64_t location_take(struct byte_reader *reader, unsigned int kind)
{
	int64_t delta = 0;
	size_t columns = 1;

	if (kind == LOCATION_NONE)
		return 0;
	if (kind == LOCATION_NO_COLUMNS)
		return signed_varint_take(reader);
	if (kind == LOCATION_LONG) {
		delta = signed_varint_take(reader);
		for (int i = 0; i < 3; i++)
			varint_take(reader);
		return delta;
	}
	if (kind >= LOCATION_ONE_LINE) {
		delta = kind - LOCATION_ONE_LINE;
		columns = 2;
	}
	reader->at += columns < (size_t)(reader->end - reader->at)
			      ? columns
			      : (size_t)(reader->end - reader->at);
	return delta;
}

static void locations_decode(struct line_writer *writer, int64_t line, const uint8_t *table,
			     size_t bytes)
{
	struct byte_reader reader = {table, table + bytes};
	uint64_t offset = 0;

	while (reader.at < reader.end) {
		uint8_t first = *reader.at++;
		unsigned int kind = first >> 3 & 15;

		if (!(first & 0x80))
			return; /* not the start of an entry: the rest makes no sense */
		line += location_take(&reader, kind);
		line_put(writer, offset, kind == LOCATION_NONE ? 0 : line);
		offset += 2 * ((first & 7) + 1);
	}
}

size_t linetable_decode(enum python_lines kind, uint32_t first_line, const uint8_t *table,
			size_t bytes, struct rec_line *out, size_t max)
{
	struct line_writer writer = {.out = out, .max = max};

	switch (kind) {
	case LINES_LNOTAB:
		lnotab_decode(&writer, first_line, table, bytes);
		break;
	case LINES_RANGES:
		ranges_decode(&writer, first_line, table, bytes);
		break;
	case LINES_LOCATIONS:
		locations_decode(&writer, first_line, table, bytes);
		break;
	}
	return writer.count;
}
