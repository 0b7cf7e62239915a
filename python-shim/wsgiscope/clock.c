/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the processor's counter can be trusted, and what a tick of it is worth.
 *
 * Must not know: Python, requests.
 */
#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* A reading of both clocks wider than this was interrupted: about 1 us on x86, 10 us on arm64. */
#define CLOCK_PAIR_TICKS 2000
#define CLOCK_PAIR_TRIES 4

static bool kernel_keeps_time_by(const char *source)
{
	char name[64];
	ssize_t len;
	int fd;

	fd = open(CLOCK_SOURCE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, name, sizeof(name) - 1);
	close(fd);
	if (len <= 0)
		return false;
	name[len] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, source) == 0;
}

bool clock_is_fast(void)
{
#if defined(__x86_64__)
	unsigned int a, b, c, d;

	/* Leaf 0x80000007, EDX bit 8: the counter's rate does not depend on the power state. */
	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & (1u << 8)))
		return false;
	return kernel_keeps_time_by("tsc");
#elif defined(__aarch64__)
	return kernel_keeps_time_by("arch_sys_counter");
#else
	return false;
#endif
}

/*
 * The counter is read on both sides of the clock. A thread that is preempted in between would
 * spoil the rate of a short request, so a wide reading is tried again; the tightest one counts.
 */
struct clock_pair clock_read_pair(bool fast)
{
	struct clock_pair best = {0};
	uint64_t width = UINT64_MAX;

	if (!fast) {
		best.ns = best.ticks = clock_read_ns();
		return best;
	}
	for (int i = 0; i < CLOCK_PAIR_TRIES && width > CLOCK_PAIR_TICKS; i++) {
		uint64_t before = clock_read_counter();
		uint64_t ns = clock_read_ns();
		uint64_t span = clock_span(before, clock_read_counter());

		if (span < width) {
			width = span;
			best.ns = ns;
			best.ticks = before + span / 2;
		}
	}
	return best;
}

uint64_t clock_scale(uint64_t ticks, const struct clock_pair *from, const struct clock_pair *to)
{
	uint64_t whole = clock_span(from->ticks, to->ticks);
	uint64_t ns = clock_span(from->ns, to->ns);

	if (!whole)
		return 0;
	return (uint64_t)((unsigned __int128)ticks * ns / whole);
}
