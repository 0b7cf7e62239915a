/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the aggregate and the settings, and makes the pages. Must not know how requests are seen nor
 * how HTTP is spoken.
 */
#include "serve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "aggregate.h"
#include "config.h"
#include "escape.h"
#include "exposition.h"
#include "log.h"
#include "loop.h"
#include "pipeline.h"
#include "request_threads.h"
#include "request.h"
#include "settings.h"
#include "sinks/words.h"
#include "source.h"
#include "text_buffer.h"

#define SECOND_NS INT64_C(1000000000)

struct serve {
	const struct config *config; /* borrowed */
	struct settings *settings;
	struct aggregate *aggregate;
	struct request_threads *threads;
	struct loop *loop;	   /* borrowed */
	struct source *source;	   /* borrowed */
	struct pipeline *pipeline; /* borrowed */
	int64_t start_time_ns;	   /* CLOCK_REALTIME */
	int timer_fd;
};

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static int settings_get(const struct config *config, struct settings **out)
{
	int error;

	if (config->settings)
		return settings_read(config->settings, out);
	error = settings_default(out);
	if (error)
		log_error("setting up the daemon: %s", strerror(-error));
	return error;
}

struct request_threads *serve_threads(struct serve *serve)
{
	return serve->threads;
}

/* SIGHUP. What is wrong has been said, with line and column; what was in use stays in use. */
static int settings_renew(void *context)
{
	struct serve *serve = context;
	struct settings *renewed;
	int error;

	if (!serve->config->settings) {
		log_info("SIGHUP: there is no --config to read again");
		return 0;
	}
	error = settings_read(serve->config->settings, &renewed);
	if (error) {
		log_warn("%s: not taken over, the settings from before stay in use",
			 serve->config->settings);
		return 0;
	}
	aggregate_settings(serve->aggregate, renewed);
	settings_free(serve->settings);
	serve->settings = renewed;
	log_info("%s read again", serve->config->settings);
	return 0;
}

int serve_new(const struct config *config, struct loop *loop, struct serve **out)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int error;

	if (!serve) {
		log_error("setting up the daemon: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	serve->config = config;
	serve->loop = loop;
	serve->timer_fd = -1;
	serve->start_time_ns = now_ns(CLOCK_REALTIME);
	error = settings_get(config, &serve->settings);
	if (error)
		goto out;
	error = aggregate_new(serve->settings, &serve->aggregate);
	serve->threads = request_threads_new();
	if (!serve->threads)
		error = -ENOMEM;
	if (error)
		log_error("setting up the daemon: %s", strerror(-error));
	else
		error = loop_on_hangup(loop, settings_renew, serve);
out:
	if (error) {
		serve_free(serve);
		return error;
	}
	*out = serve;
	return 0;
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	if (serve->timer_fd >= 0)
		close(serve->timer_fd);
	request_threads_free(serve->threads);
	aggregate_free(serve->aggregate);
	settings_free(serve->settings);
	free(serve);
}

struct aggregate *serve_aggregate(struct serve *serve)
{
	return serve->aggregate;
}

/* --- the moment ------------------------------------------------------------------------------ */

static int64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long resident = 0;
	int found;

	if (!file)
		return REQUEST_UNSEEN;
	found = fscanf(file, "%*s %ld", &resident);
	fclose(file);
	return found == 1 ? (int64_t)resident * sysconf(_SC_PAGESIZE) : REQUEST_UNSEEN;
}

static int64_t cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return REQUEST_UNSEEN;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND_NS +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* 0 or -errno. */
static int moment_fill(struct serve *serve, struct aggregate_moment *moment)
{
	struct source *source = serve->source;
	struct source_status status;
	int64_t now = now_ns(CLOCK_MONOTONIC);
	int error = pipeline_catch_up(serve->pipeline, source, (uint64_t)now);
	const struct request_totals *totals = pipeline_totals(serve->pipeline);

	*moment = (struct aggregate_moment){
		.now_ns = (uint64_t)now,
		.attached_processes = REQUEST_UNSEEN,
		.start_time_ns = serve->start_time_ns,
		.cpu_ns = cpu_ns(),
		.resident_bytes = resident_bytes(),
		.ring_bytes = REQUEST_UNSEEN,
		.ring_used_bytes = REQUEST_UNSEEN,
		.events = totals->counted ? totals->events : NULL,
		.losses = totals->losses,
	};
	moment->pools = request_threads_pools(serve->threads, &moment->pool_count);
	if (error || !source->ops->status)
		return error;
	error = source->ops->status(source, &status);
	if (error)
		return error;
	moment->attached_processes = (int64_t)status.processes;
	moment->ring_bytes = (int64_t)status.ring_bytes;
	moment->ring_used_bytes = (int64_t)status.ring_used_bytes;
	return 0;
}

