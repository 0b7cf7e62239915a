// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What a thread that has just blocked waits for: told from the system call that it is in and its
 * arguments, which lie in the registers it entered the kernel with. So nothing is traced that does
 * not block, and other processes' system calls are not touched at all.
 *
 * The GIL: CPython waits for it on futexes inside its GIL structure (take_gil: cond, timed;
 * drop_gil: switch_cond; both: their mutexes), so the address tells (facts: Python/ceval_gil.c).
 */
#include "entry.bpf.h"

#if defined(__TARGET_ARCH_x86)
#include <asm/unistd_64.h>
#elif defined(__TARGET_ARCH_arm64)
#include <asm/unistd.h>
#endif

struct user_pollfd {
	int fd;
	short events;
	short revents;
};

#define POLLIN	1
#define POLLOUT 4

enum direction { DIRECTION_READ, DIRECTION_WRITE };

#define AF_INET	 2
#define AF_INET6 10

static __always_inline bool address_equal(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

/* The slot of a peer among those of this request: its own, a free one, else none. */
static __always_inline __u32 peer_slot(struct account *a, const struct rec_peer *peer)
{
	for (int i = 0; i < PEERS_MAX; i++) {
		struct rec_peer *p = &a->peers[i];

		if (!p->family) {
			*p = *peer;
			return i + 1;
		}
		if (p->family == peer->family && p->port == peer->port &&
		    address_equal(p->address, peer->address))
			return i + 1;
	}
	return 0;
}

static __always_inline void peer_note(struct account *a, struct sock *sk)
{
	struct rec_peer peer = {};
	unsigned short family = BPF_CORE_READ(sk, __sk_common.skc_family);

	peer.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (family == AF_INET) {
		__be32 address = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		peer.family = REC_FAMILY_INET;
		__builtin_memcpy(peer.address, &address, sizeof(address));
	} else if (family == AF_INET6) {
		struct in6_addr address = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr);

		peer.family = REC_FAMILY_INET6;
		__builtin_memcpy(peer.address, &address, sizeof(peer.address));
	} else {
		peer.family = REC_FAMILY_UNIX;
		peer.port = 0;
	}
	a->peer = peer_slot(a, &peer);
}

#define TCP_LISTEN 10 /* of every family */

/* Blocked on one open file. Where that is a listening socket, it is the hub of greenlets that
 * waits, for whatever comes first: a connection, or the time that one of them asked for. */
static __always_inline __u32 wait_file(struct thread *t, struct file *file,
				       enum direction direction)
{
	__u64 conn = file ? conn_of_file(file) : 0;
	bool client = conn && conn == t->key;
	struct sock *sk;

	if (!file)
		return STATE_OTHER;
	if (!conn)
		return is_disk_file(file) ? STATE_FILE : STATE_OTHER;
	if (direction == DIRECTION_WRITE)
		return client ? STATE_SOCKET_WRITE : STATE_OTHER;
	if (client) {
		t->account.client = 1;
		return STATE_SOCKET_READ;
	}
	sk = sock_of_file(file);
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN)
		return STATE_OTHER;
	peer_note(&t->account, sk);
	return STATE_SOCKET_READ;
}

/* The open file that a call waits for. Found first, judged in one place: the verifier walks every
 * copy of the judging. */
struct waited {
	struct file *file;
	enum direction direction;
};

static __always_inline __u32 wait_for(struct waited *w, struct file *file, enum direction direction)
{
	w->file = file;
	w->direction = direction;
	return STATE_COUNT;
}

static __always_inline enum direction direction_of(__u32 events)
{
	return events & POLLIN || !(events & POLLOUT) ? DIRECTION_READ : DIRECTION_WRITE;
}

static __always_inline __u32 wait_futex(__u64 address)
{
	struct process *p = process_find(current_tgid());

	for (int i = 0; p && i < GILS_MAX; i++)
		if (p->gil[i] && address - p->gil[i] < p->gil_bytes)
			return STATE_GIL;
	return STATE_LOCK;
}

/* poll() is how Python waits on a socket with a time-out: one descriptor tells what for. */
static __always_inline __u32 wait_poll(struct waited *w, __u64 fds, __u64 count)
{
	struct user_pollfd one;

	if (!count)
		return STATE_SLEEP;
	if (count != 1 || bpf_probe_read_user(&one, sizeof(one), (const void *)fds))
		return STATE_OTHER;
	return wait_for(w, file_of_fd(one.fd), direction_of(one.events));
}

/* A set of select() has 1024 bits at most. */
#define SET_WORDS 16

struct fd_words {
	__u64 word[SET_WORDS];
};

/* 1 for what is not 0, by arithmetic that the compiler must not make a branch of again: each one in
 * a loop would double what the verifier has to walk. */
