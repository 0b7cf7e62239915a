/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A few pages over HTTP, for clients that may be slow, many or mad: everything that one of them can
 * hold or keep busy is bounded. libmicrohttpd speaks the protocol, in the one event loop. Knows
 * nothing of what is on the pages.
 */
#ifndef WSGISCOPE_HTTP_H
#define WSGISCOPE_HTTP_H

struct address;
struct http;
struct loop;
struct text_buffer;

#define HTTP_PAGES_MAX 4
#define HTTP_FORMS_MAX 2

/* A page has one form, or two between which the client's Accept header chooses. */
struct http_page {
	const char *path;
	/* The form, 0 or 1, for an Accept header, which may hold anything (NULL: there is none).
	 * NULL: always 0. */
	unsigned int (*choose)(const char *accept);
	const char *(*type)(unsigned int form); /* for Content-Type; static */
	/* Appends the page. 0 or -errno: the client is told that there is none now. */
	int (*make)(void *context, unsigned int form, struct text_buffer *out);
};

/*
 * Listens; answers nobody before http_serve(). pages ends with path NULL and is borrowed, as is
 * context. 0 or -errno, message printed: the port is taken, the address is not ours.
 */
int http_open(const struct address *address, const struct http_page *pages, void *context,
	      struct http **out);

/* Answers from now on, whenever the loop runs, and says where. 0 or -errno, message printed. */
int http_serve(struct http *http, struct loop *loop);

/* Ends all connections at once. NULL is fine. */
void http_close(struct http *http);

#endif
