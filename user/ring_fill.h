/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much waits in a BPF ring buffer, read from its own two pages. Knows nothing of records.
 */
#ifndef WSGISCOPE_RING_FILL_H
#define WSGISCOPE_RING_FILL_H

#include <stdbool.h>
#include <stdint.h>

/* Positions in bytes that only grow, each on a page of its own (Documentation/bpf/ringbuf.rst). */
struct ring_fill {
	const uint64_t *consumed, *produced;
};

/* Maps the pages of the map map_fd. 0 or -errno, message printed; then it is empty. */
int ring_fill_open(int map_fd, struct ring_fill *out);
void ring_fill_close(struct ring_fill *fill); /* an empty one is fine */

/* Up to where records are written, or are being written: one that is not whole yet keeps those
 * behind it from being read. */
uint64_t ring_fill_produced(const struct ring_fill *fill);
/* Whether all before that position has been read. */
bool ring_fill_is_read(const struct ring_fill *fill, uint64_t position);

/* Bytes that have been written and not read. */
uint64_t ring_fill_bytes(const struct ring_fill *fill);

#endif
