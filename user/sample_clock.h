/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that takes samples: a perf event on each CPU with a BPF program on it.
 */
#ifndef WSGISCOPE_SAMPLE_CLOCK_H
#define WSGISCOPE_SAMPLE_CLOCK_H

#include <stdint.h>

struct bpf_program;
struct sample_clock;

/*
 * Starts it on all CPUs that are online, hz times a second of running; cpus: as many as there can
 * be. program: borrowed. 0 or -errno, message printed.
 */
int sample_clock_start(struct bpf_program *program, uint32_t hz, int cpus,
		       struct sample_clock **out);

/* To be called now and then: CPUs come and go. */
void sample_clock_follow(struct sample_clock *clock); /* NULL is fine */

void sample_clock_stop(struct sample_clock *clock); /* NULL is fine */

#endif
