/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way from a program's section to a perf event: by the tracepoint's id rather than by
 * libbpf, which wants tracefs mounted. Must not know what the programs do.
 */
#include "tracepoint.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "log.h"
#include "tracefs.h"

/* A perf event for syscalls/EVENT, on any CPU: what is attached to one runs on all. fd or -errno,
 * message printed. */
static int event_open(const struct tracefs *tracefs, const char *event)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
	};
	int64_t id = tracefs_event_id(tracefs, "syscalls", event);
	int fd, err;

	if (id < 0) {
		log_error("tracepoint syscalls/%s: %s; the kernel needs CONFIG_FTRACE_SYSCALLS",
			  event, strerror(-(int)id));
		return (int)id;
	}
	attr.config = (uint64_t)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = -errno;
	log_error("perf event for syscalls/%s: %s; try as root", event, strerror(-err));
	return err;
}

int tracepoint_attach(struct bpf_program *program, const struct tracefs *tracefs,
		      struct bpf_link **out)
{
	const char *event = strrchr(bpf_program__section_name(program), '/') + 1;
	int fd = event_open(tracefs, event), err;

	if (fd < 0)
		return fd;
	*out = bpf_program__attach_perf_event(program, fd);
	if (*out)
		return 0;
	err = -errno;
	close(fd);
	log_error("attaching to syscalls/%s: %s", event, strerror(-err));
	return err;
}
