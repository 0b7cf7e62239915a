/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The way from a task to its CPU's run queue, whose clocks say what our own events do not.
 */
#ifndef WSGISCOPE_RQ_BPF_H
#define WSGISCOPE_RQ_BPF_H

#include "state.bpf.h"

/* The run queue that a running task is on, NULL: its place is not known (no group scheduling). */
static __always_inline struct rq *rq_of(struct task_struct *running)
{
	return bpf_core_field_exists(running->se.cfs_rq) ? running->se.cfs_rq->rq : NULL;
}

#endif
