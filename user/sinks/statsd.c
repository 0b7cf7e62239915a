/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The five metrics of 2015 as StatsD datagrams, and the same with tags for DogStatsD. Several
 * requests share a datagram, which never is larger than what passes an Ethernet whole. A receiver
 * that is not there, or slow, costs a system call a datagram and nothing else: what could not be
 * sent is counted and left behind.
 *
 *	wsgi.application.requests:1|c|#method:GET,status:200,route:/issue/<int:id>,app:shop
 *	wsgi.application.requests.application_time:12.345678|ms|#...
 *
 * The form: https://github.com/statsd/statsd/blob/master/docs/metric_types.md and
 * https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
 */
#include "sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "config.h"
#include "escape.h"
#include "log.h"
#include "request.h"
#include "text_buffer.h"

/* 1500 of an Ethernet frame, less IPv6 (40) and UDP (8), less some room for tunnels. */
#define DATAGRAM_BYTES 1432
#define TAG_BYTES_MAX  200 /* of a tag, as Datadog has it */
#define NAME	       "wsgi.application.requests"

struct statsd {
	int fd;
	bool tagged;
	struct text_buffer tags, line; /* of the request at hand */
	char datagram[DATAGRAM_BYTES];
	size_t bytes;	 /* used of it */
	uint64_t unsent; /* datagrams */
};

static void statsd_close(void *state)
{
	struct statsd *statsd = state;

	if (statsd->fd >= 0)
		close(statsd->fd);
	text_buffer_free(&statsd->tags);
	text_buffer_free(&statsd->line);
	free(statsd);
}

/* Connected, so that a receiver that is not there is known by the answer of its host. */
static int socket_open(const struct address *address)
{
	int family = address->socket.ss_family;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int whole = IP_PMTUDISC_DONT; /* on a path that is narrower, rather in pieces than lost */
	int error;

	if (fd < 0)
		return -errno;
	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole));
	if (!connect(fd, (const struct sockaddr *)&address->socket, address->bytes))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static int receiver_open(const char *what, const char *where, bool tagged, void **state)
{
	struct statsd *statsd = calloc(1, sizeof(*statsd));
	struct address address;
	int error;

	if (!statsd) {
		log_error("%s %s: %s", what, where, strerror(ENOMEM));
		return -ENOMEM;
	}
	statsd->fd = -1;
	statsd->tagged = tagged;
	error = address_resolve(what, where, &address);
	if (error)
		goto out;
	statsd->fd = socket_open(&address);
	if (statsd->fd < 0) {
		error = statsd->fd;
		log_error("%s %s: %s; is there a route to it?", what, where, strerror(-error));
	}
out:
	if (error) {
		statsd_close(statsd);
		return error;
	}
	*state = statsd;
	return 0;
}

static int statsd_open(const struct config *config, FILE *out, void **state)
{
	return receiver_open("--statsd", config->statsd, false, state);
}

static int dogstatsd_open(const struct config *config, FILE *out, void **state)
{
	return receiver_open("--dogstatsd", config->dogstatsd, true, state);
}

/*
 * A datagram that is refused says that an earlier one was: the receiver's host has answered. This
 * one is then tried again, as the receiver may be back.
 */
static void datagram_send(struct statsd *statsd)
{
	if (!statsd->bytes)
		return;
	for (int tries = 0; tries < 2; tries++) {
		if (send(statsd->fd, statsd->datagram, statsd->bytes, MSG_NOSIGNAL) >= 0)
			break;
		statsd->unsent++;
		if (errno != ECONNREFUSED)
			break;
	}
	statsd->bytes = 0;
}

static void line_end(struct statsd *statsd)
{
	struct text_buffer *line = &statsd->line;

	if (statsd->tagged)
		text_put(line, statsd->tags.text, statsd->tags.bytes);
	if (line->failed || statsd->tags.failed || line->bytes >= DATAGRAM_BYTES) {
		statsd->unsent++;
		return;
	}
	if (statsd->bytes + 1 + line->bytes > DATAGRAM_BYTES)
		datagram_send(statsd);
	if (statsd->bytes)
		statsd->datagram[statsd->bytes++] = '\n';
	memcpy(statsd->datagram + statsd->bytes, line->text, line->bytes);
	statsd->bytes += line->bytes;
}

