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
#define SAMPLE_HZ_DEFAULT     99U
#define MAX_FILES_DEFAULT     1000U

/* clang-format off */
#define ROW_PID {.name = "pid", .letter = 'p', .type = OPTION_PIDS, \
	.offset = offsetof(struct config, pids), .argument = "PID", \
	.help = "only this worker, or this master and its children; again for more (all)"}

extern const char *const mode_words[];

#define ROW_MODE {.name = "mode", .type = OPTION_WORD, .words = mode_words, \
	.offset = offsetof(struct config, mode), .argument = "MODE", \
	.help = "what tells of requests: auto, marker, wire or both (auto)"}

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
/* Of profiles. */
#define ROW_SAMPLE_HZ {.name = "frequency", .letter = 'F', .type = OPTION_SIZE, \
	.offset = offsetof(struct config, sample_hz), .argument = "HZ", \
	.min = 1, .max = 999, .help = "samples a second and CPU (99)"}

#define ROW_OFF_CPU {.name = "off-cpu", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, off_cpu), \
	.help = "where threads wait, instead of where they run"}

#define ROW_WALL {.name = "wall", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, wall), .help = "where they run and where they wait"}

#define ROW_NATIVE {.name = "native", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, native), \
	.help = "also native frames and the kernel's"}

#define ROW_PROFILE_OUTPUT {.name = "output", .letter = 'o', .type = OPTION_STRING, \
	.offset = offsetof(struct config, output), .argument = "FILE", \
	.help = "where the profile goes; its ending tells the format (stdout)"}

#define ROW_FORMAT {.name = "format", .type = OPTION_STRING, \
	.offset = offsetof(struct config, format), .argument = "FORMAT", \
	.help = "text, folded, svg, speedscope, pprof or pstats"}

#define ROW_ROUTE {.name = "route", .type = OPTION_STRING, \
	.offset = offsetof(struct config, route), .argument = "GLOB", \
	.help = "only requests of routes (or path groups) that match"}

#define ROW_METHOD {.name = "method", .type = OPTION_STRING, \
	.offset = offsetof(struct config, method), .argument = "METHOD", \
	.help = "only requests of this method"}

#define ROW_STATUS {.name = "status", .type = OPTION_STRING, \
	.offset = offsetof(struct config, status), .argument = "STATUS", \
	.help = "only requests of this status: 404, 5xx"}

#define ROW_SLOWER_THAN {.name = "slower-than", .type = OPTION_MS, \
	.offset = offsetof(struct config, slower_ms), .argument = "MS", \
	.help = "only profiles of requests that took longer"}

#define ROW_OUTSIDE {.name = "outside", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, outside), \
	.help = "threads that serve no request, instead of requests"}

#define ROW_BY {.name = "by", .type = OPTION_STRING, \
	.offset = offsetof(struct config, by), .argument = "WHAT", \
	.help = "route: one outermost frame a route"}

#define ROW_LINES {.name = "lines", .type = OPTION_FLAG, \
	.offset = offsetof(struct config, lines), \
	.help = "each line of a function is a frame of its own"}

#define ROW_EACH {.name = "each", .type = OPTION_STRING, \
	.offset = offsetof(struct config, each), .argument = "DIRECTORY", \
	.help = "one profile a request, in files of this directory (svg)"}

#define ROW_MAX_FILES {.name = "max-files", .type = OPTION_U64, \
	.offset = offsetof(struct config, max_files), .argument = "COUNT", \
	.min = 1, .max = 1e6, .help = "profiles of single requests at most (1000)"}

/* Of what puts the marker into servers. */
#define ROW_MARKER {.name = "marker", .type = OPTION_STRING, \
	.offset = offsetof(struct config, marker), .argument = "DIRECTORY", \
	.help = "where the marker's package is (beside this program)"}
/* clang-format on */

#endif
