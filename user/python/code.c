/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the way from a code object's address to what people call it. All sizes are the process's
 * word and are bounded. The object may have been freed, or be freed while it is read: most of it
 * lies there still then, as good as ever, but the strings that it points at become others. So it is
 * looked at whether it lives, and again at the end. Must not know records, caches, or any version's
 * layout.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "linetable.h"
#include "memory.h"
#include "python/code.h"
#include "utf8.h"

/* What is read of a line table at most; the longest in Python's library has about 30 KB. */
#define TABLE_BYTES_MAX 65536

/* Reads from the process, or, where there is one, from a copy of the object and what it points at.
 */
struct code_reader {
	pid_t pid;
	const struct python_layout *layout;
	uint64_t code;
	const struct rec_raw_code *raw; /* NULL: the process */
	bool asked;			/* the process, for what the copy does not have */
};

/* A piece of memory that was copied. */
struct piece {
	uint64_t address;
	const void *bytes;
	size_t size;
};

static uint64_t window_word(const struct code_reader *reader, uint16_t member)
{
	const uint32_t at = member - reader->layout->walk.code_print;

	return reader->raw->window[at / 8 % RAW_WINDOW_WORDS];
}

/* The piece that holds an address, if any; its bytes from there on. */
static struct piece piece_find(const struct code_reader *reader, uint64_t address)
{
	const struct pystack_layout *walk = &reader->layout->walk;
	const struct rec_raw_code *raw = reader->raw;
	const struct piece pieces[] = {
		{reader->code, raw->head, sizeof(raw->head)},
		{reader->code + walk->code_print, raw->window, PYSTACK_PRINT_BYTES},
		{window_word(reader, walk->code_name), raw->name, raw->name_bytes},
		{window_word(reader, walk->code_file), raw->file, raw->file_bytes},
		{window_word(reader, walk->code_lines), raw->lines, raw->lines_bytes},
	};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		uint64_t into = address - pieces[i].address;

		if (into < pieces[i].size)
			return (struct piece){address, (const char *)pieces[i].bytes + into,
					      pieces[i].size - into};
	}
	return (struct piece){0};
}

static int bytes_read(struct code_reader *reader, uint64_t address, void *out, size_t bytes)
{
	struct piece piece;

	if (!reader->raw)
		return memory_read(reader->pid, address, out, bytes);
	piece = piece_find(reader, address);
	if (!piece.size) {
		reader->asked = true;
		return memory_read(reader->pid, address, out, bytes);
	}
	if (piece.size < bytes)
		return -EFAULT;
	memcpy(out, piece.bytes, bytes);
	return 0;
}

static int pointer_read(struct code_reader *reader, uint64_t address, uint64_t *out)
{
	int err = bytes_read(reader, address, out, sizeof(*out));

	return !err && *out % 8 ? -EFAULT : err;
}

/*
 * Whether something at this address has references. It has none while it is being freed, and then
 * an allocator's pointer lies in their place: pymalloc's free list begins in its first word, as do
 * those of malloc(). The upper half of that word is an overflow's (16 bits, always 0) and, from
 * 3.14 on, flags. 0, -ESTALE, -errno.
 */
static int references_check(struct code_reader *reader)
{
	struct {
		uint32_t count;
		uint16_t overflow;
		uint16_t flags;
	} references;
	int err;

	/* Where there is no GIL, an object begins otherwise. */
	if (reader->layout->objects.object_type != sizeof(references))
		return 0;
	err = bytes_read(reader, reader->code, &references, sizeof(references));
	if (err)
		return err;
	return references.count && !references.overflow ? 0 : -ESTALE;
}

