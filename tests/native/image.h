/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a process, as far as somebody has looked at it: pieces of bytes with their
 * addresses. Takes the place of user/memory.c and of bpf_probe_read_user().
 */
#ifndef WSGISCOPE_TESTS_NATIVE_IMAGE_H
#define WSGISCOPE_TESTS_NATIVE_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IMAGE_THREADS_MAX 8

struct image_piece {
	uint64_t address;
	uint32_t bytes;
	uint32_t at; /* of its first byte in image.memory */
};

struct image {
	uint32_t version; /* PY_VERSION_HEX */
	uint64_t runtime; /* address of _PyRuntime */
	uint32_t thread_count, piece_count;
	uint64_t threads[IMAGE_THREADS_MAX]; /* what each calls itself: pthread_self() */
	uint32_t memory_bytes;
	struct image_piece *pieces; /* ascending, not adjoining */
	uint8_t *memory;
};

/* What is read from now on is read from this image. */
void image_use(const struct image *image);

/* What is read from now on is read from a live process, and kept, until image_kept(). */
void image_keep(pid_t pid);

/* Fills pieces and memory with what was kept. 0 or -errno. */
int image_kept(struct image *out);

int image_load(const char *path, struct image *out); /* 0, -EBADMSG, -errno */
int image_save(const char *path, const struct image *image);
void image_free(struct image *image);

/* All of bytes or nothing: 0 or -EFAULT. */
int image_read(uint64_t address, void *out, size_t bytes);
int image_write(struct image *image, uint64_t address, const void *from, size_t bytes);

#endif
