/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The label sets of the last requests, by what a request says as it comes: nearly every request is
 * like one of the last hundreds, and need not be cleaned, shaped and looked up again.
 */
#ifndef WSGISCOPE_RECENT_H
#define WSGISCOPE_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "path_shape.h"

/* What is longer is not remembered. */
#define RECENT_KEY_BYTES 160

struct recent;
struct request;
struct series;

struct recent_entry {
	struct series *series;	 /* borrowed; NULL: the entry is free */
	uint64_t changes;	 /* path_shape_changes() when it was made */
	struct path_trail trail; /* for path_shape_again() */
	uint16_t key_bytes;
	char key[RECENT_KEY_BYTES];
};

struct recent *recent_new(void);	 /* NULL: no memory */
void recent_free(struct recent *recent); /* NULL is fine */

/*
 * The entry where a request like this one is or would be; NULL: it cannot be remembered. *found:
 * it is there, and was made with the same changes. Else the caller fills in series, changes and
 * trail, or sets series to NULL. by_path: without a route the whole path decides, not its group.
 */
struct recent_entry *recent_get(struct recent *recent, const struct request *request, bool by_path,
				uint64_t changes, bool *found);

#endif
