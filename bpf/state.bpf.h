/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * BPF-internal: what the kernel side remembers of a process, a thread and a request in flight; the
 * maps and knobs that core.bpf.c owns; the helpers that the other objects share.
 */
#ifndef WSGISCOPE_STATE_BPF_H
#define WSGISCOPE_STATE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

#include "abi.h"
#include "marks.h"
#include "pystack.h"

enum process_flags {
	/* As enum server_flags of user/servers/server.h, set by user space. */
	PROCESS_WRITES_LATE = 1 << 0,
	PROCESS_FD_HIDDEN = 1 << 1,
	PROCESS_GC_SEEN = 1 << 2,
	PROCESS_WIRE = 1 << 3,	 /* requests are what its connections show */
	PROCESS_MARKED = 1 << 4, /* with PROCESS_WIRE: the marker tells of them, too */
	/* Set here. */
	PROCESS_TOLD_FD_HIDDEN = 1 << 8,
	PROCESS_FD_UNGUESSED = 1 << 9, /* its threads have several requests open at once */
};

#define GILS_MAX 8

/* A traced process, by tgid. A child begins with its parent's. */
struct process {
	__u32 flags;	     /* enum process_flags */
	__u32 gil_bytes;     /* of CPython's GIL structure, 0: its place is not known */
	__u64 gil[GILS_MAX]; /* addresses: the main one, those of interpreters with their own */
};

/* The socket-write call that a thread is in. */
struct write_call {
	__u64 conn; /* 0: none that counts */
	__u64 enter_ns;
	__u64 buffer; /* user address, as kind says */
	__u64 wanted; /* bytes asked for, 0: not known */
	__u32 kind;   /* enum call_kind */
	__u32 wire;   /* 1: of a turn */
};

/* The last read of a thread from a client. */
struct read_call {
	__u64 conn; /* of the thread's client */
	__u64 buffer;
	__u32 kind; /* enum call_kind */
	__u32 pad;
};

/* A connection of a client that a thread has read from: what does not change while it lives. */
struct client {
	__u64 file; /* address; with conn it names the socket for good */
	__u64 conn; /* 0: none */
	__u64 tcp;  /* address of the struct sock, 0: not a TCP connection */
	__u32 family;
	__u32 pad;
};

#define PEERS_MAX 4

/* Where a thread's time goes while it serves a request. */
struct account {
	__u64 since_ns;	 /* when it came into this state */
	__u32 state;	 /* enum rec_state */
	__u32 serving;	 /* 1: between a start and its end on this thread */
	__u32 open;	 /* requests begun here and not ended */
	__u32 mixed;	 /* 1: more than one was open at once */
	__u32 client;	 /* this wait is for the request's own connection */
	__u32 peer;	 /* this wait is for peers[peer - 1], 0: for none */
	__u32 first_run; /* 1: the run in which the request began */
	__u32 pad;
	__u64 ran_ns;	/* the thread's CPU clock when its last run ended, or at the start */
	__u64 lost_ns;	/* what the CPU had lost at the start */
	__u64 apart_ns; /* how far our clock was from the run queue's when its last run ended */
	__u64 delay_ns; /* the kernel's count of its waiting for a CPU, when its last run ended */
	__u64 gc_since_ns;
	__u64 begin_ns; /* since when all of this counts */
	struct rec_states spent;
	struct rec_peer peers[PEERS_MAX];
};

/* A connection that a request came in on: who knows it by its inode need not look further. */
struct seen {
	__u64 inode; /* address; with conn, its number, it names the socket for good */
	__u64 conn;
	__u64 tcp; /* address of the struct sock, 0: not a TCP connection */
};

/* A thread that has run a mark or written to a request's connection. Task-local storage. */
struct thread {
	__u64 key; /* of the request that it began last and that has not ended, 0: none */
	__u64 id;
	__u64 untold;	 /* the worker's struct of that request, 0: its strings have been read */
	__u64 refused;	 /* id of the last for which there was no room, if it has not ended */
	__u64 read_conn; /* the socket that it read last, where the descriptor is hidden */
	/* Of one whose connection was guessed, while another began: its key would not be found. */
	__u64 guessed_key, guessed_id;
	struct seen seen;
	/* What its process's entry says, as of processes_version. */
	__u32 version;
	__u16 process; /* enum process_flags */
	__u16 gil_known;
	struct write_call call;
	struct read_call read;
	struct client client;
	struct account account;
	/* Where a record is put together: uprobe programs can be preempted by another thread's on
	 * the same CPU, so a per-CPU scratch would not do. */
	struct rec_request scratch;
};

struct counters {
	__u64 events[EVENT_COUNT];
	__u64 drops[DROP_REASONS];
};

struct processes_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct process);
};

/* The CPython of a traced process, where stacks are taken. */
struct pythons_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct pystack_python);
};

struct threads_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
};

/*
 * Requests in flight and draining, by the inode number of the client's socket; where that is not
 * known, by process and id (request_key_by_id(): the top bit keeps the two apart).
 */
struct requests_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct rec_request);
};

