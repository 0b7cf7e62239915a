/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel side is told of a worker's interpreter.
 */
#ifndef WSGISCOPE_INTERPRETER_H
#define WSGISCOPE_INTERPRETER_H

struct tracer_process;
struct worker;

/* Where this process keeps its GILs; a process that has none yet is looked at again. */
void interpreter_gils(const struct worker *worker, struct tracer_process *told);

#endif
