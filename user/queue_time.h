/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front end says about when it got a request: X-Request-Start, X-Queue-Start. Knows the
 * forms that nginx, Apache, HAProxy and Heroku write, nothing of requests.
 */
#ifndef WSGISCOPE_QUEUE_TIME_H
#define WSGISCOPE_QUEUE_TIME_H

#include <stddef.h>
#include <stdint.h>

/*
 * "t=1795318324.266", "1795318324266", "t=1795318326323263": seconds, milliseconds or microseconds
 * of CLOCK_REALTIME, told apart by their size. Gives the nanoseconds from there to start_ns
 * (CLOCK_REALTIME), or -1: no such number, or one that cannot be (before 2000, in the future,
 * more than a day ago). The other host's clock may be a little ahead: up to 5 ms count as 0.
 */
int64_t queue_time_parse(const char *text, size_t bytes, int64_t start_ns);

#endif
