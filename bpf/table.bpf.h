/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The table of requests in flight and draining: the way from a key to its request, and who may
 * change that. An array map and a word of key for each of its slots, not a hash map: the kernel
 * puts an array's look-up into the program, where a hash's is a call of some 80 ns and a place in
 * it, taken and given back, 290; and a compare-and-swap on the key tells at once whether the
 * kernel side or user space (user/request_table.c) has a request, so that it comes out once.
 *
 * A key has three groups of slots to lie in. The near one is of a few that all share: as long as
 * few requests are in flight, their memory stays in the CPU's cache. Where that is full, the
 * emptier of two by a hash takes it (Azar, Broder, Karlin, Upfal: "Balanced allocations", 1994).
 * With as many slots as user space makes, half as many again as requests, hardly any but the last
 * few finds all full.
 */
#ifndef WSGISCOPE_TABLE_BPF_H
#define WSGISCOPE_TABLE_BPF_H

#include "state.bpf.h"

#define SLOT_NONE (~0U)

#define GROUPS_NEAR 32

/* 2^64 / the golden ratio: Knuth, TAOCP 3, 6.4. */
#define KEY_SPREAD 0x9e3779b97f4a7c15ULL

enum group_choice { GROUP_NEAR, GROUP_FIRST, GROUP_SECOND, GROUP_CHOICES };

static __always_inline struct request_group *group_of_key(__u64 key, enum group_choice choice,
							  __u32 *index)
{
	__u64 hash = key * KEY_SPREAD;
	__u64 part = choice == GROUP_FIRST ? hash >> 32 : (__u32)hash;

	*index = choice == GROUP_NEAR ? key % GROUPS_NEAR : (part * request_groups) >> 32;
	return bpf_map_lookup_elem(&request_keys, index);
}

static __always_inline struct rec_request *slot_request(__u32 slot)
{
	return bpf_map_lookup_elem(&requests, &slot);
}

static __always_inline __u64 *slot_key(__u32 slot)
{
	__u32 index = slot / GROUP_SLOTS;
	struct request_group *group = bpf_map_lookup_elem(&request_keys, &index);

	return group ? &group->key[slot % GROUP_SLOTS] : NULL;
}

/* Where the request with this key lies, or SLOT_NONE. Global, as is the next, so that the verifier
 * walks it once and its callers once for all slots. */
__u32 slot_find(__u64 key);

static __always_inline struct rec_request *request_lookup(__u64 key)
{
	return slot_request(slot_find(key));
}

static __always_inline bool slot_change(__u32 slot, __u64 from, __u64 to)
{
	__u64 *at = slot_key(slot);

	return at && __sync_val_compare_and_swap(at, from, to) == from;
}

/* Until it is published again it is the caller's to fill anew: still found by its key, and left
 * alone by user space. False: user space has it. */
static __always_inline bool slot_own(__u32 slot, __u64 key)
{
	return slot_change(slot, key, key | KEY_OWNED);
}

/* It is not found any more, and the caller's to emit and to free. False: user space has it. */
static __always_inline bool slot_withdraw(__u32 slot, __u64 key)
{
	return slot_change(slot, key, KEY_BUSY);
}

static __always_inline void slot_set(__u32 slot, __u64 key)
{
	__u64 *at = slot_key(slot);

	if (at)
		__sync_lock_test_and_set(at, key);
}

static __always_inline void slot_publish(__u32 slot, __u64 key)
{
	slot_set(slot, key);
}

static __always_inline void slot_free(__u32 slot)
{
	slot_set(slot, 0);
}

/* A free slot for the key, the caller's to fill and to publish; SLOT_NONE: all its groups are full,
 * which the caller counts. */
__u32 slot_claim(__u64 key);

#endif
