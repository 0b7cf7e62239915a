/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BPF programs onto the tracepoints of system calls, without tracefs being mounted.
 */
#ifndef WSGISCOPE_TRACEPOINT_H
#define WSGISCOPE_TRACEPOINT_H

struct bpf_link;
struct bpf_program;
struct tracefs;

/* Attaches a program of section "tracepoint/syscalls/EVENT"; the link is the caller's. 0 or -errno,
 * message printed. */
int tracepoint_attach(struct bpf_program *program, const struct tracefs *tracefs,
		      struct bpf_link **out);

#endif
