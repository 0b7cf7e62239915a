/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What a client's TCP socket tells: since when the bytes of its request could be read.
 */
#ifndef WSGISCOPE_TCP_BPF_H
#define WSGISCOPE_TCP_BPF_H

#include "state.bpf.h"

#define AF_INET	    2
#define AF_INET6    10
#define SOCK_STREAM 1

/*
 * How long the request's bytes had been readable when the application was called, 0: not known.
 * tcp_mstamp is the time of the socket's last packet in or out (us, CLOCK_MONOTONIC), which is
 * the arrival of the request unless a delayed ACK has gone out since; then the time of the last
 * data in (jiffies) says so and is taken, coarser.
 */
static __always_inline __u64 queue_of(struct sock *sk, __u64 start_ns)
{
	__u64 now, stamp, age;

	if (!sk || !tick_ns)
		return 0;
	now = bpf_ktime_get_ns();
	stamp = BPF_CORE_READ((struct tcp_sock *)sk, tcp_mstamp) * 1000;
	age = (__u32)((__u32)bpf_jiffies64() -
		      BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ack.lrcvtime)) *
	      tick_ns;
	if (!stamp || stamp > now || age > now)
		return 0;
	if (age > now - stamp + 2 * tick_ns)
		stamp = now - age;
	return start_ns > stamp ? start_ns - stamp : 0;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	unsigned short family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) &&
	       BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

#endif
