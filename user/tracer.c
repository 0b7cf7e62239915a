/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the loaded BPF object, its links to the kernel and its maps. The only file that sees the
 * skeleton. Must not know servers, markers' files or what a record means beyond its size.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "abi.h"
#include "config.h"
#include "kernel.h"
#include "links.h"
#include "log.h"
#include "pystack.h"
#include "request_table.h"
#include "ring_fill.h"
#include "sample_clock.h"
#include "task_iter.h"
#include "task_storage.h"
#include "tracefs.h"
#include "tracepoint.h"
#include "tracer.h"
#include "wsgiscope.skel.h"
#include "wsgiscope_cast.skel.h"

#define LINKS_MAX 64

/* In which a few hundred records more or less make no difference. */
#define RING_LARGE (1U << 20)

#define SCHEDULER_LINKS 5

struct tracer {
	struct wsgiscope *skel;
	struct bpf_link *links[LINKS_MAX];
	int link_count;
	bool reads_attached, wire_attached;
	struct bpf_link *scheduler[SCHEDULER_LINKS]; /* the last two see waits */
	uint32_t clock_hz;			     /* 0: no clock is wanted */
	struct sample_clock *clock;		     /* NULL: it does not tick */
	int cpus;
	struct ring_fill fill;
	struct request_table requests;
	uint64_t swept; /* of those, by user space */
};

/* Before 5.11 maps are charged to RLIMIT_MEMLOCK; perf events need a descriptor each. */
static void limits_raise(void)
{
	struct rlimit memory = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit files;

	setrlimit(RLIMIT_MEMLOCK, &memory);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int load_failed(int err)
{
	char lacks[128];

	kernel_lacks(lacks, sizeof(lacks));
	if (err == -EPERM || (err == -EACCES && geteuid())) /* the verifier says EACCES, too */
		log_error("loading the BPF programs was refused: run as root, or see "
			  "`wsgiscope check`");
	else if (access("/sys/kernel/btf/vmlinux", R_OK))
		log_error("this kernel has no BTF (/sys/kernel/btf/vmlinux): wsgiscope needs a "
			  "kernel built with CONFIG_DEBUG_INFO_BTF");
	else if (*lacks)
		log_error("this kernel lacks what wsgiscope needs (%s): take " KERNEL_SINCE, lacks);
	else
		log_error("loading the BPF programs: %s; `wsgiscope check` says what is missing, "
			  "-vv what the kernel said",
			  strerror(-err));
	return err;
}

static uint32_t clock_hz(const struct config *config)
{
	return config->samples && (config->wall || !config->off_cpu) ? config->sample_hz : 0;
}

/* Where no stacks are taken, the kernel does not get to see the programs. */
static void sampling_set(struct wsgiscope *skel, const struct config *config)
{
	uint32_t hz = clock_hz(config);

	skel->rodata->sample_period_ns = hz ? 1000000000 / hz : 0;
	skel->rodata->sample_waits = config->samples && (config->wall || config->off_cpu);
	skel->rodata->sample_outside = config->outside || config->samples_all;
	skel->rodata->sample_native = config->native;
	bpf_program__set_autoload(skel->progs.sample_clock, hz);
	bpf_program__set_autoload(skel->progs.waits_end, skel->rodata->sample_waits);
	if (!config->samples)
		bpf_map__set_max_entries(skel->maps.pythons, 1);
}

/* Which tracepoints are attached together. */
enum probe_group { GROUP_ALWAYS, GROUP_READS, GROUP_WIRE, GROUP_NONE };

static enum probe_group group_of(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);

	if (strncmp(section, "tracepoint/", 11))
		return GROUP_NONE;
	if (!strncmp(bpf_program__name(program), "wire_", 5))
		return GROUP_WIRE;
	return strstr(section, "sys_exit_read") || strstr(section, "sys_exit_recv") ? GROUP_READS
										    : GROUP_ALWAYS;
}

/* What is not wanted the kernel need not check. */
static void wire_set(struct wsgiscope *skel, const struct config *config)
{
	struct bpf_program *program;

	if (config->mode != MODE_MARKER)
		return;
	bpf_map__set_max_entries(skel->maps.listeners, 1);
	bpf_object__for_each_program (program, skel->obj)
		if (group_of(program) == GROUP_WIRE)
			bpf_program__set_autoload(program, false);
}

