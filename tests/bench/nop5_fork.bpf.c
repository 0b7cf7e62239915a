/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The program that nop5_fork.c attaches to its marks: counts hits, so that a probe which never
 * fired cannot pass for one that does no harm.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 hits = 0;

SEC("uprobe")
int mark_hit(void *ctx)
{
	__sync_fetch_and_add(&hits, 1);
	return 0;
}
