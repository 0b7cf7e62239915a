/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that takes samples: a perf event on each CPU with a BPF program on it.
 */
#ifndef WSGISCOPE_SAMPLE_CLOCK_H
#define WSGISCOPE_SAMPLE_CLOCK_H

#include <stdint.h>

struct bpf_link;
struct bpf_program;

/*
 * Starts it on all CPUs that are online, hz times a second of running (0: not at all). links has
 * room for cpus, all NULL; what is put there goes by sample_clock_detach(). 0 or -errno, message
 * printed.
 */
int sample_clock_attach(struct bpf_program *program, uint32_t hz, int cpus,
			struct bpf_link **links);
void sample_clock_detach(struct bpf_link **links, int cpus); /* NULL is fine */

#endif
