// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The table of requests: where one lies, and a place for one that comes.
 */
#include "table.bpf.h"

__noinline __u32 slot_find(__u64 key)
{
	struct request_group *group;
	__u32 index;

	for (int choice = GROUP_NEAR; choice < GROUP_CHOICES; choice++) {
		group = group_of_key(key, choice, &index);
		if (!group)
			continue; /* the table is smaller than what is near */
#pragma unroll
		for (int i = 0; i < GROUP_SLOTS; i++)
			if (!((group->key[i] ^ key) & ~KEY_OWNED))
				return index * GROUP_SLOTS + i;
	}
	return SLOT_NONE;
}

/* Without a branch: the verifier would walk every way that the slots can be taken. */
static __always_inline __u32 group_used(const struct request_group *group)
{
	__u32 count = 0;

#pragma unroll
	for (int i = 0; i < GROUP_SLOTS; i++) {
		__u64 taken = group->key[i];

		taken |= -taken;
		barrier_var(taken);
		count += taken >> 63;
	}
	return count;
}

/* Another CPU may have taken what was free. */
static __always_inline __u32 group_claim(struct request_group *group, __u32 index)
{
	for (int i = 0; i < GROUP_SLOTS; i++)
		if (!group->key[i] && !__sync_val_compare_and_swap(&group->key[i], 0, KEY_BUSY))
			return index * GROUP_SLOTS + i;
	return SLOT_NONE;
}

static __always_inline __u32 claim_far(__u64 key)
{
	__u32 first, second, slot;
	struct request_group *a = group_of_key(key, GROUP_FIRST, &first);
	struct request_group *b = group_of_key(key, GROUP_SECOND, &second);

	if (!a || !b)
		return SLOT_NONE;
	if (group_used(a) > group_used(b)) {
		slot = group_claim(b, second);
		return slot == SLOT_NONE ? group_claim(a, first) : slot;
	}
	slot = group_claim(a, first);
	return slot == SLOT_NONE ? group_claim(b, second) : slot;
}

__noinline __u32 slot_claim(__u64 key)
{
	__u32 index, slot = SLOT_NONE;
	struct request_group *near = group_of_key(key, GROUP_NEAR, &index);

	if (near)
		slot = group_claim(near, index);
	return slot == SLOT_NONE ? claim_far(key) : slot;
}
