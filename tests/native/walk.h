/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bpf/pystack.bpf.c as an ordinary function.
 */
#ifndef WSGISCOPE_TESTS_NATIVE_WALK_H
#define WSGISCOPE_TESTS_NATIVE_WALK_H

#include <linux/types.h>
#include <stdint.h>

#include "abi.h"
#include "python/layout.h"

struct walk_result {
	unsigned int error, flags, count;
	struct rec_frame frames[STACK_PYTHON_MAX];
};

/* The frames of the thread that calls itself `self`, in the image in use. */
void walk_thread(const struct python_layout *layout, uint64_t runtime, uint64_t self,
		 struct walk_result *out);

#endif
