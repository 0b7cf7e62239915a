/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many BPF links closed at once.
 */
#ifndef WSGISCOPE_LINKS_H
#define WSGISCOPE_LINKS_H

#include <stddef.h>

struct bpf_link;

/* Destroys so many links (NULL: none in that place) and sets them to NULL. When it returns, their
 * programs run no more. */
void links_destroy(struct bpf_link **links, size_t count);

#endif
