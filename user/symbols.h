/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for what live samples hold only addresses of. Makes a REC_CODE record for each code object
 * that a sample names for the first time, so that a recording can be read where the process is not.
 */
#ifndef WSGISCOPE_SYMBOLS_H
#define WSGISCOPE_SYMBOLS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "source.h"

struct stacks;
struct symbols;

/* stacks: borrowed. native: native frames are named too. 0 or -ENOMEM. */
int symbols_new(const struct stacks *stacks, bool native, struct symbols **out);
void symbols_free(struct symbols *symbols); /* NULL is fine */

/* A copy of a code object, from the kernel side: as symbols_sample(), for this one. */
int symbols_raw(struct symbols *symbols, const struct rec_raw_code *raw, size_t bytes,
		source_record_fn fn, void *context);

/*
 * Hands to fn a record for each of the sample's frames that has not had one, then the sample,
 * without the frames that are the interpreter's own and the native ones that are no code. The
 * sample is checked here, too: -EBADMSG where its sizes do not fit. 0, what fn returned, -ENOMEM.
 */
int symbols_sample(struct symbols *symbols, const void *sample, size_t bytes, source_record_fn fn,
		   void *context);

/* Code objects that could not be named any more, so far. */
uint64_t symbols_lost(const struct symbols *symbols);

#endif