static __always_inline __u64 nonzero(__u64 word)
{
	__u64 sign = word | -word;

	barrier_var(sign);
	return sign >> 63;
}

/* Which bit it is, of a word with one. */
static __always_inline __u64 bit_number(__u64 word)
{
	return nonzero(word & 0xaaaaaaaaaaaaaaaa) | nonzero(word & 0xcccccccccccccccc) << 1 |
	       nonzero(word & 0xf0f0f0f0f0f0f0f0) << 2 | nonzero(word & 0xff00ff00ff00ff00) << 3 |
	       nonzero(word & 0xffff0000ffff0000) << 4 | nonzero(word & 0xffffffff00000000) << 5;
}

/*
 * The only bit in a set of count bits in user memory; -1: none; -2: several, or unreadable. Global,
 * so that the verifier walks it once, by itself.
 */
__noinline int only_fd(__u64 set, __u32 count)
{
	struct fd_words bits = {};
	__u32 bytes = (count + 63) / 64 * 8;
	__u64 words = 0, number = 0, word = 0;

	if (!set)
		return -1;
	barrier_var(bytes); /* the verifier wants the check that the compiler would leave out */
	if (bytes > sizeof(bits) || bpf_probe_read_user(&bits, bytes, (const void *)set))
		return -2;
	for (int i = 0; i < SET_WORDS; i++) {
		words += nonzero(bits.word[i]);
		number += nonzero(bits.word[i]) * i;
		word |= bits.word[i];
	}
	if (!words)
		return -1;
	return words > 1 || word & (word - 1) ? -2 : (int)(number * 64 + bit_number(word));
}

static __always_inline __u32 wait_select(struct waited *w, __u64 count, __u64 in, __u64 out)
{
	int reads, writes;

	if (!count)
		return STATE_SLEEP;
	if (count > 64 * SET_WORDS)
		return STATE_OTHER;
	reads = only_fd(in, count);
	writes = only_fd(out, count);
	if (reads >= 0 && writes == -1)
		return wait_for(w, file_of_fd(reads), DIRECTION_READ);
	if (writes >= 0 && reads == -1)
		return wait_for(w, file_of_fd(writes), DIRECTION_WRITE);
	return STATE_OTHER;
}

/* An epoll that watches a single descriptor waits for that: the tree of those watched has one
 * node (fs/eventpoll.c). */
static __always_inline __u32 wait_epoll(struct waited *w, int fd)
{
	struct file *file = file_of_fd(fd);
	struct eventpoll *epoll;
	struct epitem *item;
	struct rb_node *node;

	if (!file)
		return STATE_OTHER;
	epoll = BPF_CORE_READ(file, private_data);
	node = BPF_CORE_READ(epoll, rbr.rb_root.rb_node);
	if (!node || BPF_CORE_READ(node, rb_left) || BPF_CORE_READ(node, rb_right))
		return STATE_OTHER;
	item = (void *)node - bpf_core_field_offset(struct epitem, rbn);
	return wait_for(w, BPF_CORE_READ(item, ffd.file),
			direction_of(BPF_CORE_READ(item, event.events)));
}

/* How a system call's waiting is told. */
enum wait_kind {
	WAIT_OTHER,
	WAIT_READ,  /* for the descriptor in the first argument */
	WAIT_WRITE, /* the same */
	WAIT_SPLICE,
	WAIT_POLL,
	WAIT_SELECT,
	WAIT_EPOLL,
	WAIT_FUTEX,
	WAIT_SLEEP,
	WAIT_FILE, /* for a file system, whatever the arguments */
};

#define CALLS_MAX 512