/* For each group of slots of `requests` their keys; enum request_key of abi.h. */
struct request_keys_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192 / GROUP_SLOTS);
	__type(key, __u32);
	__type(value, struct request_group);
};

/* Where somebody listens: what has this end was accepted, not opened. */
struct listener {
	__u32 net; /* inode number of the network namespace */
	__u32 port;
};

struct listeners_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct listener);
	__type(value, __u32);
};

struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
};

struct counters_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
};

extern struct processes_map processes SEC(".maps");
extern struct pythons_map pythons SEC(".maps");
extern struct threads_map threads SEC(".maps");
extern struct requests_map requests SEC(".maps");
extern struct request_keys_map request_keys SEC(".maps");
extern struct listeners_map listeners SEC(".maps");
extern struct ring_map ring SEC(".maps");
extern struct counters_map counters SEC(".maps");

/* Counts the changes to `processes`, by whomever: while it stands still, what a thread has noted of
 * its process holds, and a request costs one look-up less. Never 0. */
extern __u32 processes_version;

/* A bit for each tgid that there can be (PID_MAX_LIMIT): whether it is in `processes`. User space
 * sets them, too. */
#define PROCESS_BITS (4 * 1024 * 1024)
extern __u64 process_bits[PROCESS_BITS / 64];

/* Knobs: set before loading, constant after. */
extern const volatile bool track_all;	    /* a process that runs a mark is traced from then on */
extern const volatile bool sample_waits;    /* threads' waits are sampled */
extern const volatile bool sample_outside;  /* also of those that serve no request */
extern const volatile __u64 wakeup_bytes;   /* user space is woken when so much waits in the ring */
extern const volatile __u64 wakeup_mask;    /* how many of a CPU's records go by without a look */
extern const volatile __u32 request_groups; /* of slots of `requests` */
extern const volatile __u64 tick_ns;	    /* of a jiffy; 0: not known */

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline __u64 *process_word(__u32 tgid)
{
	return &process_bits[tgid % PROCESS_BITS / 64];
}

/* With every change of `processes`: a bit says whether there is an entry, before it is looked for.
 */
static __always_inline void process_bit_set(__u32 tgid)
{
	__sync_fetch_and_or(process_word(tgid), 1ULL << tgid % 64);
}

static __always_inline void process_bit_clear(__u32 tgid)
{
	__sync_fetch_and_and(process_word(tgid), ~(1ULL << tgid % 64));
}

/* All processes of the host pay for this in their system calls: those that are not traced by one
 * load. */
static __always_inline bool process_may_be(__u32 tgid)
{
	return *process_word(tgid) >> tgid % 64 & 1;
}

static __always_inline struct process *process_find(__u32 tgid)
{
	return process_may_be(tgid) ? bpf_map_lookup_elem(&processes, &tgid) : NULL;
}

/* NULL: it has none yet. */
static __always_inline struct thread *thread_find_of(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, 0, 0);
}

static __always_inline struct thread *thread_find(void)
{
	return thread_find_of(bpf_get_current_task_btf());
}

/* What the process's entry says, enum process_flags; of a thread that has it noted, from there.
 * False: it is not traced. t: NULL, or it notes it. */
static __always_inline bool flags_find(__u32 tgid, struct thread *t, __u32 *flags)
{
	__u32 version = *(volatile __u32 *)&processes_version;
	struct process *p;

	if (t && t->version == version) {
		*flags = t->process;
		return true;
	}
	p = process_find(tgid);
	if (!p)
		return false;
	*flags = p->flags;
	if (t) {
		t->process = p->flags;
		t->gil_known = p->gil_bytes != 0;
		t->version = version;
	}
	return true;
}

static __always_inline void processes_changed(void)
{
	__sync_fetch_and_add(&processes_version, 1);
}

static __always_inline struct counters *counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void count_event(enum event_count which)
{
	struct counters *c = counters_get();

	if (c)
		__sync_fetch_and_add(&c->events[which], 1);
}

static __always_inline void count_drops(enum drop_reason why, __u64 count)
{
	struct counters *c = counters_get();

	if (c)
		__sync_fetch_and_add(&c->drops[why], count);
}

static __always_inline void count_drop(enum drop_reason why)
{
	count_drops(why, 1);
}

static __always_inline __u64 request_key_by_id(__u32 tgid, __u64 id)
{
	return (1ULL << 63) | ((__u64)tgid << 40) | (id & ((1ULL << 40) - 1));
}

/* A turn that has read and not answered, but for a go-ahead: a request that waits for its answer.
 */
static __always_inline bool turn_is_read(const struct rec_request *r)
{
	return (r->flags & REC_F_WIRE) && (!r->writes.first_ns || (r->flags & REC_F_WIRE_INTERIM));
}

/* What waits in the ring for user space, in bytes. */
static __always_inline __u64 ring_waiting(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
}

/*
 * For a record that goes out: user space is woken when much waits; it comes by itself every tick.
 * To look how full the ring is costs a call: so it is done for every so many of a CPU's records
 * only, where the ring is large; then until user space is awake. c: counters_get().
 */
