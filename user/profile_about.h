/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a profile is of: for headings and for the formats that keep it.
 */
#ifndef WSGISCOPE_PROFILE_ABOUT_H
#define WSGISCOPE_PROFILE_ABOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

struct profile_about {
	bool cpu, waits;     /* which samples it may hold */
	bool outside;	     /* of threads that served no request */
	bool is_diff;	     /* both sides count: before and after */
	int64_t time_ns;     /* CLOCK_REALTIME of the first sample, 0: there was none */
	int64_t duration_ns; /* from the first event to the last; of one request: its time */
	uint64_t period_ns;  /* of the clock, 0: not known */
	uint64_t requests[PROFILE_SIDES]; /* whose samples these are */
	const char *title; /* NULL: made from the rest. Of one request; may hold anything */
	const char *notes; /* lines of the footer; never NULL, may hold anything */
};

#endif
