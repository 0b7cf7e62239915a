/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the listening socket and the connections. A connection that has not had a whole request
 * answered for some time is ended, whatever it does meanwhile: so nobody holds one by sending or
 * reading slowly. Where it gets crowded, the oldest go first.
 */
#include "http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "gzip.h"
#include "http_body.h"
#include "log.h"
#include "loop.h"

/* More than these wait in the kernel's queue, or are turned away. */
#define CONNECTIONS_MAX	    256U
#define CONNECTIONS_ADDRESS 128U /* of one address */
#define BACKLOG		    128
#define CONNECTION_BYTES    16384 /* the request's line and headers */
/* So long a connection lives after its last answer; with more than CROWD of them, so long. */
#define PATIENCE_NS	  (UINT64_C(10) * 1000000000)
#define CROWD		  96
#define PATIENCE_CROWD_NS (UINT64_C(1) * 1000000000)
#define CHECK_NS	  (UINT64_C(1) * 1000000000)

/* One connection. */
struct client {
	TAILQ_ENTRY(client) entry;
	int fd;		   /* libmicrohttpd's */
	uint64_t since_ns; /* of its last answer, or its beginning */
};

TAILQ_HEAD(client_list, client);

struct http {
	const struct http_page *pages; /* borrowed */
	struct http_bodies *bodies;
	struct MHD_Daemon *daemon;
	struct client_list clients; /* the oldest since_ns first */
	unsigned int count;
	int listen_fd; /* the daemon's, once there is one */
	int timer_fd;
	char where[ADDRESS_SHOWN_BYTES];
};

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- listening ------------------------------------------------------------------------------- */

/* fd or -errno. */
static int socket_listen(const struct address *address)
{
	int on = 1, error;
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* So that a restarted daemon does not wait for its old connections to time out. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(fd, (const struct sockaddr *)&address->socket, address->bytes) &&
	    !listen(fd, BACKLOG))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* Which port it is, where any was asked for. */
static void bound_show(struct http *http)
{
	struct address bound = {.bytes = sizeof(bound.socket)};

	if (!getsockname(http->listen_fd, (struct sockaddr *)&bound.socket, &bound.bytes))
		address_show(&bound, http->where);
}

static const char *listen_advice(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "; another program has the port: give --listen another, or end that";
	case -EADDRNOTAVAIL:
		return "; no interface of this machine has the address";
	case -EACCES:
		return "; ports below 1024 need CAP_NET_BIND_SERVICE";
	default:
		return "";
	}
}

/* --- connections ----------------------------------------------------------------------------- */

static void client_begin(struct http *http, struct MHD_Connection *connection,
			 void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		shutdown(info->connect_fd, SHUT_RDWR); /* one that could not be timed */
		return;
	}
	client->fd = info->connect_fd;
	client->since_ns = now_monotonic();
	TAILQ_INSERT_TAIL(&http->clients, client, entry);
	http->count++;
	*socket_context = client;
}

static void connection_changed(void *context, struct MHD_Connection *connection,
			       void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct http *http = context;
	struct client *client = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		client_begin(http, connection, socket_context);
		return;
	}
	if (!client)
		return;
	TAILQ_REMOVE(&http->clients, client, entry);
	http->count--;
	free(client);
}

static void request_completed(void *context, struct MHD_Connection *connection,
			      void **request_context, enum MHD_RequestTerminationCode code)
{
	struct http *http = context;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *client = info ? info->socket_context : NULL;

	if (!client || code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
		return;
	client->since_ns = now_monotonic();
	TAILQ_REMOVE(&http->clients, client, entry);
	TAILQ_INSERT_TAIL(&http->clients, client, entry);
}

/* Ends those whose time is over; the daemon sees their sockets closed and forgets them. */
static void clients_check(struct http *http)
{
	uint64_t now_ns = now_monotonic();
	unsigned int left = http->count;
	struct client *client;

	TAILQ_FOREACH(client, &http->clients, entry)
	{
		uint64_t age_ns = now_ns - client->since_ns;

		if (age_ns < (left > CROWD ? PATIENCE_CROWD_NS : PATIENCE_NS))
			break;
		shutdown(client->fd, SHUT_RDWR);
		left--;
	}
}

/* --- requests -------------------------------------------------------------------------------- */

static enum MHD_Result answer_word(struct MHD_Connection *connection, unsigned int status,
				   const char *word, const char *header, const char *value)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(word), (void *)word, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8") &&
	    (!header || MHD_add_response_header(response, header, value)))
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_page(struct http *http, struct MHD_Connection *connection,
				   const struct http_page *page)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
	const char *encoding =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept-Encoding");
	struct MHD_Response *response =
		http_body_get(http->bodies, page, page->choose ? page->choose(accept) : 0,
			      gzip_is_accepted(encoding));

	if (!response)
		return answer_word(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				   "too busy: try again in a second\n", "Retry-After", "1");
	return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