static __always_inline __u64 wakeup_flags(const struct counters *c)
{
	return c && !(c->events[EVENT_RECORD] & wakeup_mask) && ring_waiting() >= wakeup_bytes
		       ? BPF_RB_FORCE_WAKEUP
		       : BPF_RB_NO_WAKEUP;
}

/*
 * The same for what is large and seldom, and may come in a burst that no record interrupts: it is
 * looked each time, and user space is woken by what fills another wakeup_bytes, a power of two.
 * waiting: before room for this record was made.
 */
static __always_inline __u64 wakeup_flags_large(__u64 waiting, __u32 size)
{
	__u64 after = waiting + ((size + BPF_RINGBUF_HDR_SZ + 7) & ~7u);

	return (waiting ^ after) & ~(wakeup_bytes - 1) ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* Who knows the time and the thread says them: to ask costs more than all the rest of a header. */
static __always_inline void header_fill(struct rec_header *h, __u16 kind, __u32 size,
					__u64 pid_tgid, __u64 time_ns)
{
	h->size = size;
	h->kind = kind;
	h->version = REC_VERSION;
	h->tgid = pid_tgid >> 32;
	h->tid = pid_tgid;
	h->time_ns = time_ns;
}

/* NULL: no memory, counted. */
__hidden struct thread *thread_get(void);

/* Puts a record into the ring, counted either way. Wakes user space only when much waits. */
__hidden void emit(void *record, __u32 size);

/* A finished request: out to the ring, its size cut to the text that it uses. */
__hidden void request_emit(struct rec_request *r);

/* The open file behind a descriptor of the current task, or NULL. */
__hidden struct file *file_of_fd(int fd);

/* The socket of a socket's file. */
__hidden struct sock *sock_of_file(struct file *file);

/* The end of a socket's file that is ours: where it would be, had it been accepted. False: not
 * TCP. */
__hidden bool listener_of_file(struct file *file, struct listener *out);

/* Whether nothing will be written to a socket's file any more: shutdown() has said so. */
__hidden bool is_shut_down(struct file *file);

/* Whether a socket's file came from accept(). */
__hidden bool is_accepted(struct file *file);

/* Whether reading and writing it goes to a disk: a file, a directory, a block device. */
__hidden bool is_disk_file(struct file *file);

/* Reads the strings of the request that the current thread has open, if they were not read yet.
 * Global, so that the verifier walks it once, by itself. */
int request_tell(struct thread *t);
/* The request that a thread began and for which there was no room has its record, or its loss. */
__hidden void request_refused_end(struct thread *t);

/* Something is on this connection (or has this id) already. Draining: its next request has
 * started, so it is finished. Not ended: its end will not come any more. */
__hidden void request_displace(struct rec_request *old);

/*
 * sched.bpf.c: a request begins or ends on this thread, of the current task; its states. look: as
 * they are at end_ns, which is now; the request goes on. restart: what r has had is not of the next
 * one, that began when r's states were looked at.
 */
__hidden void account_begin(struct thread *t, struct task_struct *task, __u64 start_ns);
__hidden void account_end(struct thread *t, struct task_struct *task, struct rec_request *r);
__hidden void account_look(struct thread *t, struct rec_request *r, __u64 end_ns);
__hidden void account_restart(struct thread *t, const struct rec_request *r);

/*
 * sample.bpf.c, to be asked only with sample_waits. prepare: makes room for the samples of a
 * thread's waits, where memory may be asked for. wanted: whether one that leaves its CPU is to be
 * sampled; counted where it serves no request and nobody asked for such, and where a traced one has
 * no room. begin: its state and peer are in t->account.
 */
__hidden void sample_wait_prepare(struct task_struct *task);
__hidden bool sample_wait_wanted(struct task_struct *task, bool serving);
__hidden void sample_wait_begin(void *ctx, struct task_struct *task, struct thread *t,
				__u64 now_ns);
__hidden void sample_wait_woken(struct task_struct *task, __u64 now_ns);
__hidden void sample_wait_end(struct task_struct *task, __u64 now_ns);
/* The task runs: a wait of it that has no end yet has ended unseen. */
__hidden void sample_wait_missed(struct task_struct *task);

/* wait.bpf.c: what a task that has just blocked waits for. Sets account.client and .peer. */
__hidden __u32 wait_state(struct thread *t);

/*
 * The inode number of a socket's file, which names a connection as /proc/PID/fd does
 * ("socket:[N]"). 0: not a socket.
 */
__hidden __u64 conn_of_file(struct file *file);

/* enum rec_family of a socket's file. */
__hidden __u32 family_of_file(struct file *file);

/* What a socket's file is, noted in seen, which may know it already. False: not a socket. */
__hidden bool file_see(struct file *file, struct seen *seen);

/*
 * How long a request's bytes had been readable on a TCP connection (address of its struct sock; 0:
 * none) when the application was called, which is now, ns; 0: not known. Where that is a marker's
 * word and a lie, so is the answer, and nothing else is.
 */
__hidden __u64 queue_of(__u64 tcp, __u64 now);

static __always_inline __u64 conn_of_fd(int fd)
{
	struct file *file = file_of_fd(fd);

	return file ? conn_of_file(file) : 0;
}

#endif
