/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: asking this kernel and these privileges for what the tracer needs (tracer.c, attach.c), in
 * the way in which they need it. Must not know: processes, Python.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "check.h"
#include "kernel.h"
#include "tracefs.h"

#define AS_ROOT		 "run as root, or see SECURITY in wsgiscope(8) for the capabilities"
#define BTF_PATH	 "/sys/kernel/btf/vmlinux"
#define RING_PROBE_BYTES 4096		    /* a page, the least there is */
#define MEMLOCK_NEEDED	 ((rlim_t)64 << 20) /* the ring and the maps, with room */

static const struct {
	int number;
	const char *name;
	bool needed; /* else: without it only one's own processes can be traced */
} capabilities[] = {
	{CAP_BPF, "CAP_BPF", true},
	{CAP_PERFMON, "CAP_PERFMON", true},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false},
};

/* The effective capabilities as bits. 0 or -errno. */
static int capabilities_read(uint64_t *out)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*out = data[0].effective | (uint64_t)data[1].effective << 32;
	/* CAP_SYS_ADMIN stands for those that were split off it. */
	if (*out >> CAP_SYS_ADMIN & 1)
		*out |= UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON;
	return 0;
}

static void privileges_run(struct check_context *context, struct check_result *result)
{
	enum check_level level = CHECK_OK;
	char missing[CHECK_TEXT_MAX] = "";
	uint64_t held = 0;
	int err = capabilities_read(&held);

	if (err) {
		check_set(result, CHECK_FAIL, AS_ROOT, "capget: %s", strerror(-err));
		return;
	}
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++) {
		if (held >> capabilities[i].number & 1)
			continue;
		if (capabilities[i].needed || level == CHECK_FAIL)
			level = CHECK_FAIL;
		else
			level = CHECK_WARN;
		strncat(missing, " ", sizeof(missing) - strlen(missing) - 1);
		strncat(missing, capabilities[i].name, sizeof(missing) - strlen(missing) - 1);
	}
	if (level == CHECK_OK)
		check_set(result, level, NULL, "all capabilities that are needed");
	else
		check_set(result, level, AS_ROOT, "missing:%s%s", missing,
			  level == CHECK_WARN ? " (other users' processes cannot be read)" : "");
}

static void lockdown_run(struct check_context *context, struct check_result *result)
{
	char text[CHECK_TEXT_MAX] = "";
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");

	if (!file || !fgets(text, sizeof(text), file))
		check_set(result, CHECK_OK, NULL, "none that is shown");
	else if (strstr(text, "[confidentiality]"))
		check_set(result, CHECK_FAIL, "boot without lockdown=confidentiality",
			  "confidentiality: BPF may not read memory");
	else
		check_set(result, CHECK_OK, NULL, "%.*s", (int)strcspn(text, "\n"), text);
	if (file)
		fclose(file);
}

/* return 0; */
static const struct bpf_insn program_empty[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* Loads the empty program and lets it go. 0 or -errno. */
static int program_try(enum bpf_prog_type type, const struct bpf_prog_load_opts *options)
{
	int fd = bpf_prog_load(type, "wsgiscope_check", "GPL", program_empty,
			       sizeof(program_empty) / sizeof(*program_empty), options);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void bpf_run(struct check_context *context, struct check_result *result)
{
	int err = program_try(BPF_PROG_TYPE_TRACEPOINT, NULL);

	context->bpf = !err;
	if (!err)
		check_set(result, CHECK_OK, NULL, "a program can be loaded");
	else if (err == -EPERM || err == -EACCES)
		check_set(result, CHECK_FAIL, AS_ROOT, "loading a program: %s", strerror(-err));
	else
		check_set(result, CHECK_FAIL,
			  "a kernel with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS",
			  "loading a program: %s", strerror(-err));
}

/* What needs BPF cannot be asked without it: not "unsupported", but not known. */
static bool bpf_missing(const struct check_context *context, struct check_result *result)
{
	if (context->bpf)
		return false;
	check_set(result, CHECK_WARN, NULL, "not tried: no BPF");
	return true;
}

/*
 * Kernels before 5.11 charge maps to RLIMIT_MEMLOCK, later ones to the memory control group; a
 * helper that came with the change tells which. Where the limit counts, the tracer raises it.
 */
static void memory_run(struct check_context *context, struct check_result *result)
{
	struct rlimit limit;

	if (bpf_missing(context, result))
		return;
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_ktime_get_coarse_ns,
				    NULL) == 1) {
		check_set(result, CHECK_OK, NULL, "charged to the control group");
		return;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit)) {
		check_set(result, CHECK_FAIL, NULL, "getrlimit: %s", strerror(errno));
		return;
	}
	if (limit.rlim_max >= MEMLOCK_NEEDED) {
		check_set(result, CHECK_OK, NULL, "the limit of locked memory suffices");
		return;
	}
	limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		check_set(result, CHECK_FAIL, "ulimit -l unlimited, or CAP_SYS_RESOURCE",
			  "the limit of locked memory is too low for BPF maps");
	else
		check_set(result, CHECK_OK, NULL, "the limit of locked memory can be raised");
}