static int second_passed(void *context)
{
	struct serve *serve = context;
	struct aggregate_moment moment;
	uint64_t expirations;
	int error;

	(void)!read(serve->timer_fd, &expirations, sizeof(expirations));
	error = moment_fill(serve, &moment);
	if (!error)
		aggregate_tick(serve->aggregate, &moment);
	return error;
}

int serve_begin(struct serve *serve, struct source *source, struct pipeline *pipeline)
{
	const struct itimerspec second = {.it_value.tv_sec = 1, .it_interval.tv_sec = 1};
	int error = 0;

	serve->source = source;
	serve->pipeline = pipeline;
	serve->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (serve->timer_fd < 0 || timerfd_settime(serve->timer_fd, 0, &second, NULL))
		error = -errno;
	if (!error)
		error = loop_add(serve->loop, serve->timer_fd, second_passed, serve);
	if (error)
		log_error("setting up the daemon's clock: %s", strerror(-error));
	return error;
}

/* --- the pages ------------------------------------------------------------------------------- */

static unsigned int metrics_choose(const char *accept)
{
	return exposition_choose(accept);
}

static const char *metrics_type(unsigned int form)
{
	return exposition_content_type(form);
}

static const char *plain_type(unsigned int form)
{
	return "text/plain; charset=utf-8";
}

static int metrics_make(void *context, unsigned int form, struct text_buffer *out)
{
	struct serve *serve = context;
	struct aggregate_moment moment;
	int error = moment_fill(serve, &moment);

	return error ? error : exposition_write(serve->aggregate, &moment, form, out);
}

/* That it is made at all says that the one loop turns. */
static int health_make(void *context, unsigned int form, struct text_buffer *out)
{
	text_put_word(out, "ok\n");
	return 0;
}

static void pools_print(struct serve *serve, FILE *out)
{
	size_t count;
	const struct aggregate_pool *pools = request_threads_pools(serve->threads, &count);

	fprintf(out, "\n%9s %8s %9s  %s\n", "PROCESSES", "THREADS", "IN_FLIGHT", "APPLICATION");
	for (size_t i = 0; i < count; i++) {
		const struct aggregate_pool *pool = &pools[i];

		fprintf(out, "%9" PRIu64 " %8" PRIu64 " %9" PRIu64 "  ", pool->processes,
			pool->threads, pool->active);
		escape_text(out, pool->application.ptr ? pool->application.ptr : "-",
			    pool->application.ptr ? pool->application.bytes : 1);
		fputc('\n', out);
	}
	fputc('\n', out);
}

static void index_print(struct serve *serve, const struct aggregate_moment *moment, FILE *out)
{
	fputs("wsgiscope " WSGISCOPE_VERSION "\n\n", out);
	fprintf(out, "attached: %" PRId64 " processes with the marker\n",
		moment->attached_processes);
	pools_print(serve, out);
	totals_print(out, "", pipeline_totals(serve->pipeline));
	fputs("\n/metrics  for Prometheus, also as OpenMetrics\n"
	      "/healthz  whether this daemon is alive\n",
	      out);
}

static int index_make(void *context, unsigned int form, struct text_buffer *out)
{
	struct aggregate_moment moment;
	char *text = NULL;
	size_t bytes = 0;
	int error = moment_fill(context, &moment);
	FILE *file = error ? NULL : open_memstream(&text, &bytes);

	if (!file)
		return error ? error : -ENOMEM;
	index_print(context, &moment, file);
	if (fclose(file)) {
		free(text);
		return -ENOMEM;
	}
	text_put(out, text, bytes);
	free(text);
	return 0;
}

const struct http_page serve_pages[] = {
	{"/metrics", metrics_choose, metrics_type, metrics_make},
	{"/healthz", NULL, plain_type, health_make},
	{"/", NULL, plain_type, index_make},
	{0},
};