/* As bpf/pycode.bpf.c makes it. 0, -ESTALE, -errno. */
static int fingerprint_check(struct code_reader *reader, uint32_t expected)
{
	const struct pystack_layout *walk = &reader->layout->walk;
	__u64 words[PYSTACK_PRINT_WORDS], text_hash = 0;
	int err = bytes_read(reader, reader->code + walk->code_print, words, sizeof(words));

	if (reader->raw)
		text_hash = reader->raw->text_hash;
	else if (!err && walk->text_hash)
		err = memory_read(reader->pid,
				  words[(walk->code_hashed - walk->code_print) / 8] +
					  walk->text_hash,
				  &text_hash, sizeof(text_hash));
	if (err)
		return err;
	return expected && pystack_fingerprint(words, text_hash) != expected ? -ESTALE : 0;
}

/* Whether an object is of a type: the one at this address, or, where that is not known, the one of
 * this name. 0, -EBADMSG, -errno. */
static int type_check(struct code_reader *reader, uint64_t object, uint64_t known, const char *name)
{
	const struct python_objects *at = &reader->layout->objects;
	uint64_t type, type_name;
	char found[16] = "";
	int err = pointer_read(reader, object + at->object_type, &type);

	if (!err && known)
		return type == known ? 0 : -EBADMSG;
	if (!err)
		err = memory_read(reader->pid, type + at->type_name, &type_name, sizeof(type_name));
	if (!err)
		err = memory_read(reader->pid, type_name, found, strlen(name) + 1);
	if (err == -ESRCH && reader->raw)
		return 0; /* the copy is all there is now, and was taken while the code ran */
	if (err)
		return err;
	return strcmp(found, name) ? -EBADMSG : 0;
}

/* Whether the code object that is meant is there, and alive. 0, -ESTALE, -EBADMSG, -errno. */
static int object_check(struct code_reader *reader, uint32_t fingerprint)
{
	int err = references_check(reader);

	if (!err)
		err = fingerprint_check(reader, fingerprint);
	return err ? err : type_check(reader, reader->code, reader->layout->types.code, "code");
}

/* Where the characters of a str lie, how many there are, and how many bytes each has. */
struct text_place {
	uint64_t data, length;
	unsigned int width;
};

static int text_find(struct code_reader *reader, uint64_t object, struct text_place *out)
{
	const struct python_objects *at = &reader->layout->objects;
	uint32_t state;
	int err = bytes_read(reader, object + at->text_length, &out->length, sizeof(out->length));

	if (!err)
		err = bytes_read(reader, object + at->text_state, &state, sizeof(state));
	if (err)
		return err;
	state >>= at->text_kind_shift;
	out->width = state & 7;
	/* Names are compact: all that CPython itself makes are. */
	if (!(state & 8) || (out->width != 1 && out->width != 2 && out->width != 4))
		return -EBADMSG;
	out->data = object + (state & 16 ? at->text_ascii : at->text_data);
	return 0;
}

static const char ellipsis[] = "\xe2\x80\xa6";
#define ELLIPSIS_BYTES (sizeof(ellipsis) - 1)

/* The str that a code object's member points at, as UTF-8; what is longer than size is cut. */
static int text_read(struct code_reader *reader, uint32_t member, char *out, size_t size,
		     size_t *bytes)
{
	char raw[4 * REC_CODE_FILE_MAX];
	struct text_place place;
	uint64_t object, count, copied;
	bool cut = false;
	int err = pointer_read(reader, reader->code + member, &object);

	*bytes = 0;
	if (!err)
		err = type_check(reader, object, reader->layout->types.text, "str");
	if (!err)
		err = text_find(reader, object, &place);
	if (err)
		return err;
	count = place.length < size ? place.length : size;
	copied = reader->raw ? piece_find(reader, place.data).size / place.width : 0;
	if (copied && count > copied)
		count = copied;
	err = bytes_read(reader, place.data, raw, count * place.width);
	for (uint64_t i = 0; !err && i < count && !cut; i++) {
		char one[UTF8_BYTES_MAX];
		size_t more = utf8_put(one, utf8_character(raw + i * place.width, place.width));
		bool last = i + 1 == place.length;

		cut = *bytes + more + (last ? 0 : ELLIPSIS_BYTES) > size;
		if (!cut) {
			memcpy(out + *bytes, one, more);
			*bytes += more;
		}
	}
	if (cut || count < place.length) {
		memcpy(out + *bytes, ellipsis, ELLIPSIS_BYTES);
		*bytes += ELLIPSIS_BYTES;
	}
	return err;
}

