/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the mapping of the table's keys and user space's half of the rule of who has a request
 * (bpf/table.bpf.h has the other half). Must not know what makes a request one to take.
 */
#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "abi.h"
#include "log.h"
#include "request_table.h"

/* Half as many slots again as requests; and one group, for where there are few. */
int request_table_size(struct bpf_map *requests, struct bpf_map *keys, uint32_t max_requests,
		       uint32_t *groups)
{
	int err;

	*groups = ((uint64_t)max_requests + max_requests / 2) / GROUP_SLOTS + 1;
	err = bpf_map__set_max_entries(requests, *groups * GROUP_SLOTS);
	return err ? err : bpf_map__set_max_entries(keys, *groups);
}

int request_table_open(const struct bpf_map *requests, const struct bpf_map *keys,
		       struct request_table *out)
{
	void *mapped;

	out->keys = NULL;
	out->groups = bpf_map__max_entries(keys);
	out->fd = bpf_map__fd(requests);
	mapped = mmap(NULL, out->groups * sizeof(*out->keys), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(keys), 0);
	if (mapped == MAP_FAILED) {
		log_error("mapping the table of requests: %s", strerror(errno));
		return -errno;
	}
	out->keys = mapped;
	return 0;
}

void request_table_close(struct request_table *table)
{
	if (table->keys)
		munmap(table->keys, table->groups * sizeof(*table->keys));
	table->keys = NULL;
}

static bool key_change(__u64 *at, __u64 from, __u64 to)
{
	return __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* Whether a turn has gone on since it was seen: then there are bytes in the ring that go before it.
 */
static bool turn_went_on(const struct rec_request *now, const struct rec_request *seen)
{
	return now->flags & REC_F_WIRE &&
	       (now->writes.calls != seen->writes.calls || now->reads.calls != seen->reads.calls);
}

static int taken_hand_on(const struct request_sweep *sweep, struct rec_request *r, __u32 flags)
{
	r->flags = (r->flags | flags) & ~REC_F_DRAINING;
	if (r->flags & REC_F_WIRE)
		r->end_ns = r->writes.last_ns;
	if (r->text_bytes > STR_TEXT_MAX)
		r->text_bytes = 0;
	/* What fills the last word up lay there before: of another request, or a client's bytes. */
	memset(r->text + r->text_bytes, 0, -r->text_bytes & 7);
	r->h.size = offsetof(struct rec_request, text) + ((r->text_bytes + 7) & ~7u);
	return sweep->take(sweep->context, r, r->h.size);
}

/*
 * One that is to be taken, as far as was seen. While it is owned its writes still find it, but
 * nothing else does; withdrawn, it is read a last time, with what they have added.
 */
static int request_take(struct request_table *table, __u32 slot, __u64 key,
			const struct rec_request *seen, const struct request_sweep *sweep,
			uint64_t *taken)
{
	__u64 *at = &table->keys[slot / GROUP_SLOTS].key[slot % GROUP_SLOTS];
	struct rec_request now, last;
	int err;

	if (!key_change(at, key, key | KEY_OWNED))
		return 0; /* it has finished by itself, or the next one begins in its place */
	err = bpf_map_lookup_elem(table->fd, &slot, &now);
	if (err || turn_went_on(&now, seen) ||
	    sweep->verdict(sweep->context, &now) == REQUEST_LEAVE) {
		__atomic_store_n(at, key, __ATOMIC_RELEASE);
		return err;
	}
	__atomic_store_n(at, KEY_BUSY, __ATOMIC_SEQ_CST);
	err = bpf_map_lookup_elem(table->fd, &slot, &last);
	__atomic_store_n(at, 0, __ATOMIC_RELEASE);
	if (err)
		return err;
	++*taken;
	return taken_hand_on(sweep, &last, now.flags);
}

int request_table_sweep(struct request_table *table, const struct request_sweep *sweep,
			uint64_t *taken)
{
	__u32 slots = table->groups * GROUP_SLOTS;
	struct rec_request seen;
	int err = 0;

	for (__u32 slot = 0; slot < slots && !err; slot++) {
		__u64 *at = &table->keys[slot / GROUP_SLOTS].key[slot % GROUP_SLOTS];
		__u64 key = __atomic_load_n(at, __ATOMIC_ACQUIRE);

		if (!key || key & KEY_OWNED)
			continue;
		err = bpf_map_lookup_elem(table->fd, &slot, &seen);
		/* What is filled anew just now may be half the one and half the other. */
		if (err || __atomic_load_n(at, __ATOMIC_ACQUIRE) != key ||
		    sweep->verdict(sweep->context, &seen) == REQUEST_LEAVE)
			continue;
		err = request_take(table, slot, key, &seen, sweep, taken);
	}
	return err;
}
