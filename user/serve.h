/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon knows and shows on its pages: the aggregate of all requests, the moment at which
 * it is asked, the configuration by which it adds up.
 */
#ifndef WSGISCOPE_SERVE_H
#define WSGISCOPE_SERVE_H

#include "http.h"

struct aggregate;
struct config;
struct loop;
struct pipeline;
struct request_threads;
struct serve;
struct source;

/* The pages, ends with path NULL; their context is a struct serve. */
extern const struct http_page serve_pages[];

/* Reads the configuration, and reads it anew on each SIGHUP from here on. config and loop are
 * borrowed. 0 or -errno, message printed. */
int serve_new(const struct config *config, struct loop *loop, struct serve **out);
void serve_free(struct serve *serve); /* NULL is fine */

/* What the pipeline is to feed. Both stay the daemon's. */
struct aggregate *serve_aggregate(struct serve *serve);
struct request_threads *serve_threads(struct serve *serve);

/* From here on pages can be made: it has the source and the pipeline, borrowed, to ask, and a
 * clock. 0 or -errno, message printed. */
int serve_begin(struct serve *serve, struct source *source, struct pipeline *pipeline);

#endif