static void knobs_set(struct wsgiscope *skel, const struct config *config)
{
	uint32_t groups;

	skel->rodata->tick_ns = kernel_tick_ns();
	skel->rodata->track_all = !config->pids.count;
	skel->rodata->wakeup_bytes = config->ring_bytes / 8;
	skel->rodata->wakeup_mask = config->ring_bytes >= RING_LARGE ? 15 : 0;
	sampling_set(skel, config);
	wire_set(skel, config);
	bpf_map__set_max_entries(skel->maps.ring, config->ring_bytes);
	request_table_size(skel->maps.requests, skel->maps.request_keys, config->max_in_flight,
			   &groups);
	skel->rodata->request_groups = groups;
}

/* The same programs, variables and maps twice: see KERNEL_READ() of bpf/kernel.bpf.c. NULL: errno
 * says why. */
static struct wsgiscope *skel_open(void)
{
	struct wsgiscope *skel = calloc(1, sizeof(*skel));
	struct bpf_object_skeleton *made;
	int err;

	_Static_assert(sizeof(*skel->rodata) == sizeof(struct wsgiscope_cast__rodata),
		       "one layout");
	_Static_assert(sizeof(*skel->bss) == sizeof(struct wsgiscope_cast__bss), "one layout");
	if (!skel)
		return NULL;
	err = wsgiscope__create_skeleton(skel);
	made = skel->skeleton;
	if (!err && kernel_has_function("bpf_rdonly_cast"))
		made->data = (void *)wsgiscope_cast__elf_bytes(&made->data_sz);
	if (!err)
		err = bpf_object__open_skeleton(made, NULL);
	if (!err)
		return skel;
	wsgiscope__destroy(skel);
	errno = -err;
	return NULL;
}

int tracer_open(const struct config *config, struct tracer **out)
{
	struct tracer *tracer = calloc(1, sizeof(*tracer));
	int err = -ENOMEM;

	if (!tracer)
		return err;
	libbpf_set_print(log_libbpf);
	limits_raise();
	tracer->cpus = libbpf_num_possible_cpus();
	tracer->clock_hz = clock_hz(config);
	tracer->skel = skel_open();
	if (!tracer->skel) {
		err = load_failed(-errno);
		goto out;
	}
	knobs_set(tracer->skel, config);
	err = wsgiscope__load(tracer->skel);
	if (err) {
		err = load_failed(err);
		goto out;
	}
	err = ring_fill_open(bpf_map__fd(tracer->skel->maps.ring), &tracer->fill);
	if (!err)
		err = request_table_open(tracer->skel->maps.requests,
					 tracer->skel->maps.request_keys, &tracer->requests);
	if (err)
		goto out;
	*out = tracer;
	return 0;
out:
	tracer_close(tracer);
	return err;
}

void tracer_close(struct tracer *tracer)
{
	if (!tracer)
		return;
	links_destroy(tracer->links, (size_t)tracer->link_count);
	links_destroy(tracer->scheduler, SCHEDULER_LINKS);
	ring_fill_close(&tracer->fill);
	request_table_close(&tracer->requests);
	sample_clock_stop(tracer->clock);
	wsgiscope__destroy(tracer->skel);
	free(tracer);
}

static int link_keep(struct tracer *tracer, struct bpf_link *link)
{
	if (!link)
		return -errno;
	if (tracer->link_count == LINKS_MAX) {
		bpf_link__destroy(link);
		return -E2BIG;
	}
	tracer->links[tracer->link_count++] = link;
	return 0;
}

static int attach_tracepoints(struct tracer *tracer, const struct tracefs *tracefs,
			      enum probe_group group)
{
	struct bpf_program *program;
	struct bpf_link *link;
	int err = 0;

	bpf_object__for_each_program (program, tracer->skel->obj) {
		if (group_of(program) != group)
			continue;
		err = tracepoint_attach(program, tracefs, &link);
		if (!err)
			err = link_keep(tracer, link);
		if (err)
			return err;
	}
	return 0;
}

