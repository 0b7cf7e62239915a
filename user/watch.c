/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns one perf event a CPU that counts nothing but tells of mappings (PERF_RECORD_MMAP2 in
 * perf_event_open(2)), and their rings. A host where much is started maps thousands of files a
 * second, so after it was woken the watch rests a little and then reads all that has come: the
 * first mapping of a quiet time is seen at once, the others some milliseconds late.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "watch.h"

#define RING_BYTES   ((size_t)64 << 10) /* a power of two, of pages; some 500 mappings */
#define RECORD_MAX   (8 << 10)		/* PATH_MAX and what is before it, and more */
#define REST_NS	     (5 * 1000000)
#define REST_LONG_NS (20 * 1000000)

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
	int epoll_fd, timer_fd;
	bool resting; /* the rings do not wake us until the timer does */
	bool seen;    /* something since the rest, or its last part, began */
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
		.wakeup_watermark = 1,
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

/* Whether a ring wakes us. */
static int ring_wake(const struct watch *watch, const struct ring *ring, int operation, bool wake)
{
	struct epoll_event event = {.events = wake ? EPOLLIN : 0};

	return epoll_ctl(watch->epoll_fd, operation, ring->fd, &event) ? -errno : 0;
}

static int watch_setup(struct watch *watch)
{
	struct epoll_event timer = {.events = EPOLLIN};
	int err;

	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->epoll_fd < 0 || watch->timer_fd < 0 ||
	    epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->timer_fd, &timer))
		return -errno;
	for (size_t i = 0; i < watch->count; i++) {
		err = ring_open(&watch->rings[i], (int)i, watch->page_bytes);
		if (!err && watch->rings[i].fd >= 0)
			err = ring_wake(watch, &watch->rings[i], EPOLL_CTL_ADD, true);
		if (err)
			return err;
	}
	return 0;
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
	watch->epoll_fd = watch->timer_fd = -1;
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
	fd_close(watch->timer_fd);
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

	watch->seen |= head != tail;
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

/* False: records were lost. */
static bool rings_read(struct watch *watch, watch_fn fn, void *context)
{
	bool whole = true;

	for (size_t i = 0; i < watch->count; i++)
		if (watch->rings[i].page)
			whole &= ring_read(watch, &watch->rings[i], fn, context);
	return whole;
}

static void rings_wake(struct watch *watch, bool wake)
{
	for (size_t i = 0; i < watch->count; i++)
		if (watch->rings[i].fd >= 0)
			ring_wake(watch, &watch->rings[i], EPOLL_CTL_MOD, wake);
}

static void rest_begin(struct watch *watch, long ns)
{
	const struct itimerspec rest = {.it_value.tv_nsec = ns};

	timerfd_settime(watch->timer_fd, 0, &rest, NULL);
	watch->seen = false;
}

/* Which ring has woken us is not asked: a perf event says it once, to whoever polls first. */
bool watch_read(struct watch *watch, watch_fn fn, void *context)
{
	bool whole = rings_read(watch, fn, context);
	uint64_t expirations;

	if (watch->resting) {
		if (read(watch->timer_fd, &expirations, sizeof(expirations)) < 0)
			return whole;
		if (watch->seen) {
			rest_begin(watch, REST_LONG_NS); /* this host is busy starting programs */
			return whole;
		}
		watch->resting = false;
		rings_wake(watch, true);
		whole &= rings_read(watch, fn, context); /* what came before they could wake us */
	}
	if (watch->seen) {
		watch->resting = true;
		rings_wake(watch, false);
		rest_begin(watch, REST_NS);
	}
	return whole;
}
