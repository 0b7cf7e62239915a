// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What the kernel's own structures say of files and sockets: the way from a descriptor to its
 * connection, whose end it is, since when its bytes could be read. The one object that reads by
 * KERNEL_READ(): libbpf 1.1 links an extern function into one object only.
 */
#include "state.bpf.h"

/*
 * A member of a kernel structure that only its address is known of. Each bpf_probe_read_kernel() is
 * a call of some 40 ns; a pointer that the kernel lets us dress with its type (6.2) is read by a
 * plain load, with its faults handled all the same. Compiled both ways, and tracer.c takes one:
 * Linux 5.15 refuses a program that has the call, also where it can never be reached.
 */
#ifdef KERNEL_CAST
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym;

#define KERNEL_READ(type, address, member)                                                         \
	(((struct type *)bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct type)))->member)
#else
#define KERNEL_READ(type, address, member) BPF_CORE_READ((struct type *)(address), member)
#endif

#define S_IFMT	 0170000
#define S_IFSOCK 0140000
#define S_IFREG	 0100000
#define S_IFBLK	 0060000
#define S_IFDIR	 0040000

#define SOCK_STREAM 1

#define AF_UNIX	 1
#define AF_INET	 2
#define AF_INET6 10

/* With the cast, the place in the table of descriptors is dressed as a structure that begins with
 * such a pointer. */
static __always_inline struct file *file_at(struct file **place)
{
#ifdef KERNEL_CAST
	return KERNEL_READ(kiocb, place, ki_filp);
#else
	struct file *file = NULL;

	if (bpf_probe_read_kernel(&file, sizeof(file), place))
		count_drop(DROP_FD_UNREADABLE);
	return file;
#endif
}

/* What a caller may not need has its own function. */
__hidden struct file *file_of_fd(int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *fdt = task->files->fdt;

	if (fd < 0 || (__u32)fd >= fdt->max_fds)
		return NULL;
	return file_at(fdt->fd + fd);
}

__hidden __u64 conn_of_file(struct file *file)
{
	struct inode *inode = KERNEL_READ(file, file, f_inode);

	if ((KERNEL_READ(inode, inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	return KERNEL_READ(inode, inode, i_ino);
}

__hidden __u32 family_of_file(struct file *file)
{
	switch (KERNEL_READ(sock, sock_of_file(file), __sk_common.skc_family)) {
	case AF_INET:
		return REC_FAMILY_INET;
	case AF_INET6:
		return REC_FAMILY_INET6;
	case AF_UNIX:
		return REC_FAMILY_UNIX;
	default:
		return REC_FAMILY_OTHER;
	}
}

__hidden struct sock *sock_of_file(struct file *file)
{
	struct socket *sock = KERNEL_READ(file, file, private_data);

	return KERNEL_READ(socket, sock, sk);
}

#define SEND_SHUTDOWN 2

__hidden bool is_shut_down(struct file *file)
{
	return KERNEL_READ(sock, sock_of_file(file), sk_shutdown) & SEND_SHUTDOWN;
}

__hidden bool is_disk_file(struct file *file)
{
	__u32 kind = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;

	return kind == S_IFREG || kind == S_IFDIR || kind == S_IFBLK;
}

__hidden bool listener_of_file(struct file *file, struct listener *out)
{
	struct sock *sk = sock_of_file(file);
	unsigned short family;
	struct net *net;

	if (!sk || KERNEL_READ(sock, sk, sk_type) != SOCK_STREAM)
		return false;
	family = KERNEL_READ(sock, sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return false;
	net = KERNEL_READ(sock, sk, __sk_common.skc_net.net);
	out->net = KERNEL_READ(net, net, ns.inum);
	out->port = KERNEL_READ(sock, sk, __sk_common.skc_num);
	return true;
}

/*
 * An accepted TCP connection has the listener's port; one that was opened has another, as the
 * kernel gives no port away that is bound. An accepted unix socket has the listener's address; one
 * that was opened has none, if it was not bound to one.
 */
__hidden bool is_accepted(struct file *file)
{
	struct listener listener = {};
	struct sock *sk;

	if (listener_of_file(file, &listener))
		return bpf_map_lookup_elem(&listeners, &listener);
	sk = sock_of_file(file);
	if (!sk || KERNEL_READ(sock, sk, __sk_common.skc_family) != AF_UNIX ||
	    KERNEL_READ(sock, sk, sk_type) != SOCK_STREAM)
		return false;
	return KERNEL_READ(unix_sock, sk, addr);
}

/* A TCP socket's file; 0: another's. */
static __always_inline __u64 tcp_of_file(struct file *file)
{
	struct sock *sk = sock_of_file(file);
	unsigned short family = KERNEL_READ(sock, sk, __sk_common.skc_family);

	if ((family != AF_INET && family != AF_INET6) ||
	    KERNEL_READ(sock, sk, sk_type) != SOCK_STREAM)
		return 0;
	return (__u64)sk;
}

__hidden bool file_see(struct file *file, struct seen *seen)
{
	struct inode *inode = KERNEL_READ(file, file, f_inode);
	__u64 conn = KERNEL_READ(inode, inode, i_ino);

	if ((__u64)inode == seen->inode && conn == seen->conn)
		return true;
	conn = conn_of_file(file);
	if (!conn)
		return false;
	seen->inode = (__u64)inode;
	seen->conn = conn;
	seen->tcp = tcp_of_file(file);
	return true;
}

/*
 * How long the request's bytes had been readable when the application was called, 0: not known.
 * tcp_mstamp is the time of the socket's last packet in or out (us, CLOCK_MONOTONIC), which is
 * the arrival of the request unless a delayed ACK has gone out since; then the time of the last
 * data in (jiffies) says so and is taken, coarser.
 */
__hidden __u64 queue_of(__u64 tcp, __u64 now)
{
	struct sock *sk = (struct sock *)tcp;
	__u64 stamp, age;

	if (!sk || !tick_ns)
		return 0;
	stamp = KERNEL_READ(tcp_sock, sk, tcp_mstamp) * 1000;
	age = (__u32)((__u32)bpf_jiffies64() -
		      KERNEL_READ(inet_connection_sock, sk, icsk_ack.lrcvtime)) *
	      tick_ns;
	if (!stamp || stamp > now || age > now)
		return 0;
	if (age > now - stamp + 2 * tick_ns)
		stamp = now - age;
	return now - stamp;
}