static void btf_run(struct check_context *context, struct check_result *result)
{
	struct btf *btf;

	if (access(BTF_PATH, R_OK)) {
		check_set(result, CHECK_FAIL, "a kernel with CONFIG_DEBUG_INFO_BTF",
			  BTF_PATH ": %s", strerror(errno));
		return;
	}
	btf = btf__parse(BTF_PATH, NULL);
	if (btf)
		check_set(result, CHECK_OK, NULL, "%s, %u types", BTF_PATH, btf__type_cnt(btf));
	else
		check_set(result, CHECK_FAIL, "a kernel with CONFIG_DEBUG_INFO_BTF",
			  BTF_PATH ": %s", strerror(errno));
	btf__free(btf);
}

/* fork, exec and exit are followed by typed tracepoints. */
static void typed_tracepoints_run(struct check_context *context, struct check_result *result)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
	int id, err;

	if (bpf_missing(context, result))
		return;
	id = libbpf_find_vmlinux_btf_id("sched_process_fork", BPF_TRACE_RAW_TP);
	options.attach_btf_id = id > 0 ? (__u32)id : 0;
	err = id < 0 ? id : program_try(BPF_PROG_TYPE_TRACING, &options);
	if (err)
		check_set(result, CHECK_FAIL, "a kernel with CONFIG_DEBUG_INFO_BTF",
			  "sched_process_fork: %s", strerror(-err));
	else
		check_set(result, CHECK_OK, NULL, "sched_process_fork");
}

static void ring_run(struct check_context *context, struct check_result *result)
{
	int fd;

	if (bpf_missing(context, result))
		return;
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "wsgiscope_check", 0, 0, RING_PROBE_BYTES, NULL);
	if (fd < 0) {
		check_set(result, CHECK_FAIL, "Linux 5.8 or later", "ring buffer: %s",
			  strerror(-fd));
		return;
	}
	close(fd);
	check_set(result, CHECK_OK, NULL, "a ring buffer can be made");
}

static void tracing_run(struct check_context *context, struct check_result *result)
{
	char lacks[128];

	if (bpf_missing(context, result))
		return;
	kernel_lacks(lacks, sizeof(lacks));
	if (*lacks)
		check_set(result, CHECK_FAIL, KERNEL_SINCE, "missing: %s", lacks);
	else
		check_set(result, CHECK_OK, NULL,
			  "storage and registers of tasks, maps to take from");
}

static void tracefs_run(struct check_context *context, struct check_result *result)
{
	int err = tracefs_open(&context->tracefs);

	if (err == -EPERM || err == -EACCES)
		check_set(result, CHECK_FAIL,
			  "run as root, or mount -t tracefs tracefs /sys/kernel/tracing and give "
			  "the user its files",
			  "%s", strerror(-err));
	else if (err)
		check_set(result, CHECK_FAIL, "a kernel with CONFIG_FTRACE", "%s", strerror(-err));
	else
		check_set(result, CHECK_OK, NULL, "can be opened");
}

static bool tracefs_missing(const struct check_context *context, struct check_result *result)
{
	if (context->tracefs)
		return false;
	check_set(result, CHECK_WARN, NULL, "not tried: no tracefs");
	return true;
}

static void uprobes_run(struct check_context *context, struct check_result *result)
{
	if (tracefs_missing(context, result))
		return;
	if (!faccessat(tracefs_fd(context->tracefs), "uprobe_events", W_OK, AT_EACCESS))
		check_set(result, CHECK_OK, NULL, "uprobe_events can be written");
	else if (errno == ENOENT)
		check_set(result, CHECK_FAIL, "a kernel with CONFIG_UPROBE_EVENTS",
			  "tracefs has no uprobe_events");
	else
		check_set(result, CHECK_FAIL, AS_ROOT, "uprobe_events: %s", strerror(errno));
}

static void syscalls_run(struct check_context *context, struct check_result *result)
{
	int64_t id;

	if (tracefs_missing(context, result))
		return;
	id = tracefs_event_id(context->tracefs, "syscalls", "sys_enter_sendto");
	if (id >= 0)
		check_set(result, CHECK_OK, NULL, "syscalls/sys_enter_sendto");
	else
		check_set(result, CHECK_FAIL, "a kernel with CONFIG_FTRACE_SYSCALLS",
			  "syscalls/sys_enter_sendto: %s", strerror((int)-id));
}

/* A perf event for all processes, as the tracer opens them; it never counts anything. */
static void perf_run(struct check_context *context, struct check_result *result)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.disabled = 1,
	};
	int64_t id;
	int fd;

	if (tracefs_missing(context, result))
		return;
	id = tracefs_event_id(context->tracefs, "syscalls", "sys_enter_sendto");
	if (id < 0) {
		check_set(result, CHECK_WARN, NULL, "not tried: no tracepoint");
		return;
	}
	attr.config = (__u64)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0) {
		check_set(result, CHECK_FAIL, AS_ROOT, "perf_event_open: %s", strerror(errno));
		return;
	}
	close(fd);
	check_set(result, CHECK_OK, NULL, "an event can be opened on all processes");
}

const struct check check_kernel[] = {
	{"privileges", privileges_run},
	{"lockdown", lockdown_run},
	{"bpf", bpf_run},
	{"memory", memory_run},
	{"btf", btf_run},
	{"typed tracepoints", typed_tracepoints_run},
	{"ring buffer", ring_run},
	{"tracing programs", tracing_run},
	{"tracefs", tracefs_run},
	{"uprobes", uprobes_run},
	{"syscall tracepoints", syscalls_run},
	{"perf events", perf_run},
	{0},
};
