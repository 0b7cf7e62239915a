/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An HTTP body packed by zlib, and whether a client wants it so.
 */
#ifndef WSGISCOPE_GZIP_H
#define WSGISCOPE_GZIP_H

#include <stdbool.h>
#include <stddef.h>

/* Whether an Accept-Encoding header (NULL: none; it may hold anything) takes gzip: RFC 9110 12.5.3.
 */
bool gzip_is_accepted(const char *accept_encoding);

/* Packs text into *out, which the caller frees. 0 or -ENOMEM. */
int gzip_pack(const char *text, size_t bytes, char **out, size_t *out_bytes);

#endif
