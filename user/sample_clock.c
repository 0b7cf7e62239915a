/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the perf events. Must not know whom a sample is taken of: that is the program's.
 */
#include "sample_clock.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "cpu_list.h"
#include "log.h"

struct sample_clock {
	struct bpf_program *program;
	uint32_t hz;
	int cpus;
	bool *online;		 /* as was seen last */
	struct bpf_link **links; /* by CPU, NULL: it does not tick there */
};

/* 0 or -errno. */
static int cpu_attach(struct sample_clock *clock, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_freq = clock->hz,
		.freq = 1,
		.exclude_idle = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	clock->links[cpu] = bpf_program__attach_perf_event(clock->program, fd);
	if (clock->links[cpu])
		return 0;
	close(fd);
	return -errno;
}

static int cpus_attach(struct sample_clock *clock)
{
	int ticking = 0;
	int err = cpu_list_online(clock->online, clock->cpus);

	for (int cpu = 0; !err && cpu < clock->cpus; cpu++) {
		if (!clock->online[cpu])
			continue;
		err = cpu_attach(clock, cpu);
		ticking += !err;
		if (err == -ENODEV) { /* it has gone meanwhile */
			clock->online[cpu] = false;
			err = 0;
		}
	}
	return !err && !ticking ? -ENODEV : err;
}

int sample_clock_start(struct bpf_program *program, uint32_t hz, int cpus,
		       struct sample_clock **out)
{
	struct sample_clock *clock = calloc(1, sizeof(*clock));
	int err = -ENOMEM;

	if (clock) {
		clock->program = program;
		clock->hz = hz;
		clock->cpus = cpus;
		clock->online = calloc((size_t)cpus, sizeof(*clock->online));
		clock->links = calloc((size_t)cpus, sizeof(struct bpf_link *));
	}
	if (clock && clock->online && clock->links)
		err = cpus_attach(clock);
	if (!err) {
		*out = clock;
		return 0;
	}
	log_error("a sampling clock of %u Hz: %s; kernel.perf_event_max_sample_rate bounds it", hz,
		  strerror(-err));
	sample_clock_stop(clock);
	return err;
}

/* The event of a CPU that went is a dead one, also when the CPU is back. */
static void cpu_change(struct sample_clock *clock, int cpu, bool online)
{
	int err = 0;

	clock->online[cpu] = online;
	bpf_link__destroy(clock->links[cpu]);
	clock->links[cpu] = NULL;
	if (online)
		err = cpu_attach(clock, cpu);
	if (err == -ENODEV)
		clock->online[cpu] = false;
	else if (err)
		log_warn("CPU %d has come: %s; what runs there is not sampled", cpu,
			 strerror(-err));
}

void sample_clock_follow(struct sample_clock *clock)
{
	bool *now;

	if (!clock)
		return;
	now = calloc((size_t)clock->cpus, sizeof(*now));
	if (now && !cpu_list_online(now, clock->cpus))
		for (int cpu = 0; cpu < clock->cpus; cpu++)
			if (now[cpu] != clock->online[cpu])
				cpu_change(clock, cpu, now[cpu]);
	free(now);
}

void sample_clock_stop(struct sample_clock *clock)
{
	if (!clock)
		return;
	for (int cpu = 0; clock->links && cpu < clock->cpus; cpu++)
		bpf_link__destroy(clock->links[cpu]);
	free(clock->links);
	free(clock->online);
	free(clock);
}
