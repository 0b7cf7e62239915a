/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the answers and the rule by which they are shared. An answer that is replaced lives on until
 * the last client that is being sent it has gone.
 */
#include "http_body.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gzip.h"
#include "log.h"
#include "text_buffer.h"

/* An answer is shared for so many times what it cost, so that however many ask, making answers
 * takes at most a twentieth of one CPU. */
#define SHARED_TIMES 20
/* Alive at once, those that are being sent to slow clients included. */
#define BODIES_MAX 16

struct body {
	struct MHD_Response *response; /* NULL: none yet */
	uint64_t made_ns, cost_ns;
};

struct http_bodies {
	const struct http_page *pages;			       /* borrowed */
	void *context;					       /* borrowed */
	struct body bodies[HTTP_PAGES_MAX][HTTP_FORMS_MAX][2]; /* plain, packed */
	struct text_buffer text; /* kept, so that only the first pays for its memory */
	unsigned int alive;
};

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int http_bodies_new(const struct http_page *pages, void *context, struct http_bodies **out)
{
	struct http_bodies *bodies = calloc(1, sizeof(*bodies));

	if (!bodies)
		return -ENOMEM;
	bodies->pages = pages;
	bodies->context = context;
	*out = bodies;
	return 0;
}

/* Where the bytes of an answer lie, with whom to tell that it is gone. */
struct body_bytes {
	struct http_bodies *bodies;
	char *text; /* owned */
};

static void bytes_free(void *context)
{
	struct body_bytes *bytes = context;

	bytes->bodies->alive--;
	free(bytes->text);
	free(bytes);
}

static void body_drop(struct body *body)
{
	if (body->response)
		MHD_destroy_response(body->response);
	body->response = NULL;
}

void http_bodies_free(struct http_bodies *bodies)
{
	struct body *body;

	if (!bodies)
		return;
	body = &bodies->bodies[0][0][0];
	for (size_t i = 0; i < sizeof(bodies->bodies) / sizeof(*body); i++)
		body_drop(&body[i]);
	text_buffer_free(&bodies->text);
	free(bodies);
}

/* The text, as it is or packed, in memory of its own. */
static int bytes_take(const struct text_buffer *text, bool gzip, char **out, size_t *out_bytes)
{
	if (gzip)
		return gzip_pack(text->text, text->bytes, out, out_bytes);
	*out = malloc(text->bytes ? text->bytes : 1);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, text->text, text->bytes);
	*out_bytes = text->bytes;
	return 0;
}

static struct MHD_Response *response_new(struct http_bodies *bodies, bool gzip)
{
	struct body_bytes *bytes = malloc(sizeof(*bytes));
	struct MHD_Response *response;
	size_t count;

	if (!bytes || bytes_take(&bodies->text, gzip, &bytes->text, &count)) {
		free(bytes);
		return NULL;
	}
	bytes->bodies = bodies;
	response = MHD_create_response_from_buffer_with_free_callback_cls(count, bytes->text,
									  bytes_free, bytes);
	if (!response) {
		free(bytes->text);
		free(bytes);
		return NULL;
	}
	bodies->alive++;
	return response;
}

static bool headers_add(struct MHD_Response *response, const char *type, bool gzip, bool varies)
{
	if (!MHD_add_response_header(response, "Content-Type", type) ||
	    !MHD_add_response_header(response, "Cache-Control", "no-store") ||
	    !MHD_add_response_header(response, "X-Content-Type-Options", "nosniff"))
		return false;
	if (!MHD_add_response_header(response, "Vary",
				     varies ? "Accept, Accept-Encoding" : "Accept-Encoding"))
		return false;
	return !gzip || MHD_add_response_header(response, "Content-Encoding", "gzip");
}

/* A new answer in place of the old one. 0 or -errno, the old one is still there then. */
static int body_make(struct http_bodies *bodies, const struct http_page *page, unsigned int form,
		     bool gzip, struct body *body)
{
	struct MHD_Response *response = NULL;
	uint64_t start_ns = now_monotonic();
	int error;

	text_buffer_clear(&bodies->text);
	error = page->make(bodies->context, form, &bodies->text);
	if (!error && bodies->text.failed)
		error = -ENOMEM;
	if (!error)
		response = response_new(bodies, gzip);
	if (!error && !response)
		error = -ENOMEM;
	if (!error && !headers_add(response, page->type(form), gzip, page->choose))
		error = -ENOMEM;
	if (error) {
		log_warn("cannot make the page %s: %s", page->path, strerror(-error));
		if (response)
			MHD_destroy_response(response);
		return error;
	}
	body_drop(body);
	body->response = response;
	body->made_ns = now_monotonic();
	body->cost_ns = body->made_ns - start_ns;
	return 0;
}

struct MHD_Response *http_body_get(struct http_bodies *bodies, const struct http_page *page,
				   unsigned int form, bool gzip)
{
	struct body *body = &bodies->bodies[page - bodies->pages][form][gzip];
	uint64_t age_ns = now_monotonic() - body->made_ns;

	if (body->response &&
	    (age_ns < SHARED_TIMES * body->cost_ns || bodies->alive >= BODIES_MAX))
		return body->response;
	if (bodies->alive >= BODIES_MAX)
		return NULL;
	return body_make(bodies, page, form, gzip, body) ? NULL : body->response;
}
