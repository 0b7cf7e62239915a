/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which requests are shown: --min-ms and --path. Those that are not shown still count in totals.
 */
#ifndef WSGISCOPE_FILTER_H
#define WSGISCOPE_FILTER_H

#include <stdbool.h>

struct config;
struct request;

/*
 * A request whose application time was not seen passes --min-ms (its worker may have died of it);
 * one without a path passes no --path.
 */
bool filter_passes(const struct config *config, const struct request *request);

#endif
