/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers that are being sent. Making a page costs CPU and memory, and clients decide how often
 * it is asked for and how long it takes to be sent; so an answer is shared by those who ask within
 * a time that grows with what it cost, and only so many are alive at once.
 */
#ifndef WSGISCOPE_HTTP_BODY_H
#define WSGISCOPE_HTTP_BODY_H

#include <stdbool.h>

#include "http.h"

struct MHD_Response;
struct http_bodies;

/* pages and context as http_open() has them. 0 or -ENOMEM. */
int http_bodies_new(const struct http_page *pages, void *context, struct http_bodies **out);

/* Every connection must have ended. NULL is fine. */
void http_bodies_free(struct http_bodies *bodies);

/*
 * The answer in that form; made, or shared with who asked before. It stays the bodies' own; to
 * queue it takes a reference of its own. NULL: it could not be made, or too many are being sent.
 */
struct MHD_Response *http_body_get(struct http_bodies *bodies, const struct http_page *page,
				   unsigned int form, bool gzip);

#endif
