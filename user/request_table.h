/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel side's table of requests in flight and draining, seen from user space: the sweep that
 * takes out those that will not end by themselves.
 */
#ifndef WSGISCOPE_REQUEST_TABLE_H
#define WSGISCOPE_REQUEST_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct bpf_map;
struct rec_request;
struct request_group;

struct request_table {
	struct request_group *keys; /* the kernel's own, mapped; NULL: not open */
	uint32_t groups;
	int fd; /* of the requests; the map's */
};

enum request_verdict { REQUEST_LEAVE, REQUEST_TAKE };

/*
 * What becomes of each. verdict may change the record; it is asked a second time about one that it
 * has said to take, as it is when nobody else can change it any more. take: gets those taken, 0 or
 * -errno; NULL where none are.
 */
struct request_sweep {
	enum request_verdict (*verdict)(void *context, struct rec_request *request);
	int (*take)(void *context, const void *record, size_t bytes);
	void *context;
};

/* How large the maps must be for so many requests at once; before they are loaded. */
int request_table_size(struct bpf_map *requests, struct bpf_map *keys, uint32_t max_requests,
		       uint32_t *groups);

/* Both maps stay the caller's. 0, else -errno, printed. */
int request_table_open(const struct bpf_map *requests, const struct bpf_map *keys,
		       struct request_table *out);
void request_table_close(struct request_table *table);

/* Goes through all requests. taken: those taken are added. 0, else -errno of the map or of take. */
int request_table_sweep(struct request_table *table, const struct request_sweep *sweep,
			uint64_t *taken);

#endif
