/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Must not know whom a sample is taken of: that is the program's.
 */
#include "sample_clock.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "log.h"

/* 0, -ENODEV (a CPU that is not online), -errno. */
static int cpu_attach(struct bpf_program *program, uint32_t hz, int cpu, struct bpf_link **out)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_freq = hz,
		.freq = 1,
		.exclude_idle = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	*out = bpf_program__attach_perf_event(program, fd);
	if (*out)
		return 0;
	close(fd);
	return -errno;
}

int sample_clock_attach(struct bpf_program *program, uint32_t hz, int cpus, struct bpf_link **links)
{
	int ticking = 0;
	int err = 0;

	for (int cpu = 0; hz && cpu < cpus; cpu++) {
		err = cpu_attach(program, hz, cpu, &links[cpu]);
		if (err && err != -ENODEV)
			break;
		ticking += !err;
	}
	if (!hz || (ticking && (!err || err == -ENODEV)))
		return 0;
	log_error("a sampling clock of %u Hz: %s; kernel.perf_event_max_sample_rate bounds it", hz,
		  strerror(-err));
	return err;
}

void sample_clock_detach(struct bpf_link **links, int cpus)
{
	for (int cpu = 0; links && cpu < cpus; cpu++) {
		bpf_link__destroy(links[cpu]);
		links[cpu] = NULL;
	}
}
