/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time at the price of a block: ticks that are cheap to read, turned into CLOCK_MONOTONIC
 * nanoseconds by reading both clocks where a request starts and where it ends.
 *
 * Must not know: Python, requests.
 *
 * Why: output time needs two readings a block, and clock_gettime() costs about 30 ns where the
 * processor's counter costs about 10. The counter is used only where the kernel itself keeps time
 * by it, for then it is synchronous on all processors and never stops; else a tick is a nanosecond
 * of clock_gettime().
 */
#ifndef WSGISCOPE_CLOCK_H
#define WSGISCOPE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* The two clocks read as one. */
struct clock_pair {
	uint64_t ns; /* CLOCK_MONOTONIC */
	uint64_t ticks;
};

/* Whether the processor's counter may be used: asked once per module. */
bool clock_is_fast(void);

/* Reads both clocks; fast is what clock_is_fast() said. */
struct clock_pair clock_read_pair(bool fast);

/* Nanoseconds that ticks lasted, by the rate seen between two pairs. */
uint64_t clock_scale(uint64_t ticks, const struct clock_pair *from, const struct clock_pair *to);

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t clock_read_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_read_counter(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t value;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
	return value;
#else
	return clock_read_ns();
#endif
}

static inline uint64_t clock_read_ticks(bool fast)
{
	return fast ? clock_read_counter() : clock_read_ns();
}

/* later - earlier, 0 if the counter of another processor is a little behind. */
static inline uint64_t clock_span(uint64_t earlier, uint64_t later)
{
	return later > earlier ? later - earlier : 0;
}

#endif
