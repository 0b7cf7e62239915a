/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the heads of HTTP/1.x, of both directions: the request's line, the status line, and what
 * line and fields together say of the body (RFC 9112). Must not know what a server does with it.
 */
#include <string.h>

#include "wire/parts.h"

#define METHOD_BYTES_MAX 32 /* of what is taken for one */
#define HTTP_0_9	 9  /* versions, as one number */
#define HTTP_1_0	 10
#define HTTP_1_1	 11

static bool is_method_character(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct wire_bytes empty_lines_skip(struct wire_bytes bytes)
{
	while (bytes.at < bytes.end && (*bytes.at == '\r' || *bytes.at == '\n'))
		bytes.at++;
	return bytes;
}

/* The characters up to the next space, which is where bytes->at is left. */
static struct wire_bytes word_read(struct wire_bytes *bytes)
{
	struct wire_bytes word;

	while (bytes->at < bytes->end && is_space(*bytes->at))
		bytes->at++;
	word.at = bytes->at;
	while (bytes->at < bytes->end && !is_space(*bytes->at))
		bytes->at++;
	word.end = bytes->at;
	return word;
}

enum wire_match wire_http_match(const char *bytes, size_t n)
{
	struct wire_bytes left = empty_lines_skip((struct wire_bytes){bytes, bytes + n});

	for (size_t i = 0; i < wire_bytes_left(&left); i++) {
		if (i && is_space(left.at[i]))
			return WIRE_MATCH_YES;
		if (i >= METHOD_BYTES_MAX || !is_method_character(left.at[i]))
			return WIRE_MATCH_NO;
	}
	return WIRE_MATCH_MAYBE;
}

/* "HTTP/1.1" as 11; -1: no such thing. */
static int version_read(struct wire_bytes word)
{
	if (wire_bytes_left(&word) != 8 || memcmp(word.at, "HTTP/", 5) || word.at[6] != '.' ||
	    word.at[5] < '0' || word.at[5] > '9' || word.at[7] < '0' || word.at[7] > '9')
		return -1;
	return (word.at[5] - '0') * 10 + (word.at[7] - '0');
}

/* What follows the target. Of what is doubtful here servers refuse the most, but they answer. */
static int version_take(struct wire_request_head *head, struct wire_bytes method,
			struct wire_bytes rest)
{
	struct wire_bytes word = word_read(&rest), next = word_read(&rest);
	int version;

	if (word.at == word.end)
		return wire_bytes_are(method, "get") ? HTTP_0_9 : -1;
	for (; next.at != next.end; next = word_read(&rest)) {
		head->doubtful = true;
		word = next;
	}
	version = version_read(word);
	if (version >= 0 || wire_bytes_left(&word) < 5)
		return version;
	return wire_bytes_are((struct wire_bytes){word.at, word.at + 5}, "http/") ? 0 : -1;
}

/*
 * Method, target and version. whole: the line has ended. The version; -1: no request's line.
 */
static int line_take(struct wire_request_head *head, struct wire_bytes line, bool whole,
		     uint32_t rules)
{
	struct wire_bytes method = word_read(&line), target = word_read(&line);
	int version = HTTP_1_1;

	if (target.at == target.end)
		return whole ? -1 : version;
	if (whole)
		version = version_take(head, method, line);
	if (version < 0)
		return -1;
	/* Of a line that goes on, only the target's beginning can tell. */
	if (whole || *target.at == '/')
		head->protocol = WIRE_HTTP;
	head->line = whole;
	head->head_method = wire_bytes_are(method, "head");
	head->upgrade = wire_bytes_are(method, "connect");
	head->doubtful |= version != HTTP_1_0 && version != HTTP_1_1;
	wire_text_put(head, WIRE_METHOD, method);
	wire_path_put(head, target, rules);
	if (whole)
		wire_asked_put(head, target);
	return version;
}

static void request_fields_apply(struct wire_request_head *head, const struct wire_fields *fields,
				 int version)
{
	head->doubtful |= fields->doubtful || (fields->coded && !fields->chunked) ||
			  (fields->coded && fields->length_seen) ||
			  (fields->coded && version < HTTP_1_1);
	head->chunked = fields->chunked;
	head->content_length = fields->coded ? -1 : fields->content_length;
	head->expect_continue = fields->expect_continue && version >= HTTP_1_1;
	head->upgrade |= fields->upgrade && fields->upgrade_to;
	head->keep_alive = !fields->close && (version >= HTTP_1_1 || fields->keep_alive);
}

enum wire_protocol wire_http_request(const char *bytes, size_t n, uint32_t rules,
				     struct wire_request_head *head)
{
	struct wire_bytes left = empty_lines_skip((struct wire_bytes){bytes, bytes + n}), line;
	const char *newline = memchr(left.at, '\n', wire_bytes_left(&left));
	struct wire_fields fields = {.content_length = -1};
	int version;

	line = (struct wire_bytes){left.at, newline ? newline : left.end};
	if (newline && newline > left.at && newline[-1] == '\r')
		line.end--;
	version = line_take(head, line, newline, rules);
	if (version < 0)
		return wire_protocol_none(head);
	if (!newline)
		return WIRE_NEED_MORE;
	left.at = newline + 1;
	head->complete = version == HTTP_0_9 || wire_fields_read(&left, &fields, head);
	request_fields_apply(head, &fields, version);
	if (!head->complete)
		return WIRE_NEED_MORE;
	head->head_bytes = (size_t)(left.at - bytes);
	return WIRE_HTTP;
}

/* --- responses ------------------------------------------------------------------------------ */

/* Three digits; 0: something else. */
static unsigned int status_read(struct wire_bytes word)
{
	int64_t status = wire_bytes_left(&word) == 3 ? wire_number(word) : -1;

	return status >= 100 ? (unsigned int)status : 0;
}

/* Whether these bytes, as far as they go, begin like text. */
static bool begin_alike(const char *bytes, size_t n, const char *text)
{
	size_t length = strlen(text);

	return !memcmp(bytes, text, n < length ? n : length);
}

static enum wire_protocol response_match(const char *bytes, size_t n)
{
	if (begin_alike(bytes, n, "HTTP/1."))
		return WIRE_HTTP;
	return begin_alike(bytes, n, "Status:") ? WIRE_MOD_WSGI : WIRE_FOREIGN;
}

/* "HTTP/1.1 200 OK", "Status: 200 OK". The version; -1: no status line. */
static int status_take(struct wire_response_head *head, struct wire_bytes line,
		       struct wire_bytes *reason)
{
	int version = HTTP_1_0;

	if (head->protocol == WIRE_HTTP)
		version = version_read(word_read(&line));
	else
		line.at += strlen("Status:");
	head->status = status_read(word_read(&line));
	*reason = wire_bytes_trim(line);
	return head->status ? version : -1;
}

static void response_fields_apply(struct wire_response_head *head, const struct wire_fields *fields,
				  int version)
{
	head->upgraded = head->status == 101;
	head->bodiless =
		head->interim || head->upgraded || head->status == 204 || head->status == 304;
	head->chunked = fields->chunked;
	head->content_length = fields->coded ? -1 : fields->content_length;
	head->until_close = !head->bodiless && !fields->chunked && head->content_length < 0;
	head->doubtful = fields->doubtful || (fields->coded && fields->length_seen) ||
			 (fields->coded && version < HTTP_1_1);
	head->keep_alive =
		!head->until_close && !fields->close && (version >= HTTP_1_1 || fields->keep_alive);
}

/*
 * What a daemon of mod_wsgi says to httpd alone, by an answer of nothing but its status: to have
 * the body sent, before it calls the application; that there is no answer, of which httpd makes
 * one.
 */
static void daemon_word_take(struct wire_response_head *head, struct wire_bytes reason)
{
	static const struct {
		const char *word;
		unsigned int status; /* httpd's answer, 0: none yet */
	} words[] = {{"continue", 0}, {"error", 500}, {"rejected", 503}, {"timeout", 504}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!wire_bytes_are(reason, words[i].word))
			continue;
		head->interim = !words[i].status;
		if (words[i].status)
			head->status = words[i].status;
	}
}

