// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Owns the maps, the knobs and the licence, and what every other object needs: a thread's state,
 * the way out through the ring, the way from a descriptor to its connection.
 */
#include "state.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct processes_map processes SEC(".maps");
struct pythons_map pythons SEC(".maps");
struct threads_map threads SEC(".maps");
struct requests_map requests SEC(".maps");
struct listeners_map listeners SEC(".maps");
struct ring_map ring SEC(".maps");
struct counters_map counters SEC(".maps");

__u32 processes_version = 1;
const volatile bool track_all = false;
const volatile bool sample_waits = false;
const volatile bool sample_outside = false;
const volatile __u64 wakeup_bytes = 512 * 1024;
const volatile bool has_cast = false;

__hidden struct thread *thread_get(void)
{
	struct thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0,
						BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		count_drop(DROP_THREAD_STATE);
	return t;
}

static __always_inline void emit_sized(void *record, __u32 size)
{
	if (bpf_ringbuf_output(&ring, record, size, wakeup_flags(size)))
		count_drop(DROP_RING_FULL);
	else
		count_event(EVENT_RECORD);
}

__hidden void emit(void *record, __u32 size)
{
	/* The bound is for the verifier: only small records come this way. */
	if (size <= sizeof(struct rec_block))
		emit_sized(record, size);
}

__hidden void request_emit(struct rec_request *r)
{
	__u32 text = r->text_bytes;
	__u32 size;

	r->flags &= ~REC_F_DRAINING;
	if (text > STR_TEXT_MAX)
		text = STR_TEXT_MAX;
	size = __builtin_offsetof(struct rec_request, text) + ((text + 7) & ~7u);
	barrier_var(size);
	if (size > sizeof(*r))
		size = sizeof(*r);
	r->h.size = size;
	emit_sized(r, size);
}

#define S_IFMT	 0170000
#define S_IFSOCK 0140000
#define S_IFREG	 0100000
#define S_IFBLK	 0060000
#define S_IFDIR	 0040000

#define AF_UNIX	 1
#define AF_INET	 2
#define AF_INET6 10

/* With the cast, the place in the table of descriptors is dressed as a structure that begins with
 * such a pointer. What a caller may not need has its own function. */
__hidden struct file *file_of_fd(int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *fdt = task->files->fdt;
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= fdt->max_fds)
		return NULL;
	if (has_cast)
		return KERNEL_READ(kiocb, fdt->fd + fd, ki_filp);
	if (bpf_probe_read_kernel(&file, sizeof(file), fdt->fd + fd))
		count_drop(DROP_FD_UNREADABLE);
	return file;
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
	struct socket *sock = BPF_CORE_READ(file, private_data);

	switch (BPF_CORE_READ(sock, sk, __sk_common.skc_family)) {
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

#define SOCK_STREAM 1

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
