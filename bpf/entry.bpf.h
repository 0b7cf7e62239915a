/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The arguments of the system call that the current task is in or just returns from: they lie in
 * the registers that it entered the kernel with, and stay there until it leaves. On arm64 the
 * result takes the first one's place, which the kernel keeps a copy of (orig_x0).
 */
#ifndef WSGISCOPE_ENTRY_BPF_H
#define WSGISCOPE_ENTRY_BPF_H

#include "state.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define ENTRY_CALL(regs) ((__u32)(regs)->orig_ax)
#define ENTRY_ARG1(regs) ((regs)->di)
#define ENTRY_ARG2(regs) ((regs)->si)
#define ENTRY_ARG3(regs) ((regs)->dx)
#define ENTRY_ARG4(regs) ((regs)->r10)
#elif defined(__TARGET_ARCH_arm64)
#define ENTRY_CALL(regs) ((__u32)(regs)->syscallno)
#define ENTRY_ARG1(regs) ((regs)->orig_x0)
#define ENTRY_ARG2(regs) ((regs)->regs[1])
#define ENTRY_ARG3(regs) ((regs)->regs[2])
#define ENTRY_ARG4(regs) ((regs)->regs[3])
#endif

#define ENTRY_CALL_NONE ((__u32)-1) /* it is in no system call */

static __always_inline struct pt_regs___entry *entry_regs(struct task_struct *task)
{
	return (void *)bpf_task_pt_regs(task);
}

#endif