/* places: of the number's decimals, as text_put_decimal() has them. Unseen: there is no line. */
static void line_put(struct statsd *statsd, const char *name, int64_t number, unsigned int places,
		     const char *type)
{
	if (number < 0)
		return;
	text_buffer_clear(&statsd->line);
	text_put_word(&statsd->line, NAME);
	text_put_word(&statsd->line, name);
	text_put_word(&statsd->line, ":");
	text_put_decimal(&statsd->line, (uint64_t)number, places);
	text_put_word(&statsd->line, type);
	line_end(statsd);
}

/* What separates tags, lines and fields becomes _, as does what is no text. */
static void tag_put(struct statsd *statsd, const char *key, struct request_text value)
{
	struct text_buffer *tags = &statsd->tags;
	size_t used = 0;

	if (!value.ptr || !value.bytes)
		return;
	text_put_word(tags, tags->bytes ? "," : "|#");
	text_put_word(tags, key);
	text_put_word(tags, ":");
	while (used < value.bytes) {
		uint32_t code;
		size_t bytes = escape_next(value.ptr + used, value.bytes - used, &code);
		bool plain = code != UINT32_MAX && code > ' ' && code != 0x7f && code != ',' &&
			     code != '|' && code != '#';

		if (used + bytes > TAG_BYTES_MAX)
			break;
		text_put(tags, plain ? value.ptr + used : "_", plain ? bytes : 1);
		used += bytes;
	}
}

/* A method is a word of the client's: those that are none of HTTP's are one. */
static struct request_text method_known(struct request_text method)
{
	static const char *const known[] = {"GET",   "HEAD",	"POST",	 "PUT",	   "DELETE",
					    "PATCH", "OPTIONS", "TRACE", "CONNECT"};

	for (size_t i = 0; method.ptr && i < sizeof(known) / sizeof(known[0]); i++)
		if (method.bytes == strlen(known[i]) && !memcmp(method.ptr, known[i], method.bytes))
			return method;
	return (struct request_text){"other", 5};
}

/* No path and no pid: each value of a tag is a time series that somebody pays for. */
static void tags_fill(struct statsd *statsd, const struct request *request)
{
	int64_t status = request->status != REQUEST_UNSEEN ? request->status : request->wire_status;
	char digits[4] = "";

	text_buffer_clear(&statsd->tags);
	tag_put(statsd, "method", method_known(request->method));
	if (status >= 100 && status <= 999) {
		for (int i = 2; i >= 0; i--, status /= 10)
			digits[i] = (char)('0' + status % 10);
		tag_put(statsd, "status", (struct request_text){digits, 3});
	}
	tag_put(statsd, "route", request->route);
	tag_put(statsd, "app", request->app);
}

static int statsd_request(void *state, const struct request *request)
{
	struct statsd *statsd = state;

	if (statsd->tagged)
		tags_fill(statsd, request);
	line_put(statsd, "", 1, 0, "|c");
	line_put(statsd, ".application_time", request->application_ns, 6, "|ms");
	line_put(statsd, ".output_time", request->output_ns, 6, "|ms");
	line_put(statsd, ".output_blocks", request->blocks, 0, "|h");
	line_put(statsd, ".output_length", request->bytes, 0, "|h");
	return 0;
}

static void statsd_batch(void *state)
{
	datagram_send(state);
}

static uint64_t statsd_lost(const void *state)
{
	return ((const struct statsd *)state)->unsent;
}

const struct sink sink_statsd = {
	.name = "statsd",
	.open = statsd_open,
	.on_request = statsd_request,
	.on_batch = statsd_batch,
	.loss = "statsd_unsent",
	.lost = statsd_lost,
	.close = statsd_close,
};

const struct sink sink_dogstatsd = {
	.name = "dogstatsd",
	.open = dogstatsd_open,
	.on_request = statsd_request,
	.on_batch = statsd_batch,
	.loss = "statsd_unsent",
	.lost = statsd_lost,
	.close = statsd_close,
};
