/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The limit: programs that do nothing, where the tracer's do their work. What they cost is what
 * the kernel takes for a probe; no tracer on the same probes can cost less.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("uprobe")
int mark_empty(void *ctx)
{
	return 0;
}

SEC("tracepoint")
int syscall_empty(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int switch_empty(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_wakeup")
int wakeup_empty(void *ctx)
{
	return 0;
}

SEC("usdt")
int usdt_empty(void *ctx)
{
	return 0;
}