/* Called when a request's headers are whole, for each piece of its body, and when all is there. A
 * body is not read: the connection ends. */
static enum MHD_Result request_answer(void *context, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *upload, size_t *upload_bytes,
				      void **request_context)
{
	struct http *http = context;

	if (*upload_bytes)
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_word(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD\n",
				   "Allow", "GET, HEAD");
	if (!*request_context) { /* an answer in the first call would end the connection */
		*request_context = http;
		return MHD_YES;
	}
	for (const struct http_page *page = http->pages; page->path; page++)
		if (!strcmp(url, page->path))
			return answer_page(http, connection, page);
	return answer_word(connection, MHD_HTTP_NOT_FOUND, "there is /metrics, /healthz and /\n",
			   NULL, NULL);
}

/* --- in the loop ----------------------------------------------------------------------------- */

/* When to look again even if nothing comes: not at all while nobody is there. */
static void timer_set(struct http *http, bool now)
{
	uint64_t after_ns = now ? 1 : http->count ? CHECK_NS : 0;
	const struct itimerspec spec = {
		.it_value = {(time_t)(after_ns / 1000000000), (long)(after_ns % 1000000000)}};

	timerfd_settime(http->timer_fd, 0, &spec, NULL);
}

/* One round for all connections; what is left goes on in the loop's next turn, so that clients
 * cannot keep the loop from its ring. */
static int http_run(void *context)
{
	struct http *http = context;
	MHD_UNSIGNED_LONG_LONG wait_ms;
	uint64_t expirations;

	(void)!read(http->timer_fd, &expirations, sizeof(expirations));
	MHD_run(http->daemon);
	clients_check(http);
	timer_set(http, MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES && !wait_ms);
	return 0;
}

static void daemon_log(void *context, const char *format, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, args);
	log_debug("http: %s", text);
}

static struct MHD_Daemon *daemon_start(struct http *http)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, request_answer, http,
		MHD_OPTION_EXTERNAL_LOGGER, daemon_log, NULL, MHD_OPTION_LISTEN_SOCKET,
		http->listen_fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_ADDRESS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_NOTIFY_COMPLETED,
		request_completed, http, MHD_OPTION_END);
}

int http_open(const struct address *address, const struct http_page *pages, void *context,
	      struct http **out)
{
	struct http *http = calloc(1, sizeof(*http));
	int error = -ENOMEM;

	if (!http)
		goto out;
	TAILQ_INIT(&http->clients);
	http->pages = pages;
	http->timer_fd = -1;
	address_show(address, http->where);
	http->listen_fd = socket_listen(address);
	error = http->listen_fd < 0 ? http->listen_fd : 0;
	if (!error)
		bound_show(http);
	if (!error)
		error = http_bodies_new(pages, context, &http->bodies);
out:
	if (error) {
		log_error("listening on %s: %s%s", http ? http->where : "", strerror(-error),
			  listen_advice(error));
		http_close(http);
		return error;
	}
	*out = http;
	return 0;
}

int http_serve(struct http *http, struct loop *loop)
{
	const union MHD_DaemonInfo *info = NULL;
	int error = 0;

	http->daemon = daemon_start(http);
	if (http->daemon)
		info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		error = -EIO;
	if (!error) {
		http->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		error = http->timer_fd < 0 ? -errno : 0;
	}
	if (!error)
		error = loop_add(loop, info->epoll_fd, http_run, http);
	if (!error)
		error = loop_add(loop, http->timer_fd, http_run, http);
	if (error)
		log_error("serving HTTP on %s: %s", http->where, strerror(-error));
	else
		log_info("serving on http://%s/", http->where);
	return error;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon); /* closes the listening socket, too */
	else if (http->listen_fd >= 0)
		close(http->listen_fd);
	if (http->timer_fd >= 0)
		close(http->timer_fd);
	http_bodies_free(http->bodies);
	free(http);
}
