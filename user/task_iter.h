/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A BPF program run once for each thread of the machine.
 */
#ifndef WSGISCOPE_TASK_ITER_H
#define WSGISCOPE_TASK_ITER_H

struct bpf_program;

/* The program is an "iter/task". 0 or -errno. */
int task_iter_run(struct bpf_program *program);

#endif