int tracer_attach_kernel(struct tracer *tracer, const struct tracefs *tracefs)
{
	struct bpf_program *programs[SCHEDULER_LINKS] = {
		tracer->skel->progs.process_fork,  tracer->skel->progs.process_exec,
		tracer->skel->progs.process_exit,  tracer->skel->progs.thread_switch,
		tracer->skel->progs.thread_wakeup,
	};
	int err;

	for (int i = 0; i < SCHEDULER_LINKS; i++) {
		tracer->scheduler[i] = bpf_program__attach(programs[i]);
		if (tracer->scheduler[i])
			continue;
		err = -errno;
		log_error("attaching to %s: %s; `wsgiscope check` says what is missing",
			  bpf_program__section_name(programs[i]), strerror(-err));
		return err;
	}
	return attach_tracepoints(tracer, tracefs, GROUP_ALWAYS);
}

static int attach_once(struct tracer *tracer, const struct tracefs *tracefs, enum probe_group group,
		       bool *attached)
{
	int err = *attached ? 0 : attach_tracepoints(tracer, tracefs, group);

	*attached |= !err;
	return err;
}

int tracer_attach_reads(struct tracer *tracer, const struct tracefs *tracefs)
{
	return attach_once(tracer, tracefs, GROUP_READS, &tracer->reads_attached);
}

int tracer_attach_wire(struct tracer *tracer, const struct tracefs *tracefs)
{
	return attach_once(tracer, tracefs, GROUP_WIRE, &tracer->wire_attached);
}

void tracer_stop_wire(struct tracer *tracer)
{
	tracer->skel->bss->turns_stopped = true;
}

int tracer_listener_add(struct tracer *tracer, uint64_t net_inode, uint16_t port)
{
	/* struct listener of bpf/state.bpf.h. */
	const struct {
		__u32 net;
		__u32 port;
	} listener = {.net = (__u32)net_inode, .port = port};
	const __u32 one = 1;

	return bpf_map_update_elem(bpf_map__fd(tracer->skel->maps.listeners), &listener, &one,
				   BPF_ANY);
}

int tracer_attach_mark(struct tracer *tracer, enum tracer_mark mark, int perf_fd,
		       struct bpf_link **out)
{
	struct bpf_program *programs[TRACER_MARKS] = {
		[TRACER_START] = tracer->skel->progs.request_start,
		[TRACER_BLOCK] = tracer->skel->progs.request_block,
		[TRACER_END] = tracer->skel->progs.request_end,
		[TRACER_GC_START] = tracer->skel->progs.gc_start,
		[TRACER_GC_DONE] = tracer->skel->progs.gc_done,
	};

	*out = bpf_program__attach_perf_event(programs[mark], perf_fd);
	return *out ? 0 : -errno;
}

/* As process_bit_set() and _clear() of bpf/state.bpf.h. Threads in traced processes look their
 * process up again. */
static void processes_changed(struct tracer *tracer, pid_t pid, bool traced)
{
	__u64 *words = tracer->skel->bss->process_bits;
	__u64 bit = UINT64_C(1) << pid % 64;

	if (traced)
		__atomic_or_fetch(&words[pid / 64], bit, __ATOMIC_RELEASE);
	else
		__atomic_and_fetch(&words[pid / 64], ~bit, __ATOMIC_RELEASE);
	__atomic_add_fetch(&tracer->skel->data->processes_version, 1, __ATOMIC_RELEASE);
}

int tracer_process_set(struct tracer *tracer, pid_t pid, const struct tracer_process *from,
		       bool is_traced)
{
	/* struct process of bpf/state.bpf.h. */
	struct {
		__u32 flags;
		__u32 gil_bytes;
		__u64 gil[TRACER_GILS_MAX];
	} process = {.flags = from->flags, .gil_bytes = from->gil_bytes};
	__u32 key = pid;
	int err;

	for (int i = 0; i < TRACER_GILS_MAX; i++)
		process.gil[i] = from->gil[i];
	err = bpf_map_update_elem(bpf_map__fd(tracer->skel->maps.processes), &key, &process,
				  is_traced ? BPF_EXIST : BPF_ANY);
	if (!err)
		processes_changed(tracer, pid, true);
	return err;
}