/* A table that is too long leaves the lines unknown, which is no reason to lose the name. */
static int lines_read(struct code_reader *reader, struct python_code *out)
{
	static uint8_t table[TABLE_BYTES_MAX];
	const struct python_objects *at = &reader->layout->objects;
	uint64_t object, bytes;
	int err = pointer_read(reader, reader->code + at->code_lines, &object);

	if (!err)
		err = type_check(reader, object, reader->layout->types.bytes, "bytes");
	if (!err)
		err = bytes_read(reader, object + at->bytes_size, &bytes, sizeof(bytes));
	if (err)
		return err;
	out->lines_cut =
		bytes > sizeof(table) ||
		(reader->raw && bytes && bytes_read(reader, object + at->bytes_data, table, bytes));
	if (out->lines_cut)
		return 0;
	if (!reader->raw)
		err = bytes_read(reader, object + at->bytes_data, table, bytes);
	if (!err)
		out->line_count = linetable_decode(at->lines, out->first_line, table, bytes,
						   out->lines, REC_CODE_LINES_MAX);
	return err;
}

static int code_read(struct code_reader *reader, uint32_t fingerprint, struct python_code *out)
{
	const struct python_objects *at = &reader->layout->objects;
	int err = object_check(reader, fingerprint);

	out->line_count = 0;
	if (!err)
		err = bytes_read(reader, reader->code + at->code_first_line, &out->first_line,
				 sizeof(out->first_line));
	if (!err)
		err = text_read(reader, python_code_name(at), out->name, sizeof(out->name),
				&out->name_bytes);
	if (!err)
		err = text_read(reader, at->code_file, out->file, sizeof(out->file),
				&out->file_bytes);
	return err ? err : lines_read(reader, out);
}

int python_code_read(pid_t pid, const struct python_layout *layout, uint64_t address,
		     uint32_t fingerprint, struct python_code *out)
{
	struct code_reader reader = {.pid = pid, .layout = layout, .code = address};
	int err = code_read(&reader, fingerprint, out);

	/* It may have gone while it was read: then what was read is of no worth. */
	return err == -ESRCH ? err : object_check(&reader, fingerprint) ?: err;
}

int python_code_decode(const struct python_layout *layout, const struct rec_raw_code *raw,
		       struct python_code *out)
{
	struct code_reader reader = {
		.pid = (pid_t)raw->h.tgid, .layout = layout, .code = raw->code, .raw = raw};
	int err;

	if (raw->name_bytes > sizeof(raw->name) || raw->file_bytes > sizeof(raw->file) ||
	    raw->lines_bytes > sizeof(raw->lines))
		return -EBADMSG;
	err = code_read(&reader, raw->fingerprint, out);
	if (err || !reader.asked)
		return err;
	/* What the process says now is worth something while the object lives. */
	reader.raw = NULL;
	return object_check(&reader, raw->fingerprint);
}

static int type_read(struct code_reader *reader, uint64_t object, uint64_t *out)
{
	return pointer_read(reader, object + reader->layout->objects.object_type, out);
}

int python_types_read(pid_t pid, const struct python_layout *layout, uint64_t code,
		      struct python_types *out)
{
	struct code_reader reader = {.pid = pid, .layout = layout, .code = code};
	uint64_t text, bytes;
	int err = type_read(&reader, code, &out->code);

	if (!err)
		err = pointer_read(&reader, code + layout->objects.code_name, &text);
	if (!err)
		err = type_read(&reader, text, &out->text);
	if (!err)
		err = pointer_read(&reader, code + layout->objects.code_lines, &bytes);
	return err ? err : type_read(&reader, bytes, &out->bytes);
}

int python_none_check(pid_t pid, const struct python_layout *layout, uint64_t object)
{
	struct code_reader reader = {.pid = pid, .layout = layout};

	return type_check(&reader, object, 0, "NoneType");
}
