/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the mappings of a ring's two position pages. Must not know the BPF object.
 */
#include "ring_fill.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"

static const uint64_t *page_map(int map_fd, int number)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	void *mapped = mmap(NULL, page_bytes, PROT_READ, MAP_SHARED, map_fd, number * page_bytes);

	return mapped == MAP_FAILED ? NULL : mapped;
}

static void page_unmap(const uint64_t *page)
{
	if (page)
		munmap((void *)page, sysconf(_SC_PAGESIZE));
}

int ring_fill_open(int map_fd, struct ring_fill *out)
{
	int err;

	out->produced = NULL;
	out->consumed = page_map(map_fd, 0);
	if (out->consumed)
		out->produced = page_map(map_fd, 1);
	if (out->produced)
		return 0;
	err = -errno;
	log_error("mapping the ring: %s", strerror(-err));
	ring_fill_close(out);
	return err;
}

void ring_fill_close(struct ring_fill *fill)
{
	page_unmap(fill->consumed);
	page_unmap(fill->produced);
	fill->consumed = fill->produced = NULL;
}

uint64_t ring_fill_produced(const struct ring_fill *fill)
{
	return __atomic_load_n(fill->produced, __ATOMIC_ACQUIRE);
}

bool ring_fill_is_read(const struct ring_fill *fill, uint64_t position)
{
	return __atomic_load_n(fill->consumed, __ATOMIC_ACQUIRE) >= position;
}

uint64_t ring_fill_bytes(const struct ring_fill *fill)
{
	uint64_t read_to = __atomic_load_n(fill->consumed, __ATOMIC_ACQUIRE);

	return __atomic_load_n(fill->produced, __ATOMIC_ACQUIRE) - read_to;
}
