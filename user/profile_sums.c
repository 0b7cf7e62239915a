/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One walk of the tree, depth first, with the way from the root at hand.
 */
#include "profile_sums.h"

#include <errno.h>
#include <stdlib.h>

static void weights_add(struct profile_weight *sum, const struct profile_weight *weight)
{
	if (__builtin_add_overflow(sum->ns, weight->ns, &sum->ns) || sum->ns > INT64_MAX)
		sum->ns = INT64_MAX;
	sum->samples += weight->samples;
}

int profile_sums_make(const struct profile *profile, struct profile_sum **out)
{
	struct profile_sum *sums = calloc(profile->function_count, sizeof(*sums));
	uint32_t *on_path = calloc(profile->function_count, sizeof(*on_path));
	uint32_t path[PROFILE_DEPTH_MAX + 1], depth = 0, node = 0;
	int error = sums && on_path ? 0 : -ENOMEM;

	if (error)
		goto out;
	do {
		const struct profile_node *at = &profile->nodes[node];
		struct profile_sum *sum = &sums[at->function];

		while (depth > at->depth)
			on_path[path[--depth]]--;
		path[depth++] = at->function;
		for (unsigned int side = 0; side < PROFILE_SIDES; side++) {
			weights_add(&sum->self[side], &at->self[side]);
			if (!on_path[at->function])
				weights_add(&sum->total[side], &at->total[side]);
		}
		sum->frames += at->total[0].samples;
		on_path[at->function]++;
		node = profile_next(profile, node);
	} while (node);
	*out = sums;
	sums = NULL;
out:
	free(sums);
	free(on_path);
	return error;
}
