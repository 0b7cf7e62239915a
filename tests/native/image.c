/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the one image or process that is read, and the form of an image's file: struct file_head,
 * the pieces' heads, their bytes. An image's file is our own, but is checked all the same.
 */
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "memory.h"

#define MAGIC	   "PYIMAGE1"
#define PIECES_MAX 65536
#define MEMORY_MAX (16 << 20)

struct file_head {
	char magic[8];
	uint64_t runtime;
	uint32_t version, thread_count, piece_count, memory_bytes;
	uint64_t threads[IMAGE_THREADS_MAX];
};

static const struct image *used;
static pid_t live;     /* 0: an image is read */
static uint64_t *kept; /* addresses of bytes that were read, in pairs: start, end */
static size_t kept_count, kept_room;

void image_use(const struct image *image)
{
	used = image;
	live = 0;
}

void image_keep(pid_t pid)
{
	live = pid;
	kept_count = 0;
}

static int live_read(uint64_t address, void *out, size_t bytes)
{
	struct iovec local = {out, bytes};
	struct iovec remote = {(void *)(uintptr_t)address, bytes};

	if (process_vm_readv(live, &local, 1, &remote, 1, 0) != (ssize_t)bytes)
		return -EFAULT;
	if (kept_count + 2 > kept_room) {
		kept_room = kept_room ? 2 * kept_room : 1024;
		kept = realloc(kept, kept_room * sizeof(*kept));
		if (!kept)
			abort();
	}
	kept[kept_count++] = address;
	kept[kept_count++] = address + bytes;
	return 0;
}

/* The piece that holds an address, or NULL. */
static const struct image_piece *piece_find(const struct image *image, uint64_t address)
{
	size_t low = 0, high = image->piece_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct image_piece *piece = &image->pieces[middle];

		if (address - piece->address < piece->bytes)
			return piece;
		if (address < piece->address)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

int image_write(struct image *image, uint64_t address, const void *from, size_t bytes)
{
	const struct image_piece *piece = piece_find(image, address);

	if (!piece || bytes > piece->bytes - (address - piece->address))
		return -EFAULT;
	memcpy(image->memory + piece->at + (address - piece->address), from, bytes);
	return 0;
}

int image_read(uint64_t address, void *out, size_t bytes)
{
	const struct image_piece *piece;

	if (!bytes)
		return 0;
	if (live)
		return live_read(address, out, bytes);
	piece = piece_find(used, address);
	if (!piece || bytes > piece->bytes - (address - piece->address))
		return -EFAULT;
	memcpy(out, used->memory + piece->at + (address - piece->address), bytes);
	return 0;
}

/* What user/memory.c is to the program. */
int memory_read(pid_t pid, uint64_t address, void *out, size_t bytes)
{
	(void)pid;
	return image_read(address, out, bytes);
}

int memory_pointer_read(pid_t pid, uint64_t address, uint64_t *out)
{
	int err = memory_read(pid, address, out, sizeof(*out));

	return !err && *out % 8 ? -EFAULT : err;
}

static int pair_compare(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return one[0] < other[0] ? -1 : one[0] > other[0];
}

/* Joins what overlaps or adjoins. How many pairs are left. */
static size_t pairs_join(uint64_t *pairs, size_t count)
{
	size_t last = 0;

	qsort(pairs, count, 2 * sizeof(*pairs), pair_compare);
	for (size_t i = 1; i < count; i++) {
		uint64_t *to = &pairs[2 * last], *from = &pairs[2 * i];

		if (from[0] <= to[1]) {
			to[1] = to[1] > from[1] ? to[1] : from[1];
			continue;
		}
		last++;
		memmove(&pairs[2 * last], from, 2 * sizeof(*pairs));
	}
	return count ? last + 1 : 0;
}

int image_kept(struct image *out)
{
	size_t count = pairs_join(kept, kept_count / 2);
	const pid_t pid = live;
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += kept[2 * i + 1] - kept[2 * i];
	if (!count || count > PIECES_MAX || bytes > MEMORY_MAX)
		return count ? -EFBIG : -ENODATA;
	out->pieces = calloc(count, sizeof(*out->pieces));
	out->memory = malloc(bytes);
	if (!out->pieces || !out->memory)
		return -ENOMEM;
	out->piece_count = (uint32_t)count;
	out->memory_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		struct image_piece *piece = &out->pieces[i];

		piece->address = kept[2 * i];
		piece->bytes = (uint32_t)(kept[2 * i + 1] - kept[2 * i]);
		piece->at = out->memory_bytes;
		out->memory_bytes += piece->bytes;
		live = pid;
		if (live_read(piece->address, out->memory + piece->at, piece->bytes))
			return -EFAULT;
	}
	return 0;
}

static int image_check(const struct image *image)
{
	uint64_t end = 0, at = 0;

	for (uint32_t i = 0; i < image->piece_count; i++) {
		const struct image_piece *piece = &image->pieces[i];

		if ((i && piece->address <= end) || piece->at != at || !piece->bytes ||
		    piece->address + piece->bytes < piece->address)
			return -EBADMSG;
		end = piece->address + piece->bytes;
		at += piece->bytes;
	}
	return at == image->memory_bytes ? 0 : -EBADMSG;
}

static int image_fill(FILE *file, struct image *out)
{
	struct file_head head;

	if (fread(&head, sizeof(head), 1, file) != 1 || memcmp(head.magic, MAGIC, 8) ||
	    head.thread_count > IMAGE_THREADS_MAX || head.piece_count > PIECES_MAX ||
	    head.memory_bytes > MEMORY_MAX)
		return -EBADMSG;
	out->version = head.version;
	out->runtime = head.runtime;
	out->thread_count = head.thread_count;
	out->piece_count = head.piece_count;
	out->memory_bytes = head.memory_bytes;
	memcpy(out->threads, head.threads, sizeof(out->threads));
	out->pieces = calloc(head.piece_count + 1, sizeof(*out->pieces));
	out->memory = malloc(head.memory_bytes + 1);
	if (!out->pieces || !out->memory)
		return -ENOMEM;
	if (fread(out->pieces, sizeof(*out->pieces), head.piece_count, file) != head.piece_count ||
	    fread(out->memory, 1, head.memory_bytes, file) != head.memory_bytes)
		return -EBADMSG;
	return image_check(out);
}

int image_load(const char *path, struct image *out)
{
	FILE *file = fopen(path, "re");
	int err;

	memset(out, 0, sizeof(*out));
	if (!file)
		return -errno;
	err = image_fill(file, out);
	fclose(file);
	if (err)
		image_free(out);
	return err;
}

int image_save(const char *path, const struct image *image)
{
	struct file_head head = {
		.magic = MAGIC,
		.runtime = image->runtime,
		.version = image->version,
		.thread_count = image->thread_count,
		.piece_count = image->piece_count,
		.memory_bytes = image->memory_bytes,
	};
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	memcpy(head.threads, image->threads, sizeof(head.threads));
	fwrite(&head, sizeof(head), 1, file);
	fwrite(image->pieces, sizeof(*image->pieces), image->piece_count, file);
	fwrite(image->memory, 1, image->memory_bytes, file);
	return fclose(file) ? -errno : 0;
}

void image_free(struct image *image)
{
	free(image->pieces);
	free(image->memory);
	memset(image, 0, sizeof(*image));
}
