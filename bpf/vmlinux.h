/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Only the kernel types that are used, with only the members that are used; CO-RE finds where they
 * lie in the running kernel, so that no BTF is needed to build. UAPI comes from its own headers.
 */
#ifndef WSGISCOPE_VMLINUX_H
#define WSGISCOPE_VMLINUX_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct {
		struct net *net;
	} skc_net;
	struct in6_addr skc_v6_daddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u16 sk_type;
	__u8 sk_shutdown;
};

struct unix_address;

struct unix_sock {
	struct unix_address *addr;
};

struct inet_connection_sock {
	struct {
		__u32 lrcvtime;
	} icsk_ack;
};

struct tcp_sock {
	__u64 tcp_mstamp;
};

struct socket {
	struct sock *sk;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct rb_node {
	struct rb_node *rb_right;
	struct rb_node *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct rb_root_cached {
	struct rb_root rb_root;
};

/* What an epoll descriptor's file has as its private_data, and each descriptor watched by it. */
struct eventpoll {
	struct rb_root_cached rbr;
};

struct epoll_filefd {
	struct file *file;
} __attribute__((packed));

struct epitem {
	union {
		struct rb_node rbn;
	};
	struct epoll_filefd ffd;
	struct {
		__u32 events;
	} event;
};

/* Begins with a struct file *: see file_of_fd(). */
struct kiocb {
	struct file *ki_filp;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

/* A CPU's run queue: its time, and that without what no task could run in. */
struct rq {
	__u64 clock;
	__u64 clock_task;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	__u64 exec_start;
	__u64 sum_exec_runtime;
	struct cfs_rq *cfs_rq;
};

struct sched_info {
	unsigned long long run_delay;
	unsigned long long last_arrival;
	unsigned long long last_queued;
};
struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[0];
};

#if defined(__TARGET_ARCH_x86)
struct thread_struct {
	unsigned long fsbase;
};
#endif

struct task_struct {
	unsigned int __state;
	int pid;
	int tgid;
	struct sched_entity se;
	struct sched_info sched_info;
	struct files_struct *files;
	struct signal_struct *signal;
	struct bpf_local_storage *bpf_storage;
	struct pid *thread_pid;
#if defined(__TARGET_ARCH_x86)
	struct thread_struct thread;
#endif
};

/* The context of a program that is run for each task. */
struct bpf_iter__task {
	struct task_struct *task;
};

struct trace_entry {
	unsigned short type;
	unsigned char flags;
	unsigned char preempt_count;
	int pid;
};

struct trace_event_raw_sys_enter {
	struct trace_entry ent;
	long id;
	unsigned long args[6];
};

struct trace_event_raw_sys_exit {
	struct trace_entry ent;
	long id;
	long ret;
};

/* Before 5.14. */
struct task_struct___old {
	long state;
};

/* The registers with which a task entered the kernel. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs___entry {
	unsigned long di, si, dx, r10, r8, orig_ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs___entry {
	__u64 regs[31];
	__u64 orig_x0;
	int syscallno;
};
#endif

#pragma clang attribute pop

struct linux_binprm;

#endif
