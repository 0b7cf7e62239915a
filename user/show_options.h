/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option rows that more than one verb has, so that an option means the same everywhere, and
 * the defaults of what attaches.
 */
#ifndef WSGISCOPE_SHOW_OPTIONS_H
#define WSGISCOPE_SHOW_OPTIONS_H

#include <stddef.h>

#include "config.h"
#include "options.h"

#define RING_BYTES_DEFAULT    (4U << 20)
#define MAX_IN_FLIGHT_DEFAULT 10240U

/* clang-format off */
#define ROW_PID {.name = "pid", .letter = 'p', .type = OPTION_PIDS, \
	.offset = offsetof(struct config, pids), .argument = "PID", \
	.help = "only this worker, or this master and its children; again for more (all)"}

#define ROW_DURATION {.name = "duration", .letter = 'd', .type = OPTION_SECONDS, \
	.offset = offsetof(struct config, duration_s), .argument = "SECONDS", \
	.min = 0.001, .max = 1e8, .help = "end after so long (until interrupted)"}

#define ROW_COUNT {.name = "count", .letter = 'n', .type = OPTION_U64, \
	.offset = offsetof(struct config, count), .argument = "COUNT", \
	.min = 1, .help = "end after so many requests shown (no limit)"}

#define ROW_JSON {.name = "json", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, json), \
	.help = "one JSON object a line, for programs"}

#define ROW_MIN_MS {.name = "min-ms", .type = OPTION_MS, \
	.offset = offsetof(struct config, min_ms), .argument = "MS", \
	.help = "only requests whose application time was at least so long"}

#define ROW_PATH {.name = "path", .type = OPTION_STRING, \
	.offset = offsetof(struct config, path_glob), .argument = "GLOB", \
	.help = "only paths that match; * also matches slashes"}

#define ROW_BLOCKS {.name = "blocks", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, blocks), \
	.help = "also each block of a response, before its request"}

#define ROW_RING_SIZE {.name = "ring-size", .type = OPTION_POWER, \
	.offset = offsetof(struct config, ring_bytes), .argument = "BYTES", \
	.min = 4096, .max = 1U << 30, \
	.help = "of the ring buffer, a power of two, k or M (4M)"}

#define ROW_MAX_IN_FLIGHT {.name = "max-in-flight", .type = OPTION_SIZE, \
	.offset = offsetof(struct config, max_in_flight), .argument = "COUNT", \
	.min = 16, .max = 1U << 20, \
	.help = "requests followed at once (10240)"}

#define ROW_STATSD {.name = "statsd", .type = OPTION_ADDRESS, \
	.offset = offsetof(struct config, statsd), .argument = "HOST:PORT", \
	.help = "also send each request's five metrics there"}

#define ROW_DOGSTATSD {.name = "dogstatsd", .type = OPTION_ADDRESS, \
	.offset = offsetof(struct config, dogstatsd), .argument = "HOST:PORT", \
	.help = "the same with tags, for Datadog's agent"}

#define ROW_OUTPUT {.name = "output", .letter = 'o', .type = OPTION_STRING, \
	.offset = offsetof(struct config, output), .argument = "FILE", \
	.required = true, .help = "where the recording goes"}
/* clang-format on */

#endif
