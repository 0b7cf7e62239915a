/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: which protocol the first bytes of a connection are. To add one: a file beside this one with
 * its two functions, and a row here. Must not know what any of them says.
 */
#include "wire_head.h"

#include <string.h>

#include "wire/parts.h"

/* A TLS record of type handshake that begins with a ClientHello (RFC 8446, sections 4 and 5.1). */
static enum wire_match tls_match(const char *bytes, size_t n)
{
	static const struct {
		uint8_t min, max;
	} hello[] = {{0x16, 0x16}, {3, 3}, {0, 4}, {0, 0xff}, {0, 0xff}, {1, 1}};

	for (size_t i = 0; i < sizeof(hello) / sizeof(*hello); i++) {
		if (i == n)
			return WIRE_MATCH_MAYBE;
		if ((uint8_t)bytes[i] < hello[i].min || (uint8_t)bytes[i] > hello[i].max)
			return WIRE_MATCH_NO;
	}
	return WIRE_MATCH_YES;
}

/* The first line of the client's preface (RFC 9113, section 3.4). */
static enum wire_match http2_match(const char *bytes, size_t n)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n";
	size_t length = strlen(preface);

	if (memcmp(bytes, preface, n < length ? n : length))
		return WIRE_MATCH_NO;
	return n < length ? WIRE_MATCH_MAYBE : WIRE_MATCH_YES;
}

/* The first that may match decides: so what looks like another goes before that. */
static const struct {
	enum wire_protocol protocol;
	enum wire_match (*match)(const char *bytes, size_t n);
	/* NULL: what its requests say cannot be read. */
	enum wire_protocol (*request)(const char *bytes, size_t n, uint32_t rules,
				      struct wire_request_head *head);
} protocols[] = {
	{WIRE_TLS, tls_match, NULL},
	{WIRE_HTTP2, http2_match, NULL},
	{WIRE_HTTP, wire_http_match, wire_http_request},
	{WIRE_UWSGI, wire_uwsgi_match, wire_uwsgi_request},
	{WIRE_MOD_WSGI, wire_mod_wsgi_match, wire_mod_wsgi_request},
};

enum wire_protocol wire_protocol_none(struct wire_request_head *head)
{
	memset(head, 0, sizeof(*head));
	head->content_length = -1;
	return head->protocol = WIRE_FOREIGN;
}

enum wire_protocol wire_request_parse(const char *bytes, size_t n, uint32_t rules,
				      struct wire_request_head *out)
{
	memset(out, 0, sizeof(*out));
	out->content_length = -1;
	if (!n)
		return WIRE_NEED_MORE;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		enum wire_match match = protocols[i].match(bytes, n);

		if (match == WIRE_MATCH_MAYBE)
			return WIRE_NEED_MORE;
		if (match == WIRE_MATCH_NO)
			continue;
		if (protocols[i].request)
			return protocols[i].request(bytes, n, rules, out);
		return out->protocol = protocols[i].protocol;
	}
	return wire_protocol_none(out);
}

enum wire_body wire_request_body(const struct wire_request_head *request)
{
	/* One request a connection, its body in frames of httpd's own. */
	if (request->protocol == WIRE_MOD_WSGI)
		return WIRE_BODY_UNTIL_CLOSE;
	if (request->chunked)
		return WIRE_BODY_CHUNKED;
	return request->content_length > 0 ? WIRE_BODY_LENGTH : WIRE_BODY_NONE;
}
