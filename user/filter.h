/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which requests are shown: --min-ms, --path, --route, --method, --status; and which of those are
 * worth a profile: --slower-than. Those that are not shown still count in totals.
 */
#ifndef WSGISCOPE_FILTER_H
#define WSGISCOPE_FILTER_H

#include <stdbool.h>

struct config;
struct request;

/*
 * A request whose application time was not seen passes --min-ms (its worker may have died of it);
 * one without a path passes no --path. --route is of the route, or of the path group where there is
 * none, by the name itself or by a glob; --status is of what the application gave, or of what the
 * first write said where it gave none.
 */
bool filter_passes(const struct config *config, const struct request *request);

/* Of --slower-than: took longer, or it was not seen how long. */
bool filter_is_slow(const struct config *config, const struct request *request);

/* Three digits, or one and "xx". */
bool filter_status_valid(const char *status);

#endif