enum wire_protocol wire_response_parse(const char *bytes, size_t n, struct wire_response_head *out)
{
	struct wire_bytes left = empty_lines_skip((struct wire_bytes){bytes, bytes + n}), reason;
	struct wire_fields fields = {.content_length = -1};
	const char *newline;
	int version;

	memset(out, 0, sizeof(*out));
	out->content_length = -1;
	if (left.at == left.end)
		return WIRE_NEED_MORE;
	out->protocol = response_match(left.at, wire_bytes_left(&left));
	newline = memchr(left.at, '\n', wire_bytes_left(&left));
	if (out->protocol == WIRE_FOREIGN || !newline)
		return out->protocol == WIRE_FOREIGN ? WIRE_FOREIGN : WIRE_NEED_MORE;
	version = status_take(out, wire_bytes_trim((struct wire_bytes){left.at, newline}), &reason);
	if (version < 0)
		return out->protocol = WIRE_FOREIGN;
	left.at = newline + 1;
	out->complete = wire_fields_read(&left, &fields, NULL);
	out->interim = out->status < 200 && out->status != 101;
	if (out->protocol == WIRE_MOD_WSGI && out->complete && !fields.count && out->status == 200)
		daemon_word_take(out, reason);
	response_fields_apply(out, &fields, version);
	if (!out->complete)
		return WIRE_NEED_MORE;
	out->head_bytes = (size_t)(left.at - bytes);
	return out->protocol;
}

static bool method_is(const struct wire_request_head *request, const char *word)
{
	struct request_text method = wire_head_text(request, WIRE_METHOD);

	return method.ptr &&
	       wire_bytes_are((struct wire_bytes){method.ptr, method.ptr + method.bytes}, word);
}

enum wire_body wire_response_body(const struct wire_response_head *response,
				  const struct wire_request_head *request)
{
	bool accepted = response->status >= 200 && response->status < 300;

	if (response->upgraded || (request && accepted && method_is(request, "connect")))
		return WIRE_BODY_TUNNEL;
	if (response->bodiless || (request && request->head_method))
		return WIRE_BODY_NONE;
	if (response->chunked)
		return WIRE_BODY_CHUNKED;
	return response->until_close ? WIRE_BODY_UNTIL_CLOSE : WIRE_BODY_LENGTH;
}
