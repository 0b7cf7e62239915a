/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call tree added up by function. A recursive function's total counts each sample once.
 */
#ifndef WSGISCOPE_PROFILE_SUMS_H
#define WSGISCOPE_PROFILE_SUMS_H

#include "profile.h"

struct profile_sum {
	struct profile_weight self[PROFILE_SIDES];
	struct profile_weight total[PROFILE_SIDES]; /* samples with it on the stack */
	uint64_t frames; /* of side 0: as total's samples, but each time it is on the stack */
};

/* One of each function, in their order; free() it. A finished profile. 0 or -ENOMEM. */
int profile_sums_make(const struct profile *profile, struct profile_sum **out);

#endif