static const __u8 wait_kinds[CALLS_MAX] = {
	[__NR_read] = WAIT_READ,
	[__NR_readv] = WAIT_READ,
	[__NR_pread64] = WAIT_READ,
	[__NR_preadv] = WAIT_READ,
	[__NR_preadv2] = WAIT_READ,
	[__NR_recvfrom] = WAIT_READ,
	[__NR_recvmsg] = WAIT_READ,
	[__NR_recvmmsg] = WAIT_READ,
	[__NR_accept] = WAIT_READ,
	[__NR_accept4] = WAIT_READ,
	[__NR_connect] = WAIT_READ,
	[__NR_write] = WAIT_WRITE,
	[__NR_writev] = WAIT_WRITE,
	[__NR_pwrite64] = WAIT_WRITE,
	[__NR_pwritev] = WAIT_WRITE,
	[__NR_pwritev2] = WAIT_WRITE,
	[__NR_sendto] = WAIT_WRITE,
	[__NR_sendmsg] = WAIT_WRITE,
	[__NR_sendmmsg] = WAIT_WRITE,
	[__NR_sendfile] = WAIT_WRITE,
	[__NR_splice] = WAIT_SPLICE,
#ifdef __NR_poll
	[__NR_poll] = WAIT_POLL,
#endif
	[__NR_ppoll] = WAIT_POLL,
#ifdef __NR_select
	[__NR_select] = WAIT_SELECT,
#endif
	[__NR_pselect6] = WAIT_SELECT,
#ifdef __NR_epoll_wait
	[__NR_epoll_wait] = WAIT_EPOLL,
#endif
	[__NR_epoll_pwait] = WAIT_EPOLL,
	[__NR_epoll_pwait2] = WAIT_EPOLL,
	[__NR_futex] = WAIT_FUTEX,
	[__NR_nanosleep] = WAIT_SLEEP,
	[__NR_clock_nanosleep] = WAIT_SLEEP,
#ifdef __NR_open
	[__NR_open] = WAIT_FILE,
	[__NR_stat] = WAIT_FILE,
	[__NR_lstat] = WAIT_FILE,
	[__NR_access] = WAIT_FILE,
	[__NR_getdents] = WAIT_FILE,
	[__NR_rename] = WAIT_FILE,
	[__NR_mkdir] = WAIT_FILE,
	[__NR_rmdir] = WAIT_FILE,
	[__NR_unlink] = WAIT_FILE,
	[__NR_readlink] = WAIT_FILE,
#endif
	[__NR_openat] = WAIT_FILE,
	[__NR_openat2] = WAIT_FILE,
	[__NR_close] = WAIT_FILE,
	[__NR_newfstatat] = WAIT_FILE,
	[__NR_statx] = WAIT_FILE,
	[__NR_faccessat] = WAIT_FILE,
	[__NR_faccessat2] = WAIT_FILE,
	[__NR_getdents64] = WAIT_FILE,
	[__NR_renameat2] = WAIT_FILE,
	[__NR_mkdirat] = WAIT_FILE,
	[__NR_unlinkat] = WAIT_FILE,
	[__NR_readlinkat] = WAIT_FILE,
	[__NR_truncate] = WAIT_FILE,
	[__NR_ftruncate] = WAIT_FILE,
	[__NR_fallocate] = WAIT_FILE,
	[__NR_fadvise64] = WAIT_FILE,
	[__NR_fsync] = WAIT_FILE,
	[__NR_fdatasync] = WAIT_FILE,
	[__NR_sync_file_range] = WAIT_FILE,
	[__NR_sync] = WAIT_FILE,
	[__NR_syncfs] = WAIT_FILE,
	[__NR_msync] = WAIT_FILE,
	[__NR_flock] = WAIT_FILE,
	[__NR_copy_file_range] = WAIT_FILE,
};

/* The state, or STATE_COUNT: what *w says. */
static __always_inline __u32 wait_call(struct waited *w, const struct pt_regs___entry *regs)
{
	__u64 call = ENTRY_CALL(regs);

	/* Compared in 64 bits: of 32 the verifier of Linux 6.1 concludes nothing for an index. */
	barrier_var(call);
	if (call == ENTRY_CALL_NONE)
		return STATE_FILE; /* a page that had to be read in */
	if (call >= CALLS_MAX)
		return STATE_OTHER;
	switch (wait_kinds[call]) {
	case WAIT_READ:
		return wait_for(w, file_of_fd(ENTRY_ARG1(regs)), DIRECTION_READ);
	case WAIT_WRITE:
		return wait_for(w, file_of_fd(ENTRY_ARG1(regs)), DIRECTION_WRITE);
	case WAIT_SPLICE:
		return wait_for(w, file_of_fd(ENTRY_ARG3(regs)), DIRECTION_WRITE);
	case WAIT_POLL:
		return wait_poll(w, ENTRY_ARG1(regs), ENTRY_ARG2(regs));
	case WAIT_SELECT:
		return wait_select(w, ENTRY_ARG1(regs), ENTRY_ARG2(regs), ENTRY_ARG3(regs));
	case WAIT_EPOLL:
		return wait_epoll(w, ENTRY_ARG1(regs));
	case WAIT_FUTEX:
		return wait_futex(ENTRY_ARG1(regs));
	case WAIT_SLEEP:
		return STATE_SLEEP;
	case WAIT_FILE:
		return STATE_FILE;
	default:
		return STATE_OTHER;
	}
}

__hidden __u32 wait_state(struct thread *t)
{
	struct waited waited = {};
	__u32 state = wait_call(&waited, entry_regs(bpf_get_current_task_btf()));

	return state == STATE_COUNT ? wait_file(t, waited.file, waited.direction) : state;
}