void tracer_process_forget(struct tracer *tracer, pid_t pid)
{
	__u32 key = pid;

	bpf_map_delete_elem(bpf_map__fd(tracer->skel->maps.processes), &key);
	processes_changed(tracer, pid, false);
}

int tracer_python_set(struct tracer *tracer, pid_t pid, const struct pystack_python *python)
{
	__u32 key = pid;

	return bpf_map_update_elem(bpf_map__fd(tracer->skel->maps.pythons), &key, python, BPF_ANY);
}

int tracer_thread_prepare(struct tracer *tracer, pid_t tid)
{
	struct bpf_map *maps[] = {tracer->skel->maps.threads, tracer->skel->maps.waits};

	return tracer->skel->rodata->sample_waits ? task_storage_make(tid, maps, 2) : 0;
}

int tracer_clock_start(struct tracer *tracer)
{
	if (!tracer->clock_hz)
		return 0;
	return sample_clock_start(tracer->skel->progs.sample_clock, tracer->clock_hz, tracer->cpus,
				  &tracer->clock);
}

void tracer_clock_follow(struct tracer *tracer)
{
	sample_clock_follow(tracer->clock);
}

void tracer_sampling_stop(struct tracer *tracer)
{
	int err = 0;

	sample_clock_stop(tracer->clock);
	tracer->clock = NULL;
	if (!tracer->skel || !tracer->skel->rodata->sample_waits)
		return;
	links_destroy(tracer->scheduler + 3, 2); /* a wait must not begin while it is ended */
	err = task_iter_run(tracer->skel->progs.waits_end);
	if (err)
		log_warn("waits that go on have no samples: %s", strerror(-err));
}

uint64_t tracer_refused_open(const struct tracer *tracer)
{
	return tracer->skel->bss->refused_open;
}

bool tracer_foreign_seen(struct tracer *tracer)
{
	bool seen = tracer->skel->bss->foreign_mark;

	if (seen)
		tracer->skel->bss->foreign_mark = false;
	return seen;
}

struct ring_buffer *tracer_ring_new(struct tracer *tracer,
				    int (*fn)(void *context, void *record, size_t bytes),
				    void *context)
{
	return ring_buffer__new(bpf_map__fd(tracer->skel->maps.ring), fn, context, NULL);
}

uint64_t tracer_ring_bytes(const struct tracer *tracer)
{
	return bpf_map__max_entries(tracer->skel->maps.ring);
}

uint64_t tracer_ring_used(const struct tracer *tracer)
{
	return ring_fill_bytes(&tracer->fill);
}

uint64_t tracer_ring_produced(const struct tracer *tracer)
{
	return ring_fill_produced(&tracer->fill);
}

bool tracer_ring_is_read(const struct tracer *tracer, uint64_t position)
{
	return ring_fill_is_read(&tracer->fill, position);
}

int tracer_requests_sweep(struct tracer *tracer, const struct request_sweep *sweep)
{
	return request_table_sweep(&tracer->requests, sweep, &tracer->swept);
}

int tracer_counters_read(struct tracer *tracer, struct rec_counters *out)
{
	struct {
		__u64 events[EVENT_COUNT];
		__u64 drops[DROP_REASONS];
	} *cpus = calloc(tracer->cpus, sizeof(*cpus));
	__u32 zero = 0;
	int err;

	if (!cpus)
		return -ENOMEM;
	err = bpf_map_lookup_elem(bpf_map__fd(tracer->skel->maps.counters), &zero, cpus);
	memset(out->events, 0, sizeof(out->events));
	memset(out->drops, 0, sizeof(out->drops));
	for (int cpu = 0; !err && cpu < tracer->cpus; cpu++) {
		for (int i = 0; i < EVENT_COUNT; i++)
			out->events[i] += cpus[cpu].events[i];
		for (int i = 0; i < DROP_REASONS; i++)
			out->drops[i] += cpus[cpu].drops[i];
	}
	out->events[EVENT_RECORD] += tracer->swept;
	free(cpus);
	return err;
}
