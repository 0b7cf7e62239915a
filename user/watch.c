/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns one perf event a CPU that counts nothing but tells of mappings (PERF_RECORD_MMAP2 in
 * perf_event_open(2)), and their rings. The kernel wakes us only when a ring fills up: a wake-up
 * for each mapping made starting a program take a fifth longer on a virtual machine. Who reads at
 * every tick is told soon enough.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "watch.h"

#define RING_BYTES ((size_t)64 << 10) /* a power of two, of pages; some 500 mappings */
#define RECORD_MAX (8 << 10)	      /* PATH_MAX and what is before it, and more */
#define WAKE_BYTES (RING_BYTES / 4)

struct ring {
	int fd; /* -1: this CPU was not online */
	struct perf_event_mmap_page *page;
	const char *data;
};

/* What the kernel puts behind the header: perf_event_open(2), PERF_RECORD_MMAP2. */
struct mapping_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, offset;
	uint32_t device_major, device_minor;
	uint64_t inode, inode_generation;
	uint32_t protection, flags;
	char name[];
};

struct watch {
	int epoll_fd;
	size_t page_bytes;
	size_t count;
	_Alignas(8) char record[RECORD_MAX];
	struct ring rings[];
};

static int ring_open(struct ring *ring, int cpu, size_t page_bytes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1, /* of code alone: mmap_data is what would ask for the rest */
		.mmap2 = 1,
		.watermark = 1,
		.wakeup_watermark = WAKE_BYTES,
	};
	void *mapped;

	ring->fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (ring->fd < 0)
		return errno == ENODEV ? 0 : -errno;
	mapped = mmap(NULL, page_bytes + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
		      0);
	if (mapped == MAP_FAILED)
		return -errno;
	ring->page = mapped;
	ring->data = (const char *)mapped + page_bytes;
	return 0;
}

static int watch_setup(struct watch *watch)
{
	struct epoll_event event = {.events = EPOLLIN};
	int err = 0;

	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->epoll_fd < 0)
		return -errno;
	for (size_t i = 0; i < watch->count && !err; i++) {
		struct ring *ring = &watch->rings[i];

		err = ring_open(ring, (int)i, watch->page_bytes);
		if (!err && ring->fd >= 0 &&
		    epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, ring->fd, &event))
			err = -errno;
	}
	return err;
}

int watch_open(struct watch **out)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct watch *watch;
	int err;

	if (cpus < 1)
		return -EINVAL;
	watch = calloc(1, sizeof(*watch) + (size_t)cpus * sizeof(watch->rings[0]));
	if (!watch)
		return -ENOMEM;
	watch->count = (size_t)cpus;
	watch->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	watch->epoll_fd = -1;
	for (size_t i = 0; i < watch->count; i++)
		watch->rings[i].fd = -1;
	err = watch_setup(watch);
	if (err) {
		watch_close(watch);
		return err;
	}
	*out = watch;
	return 0;
}

static void fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->rings[i].page)
			munmap(watch->rings[i].page, watch->page_bytes + RING_BYTES);
		fd_close(watch->rings[i].fd);
	}
	fd_close(watch->epoll_fd);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return watch->epoll_fd;
}

/* Bytes of the ring from a place on, which may lie around its end. */
static void ring_copy(const struct ring *ring, uint64_t at, void *out, size_t bytes)
{
	size_t start = at & (RING_BYTES - 1);
	size_t first = bytes < RING_BYTES - start ? bytes : RING_BYTES - start;

	memcpy(out, ring->data + start, first);
	memcpy((char *)out + first, ring->data, bytes - first);
}

/* False: records were lost. */
static bool record_take(const char *raw, size_t bytes, watch_fn fn, void *context)
{
	const struct mapping_record *record = (const struct mapping_record *)raw;

	if (record->header.type != PERF_RECORD_MMAP2)
		return record->header.type != PERF_RECORD_LOST;
	if (bytes > sizeof(*record) && memchr(record->name, '\0', bytes - sizeof(*record)))
		fn(context, (pid_t)record->pid, record->name);
	return true;
}

static bool ring_read(struct watch *watch, const struct ring *ring, watch_fn fn, void *context)
{
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	struct perf_event_header header;
	bool whole = true;

	while (head - tail >= sizeof(header)) {
		ring_copy(ring, tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > head - tail ||
		    header.size > sizeof(watch->record)) {
			whole = false; /* the kernel writes none such; begin anew */
			tail = head;
			break;
		}
		ring_copy(ring, tail, watch->record, header.size);
		whole &= record_take(watch->record, header.size, fn, context);
		tail += header.size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return whole;
}

bool watch_read(struct watch *watch, watch_fn fn, void *context)
{
	bool whole = true;

	for (size_t i = 0; i < watch->count; i++)
		if (watch->rings[i].page)
			whole &= ring_read(watch, &watch->rings[i], fn, context);
	return whole;
}
