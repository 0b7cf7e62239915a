/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a record of the kernel's table says of itself: whether its request may be over, and whether
 * more of its answer is to come.
 */
#ifndef WSGISCOPE_DRAINING_H
#define WSGISCOPE_DRAINING_H

#include <stdbool.h>

struct rec_request;

/* It has ended, as far as marks tell, and is kept for late writes; or it is a turn of a connection
 * that has answered and is not in a write. Whether the answer is whole is judged later, and what
 * still comes of it is its next turn. */
bool request_is_at_rest(const struct rec_request *r);

/* Of one at rest: more will be written, unless its client is gone. */
bool request_is_writing(const struct rec_request *r);

#endif
