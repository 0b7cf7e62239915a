/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The live source: owns the order in which tracing is set up and taken down, the reading of the
 * ring, and the sweep that ends draining requests. Hands out raw records; what they mean for a
 * line of output is decode.c's and assemble.c's.
 */
#include <errno.h>
#include <signal.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "abi.h"
#include "attach.h"
#include "config.h"
#include "draining.h"
#include "follow.h"
#include "guard.h"
#include "log.h"
#include "request_table.h"
#include "source.h"
#include "stacks.h"
#include "symbols.h"
#include "tracefs.h"
#include "tracer.h"

#define MS UINT64_C(1000000)

/* A request that has ended is kept so long after its last write; longer while the kernel has not
 * taken all that the server wanted to write (a slow client). */
#define DRAIN_QUIET_NS (150 * MS)
#define DRAIN_SLOW_NS  (10000 * MS)
#define COUNTERS_NS    (1000 * MS)
#define SWEEP_NS       (1000 * MS)

#define GROUP_PREFIX "wsgiscope_"

struct source_ring {
	struct source source;
	struct tracefs *tracefs;
	struct guard *guard;
	struct tracer *tracer;
	struct attach *attach;
	struct stacks *stacks;	 /* NULL: none are taken */
	struct symbols *symbols; /* the same */
	struct follow *follow;
	struct ring_buffer *ring;
	int epoll_fd; /* of the ring and the watch */
	char group[32];
	uint64_t counters_ns;
	uint64_t ring_full;  /* records lost, at the last count */
	uint64_t settled_ns; /* all that was put into the ring before that has been read */
	/* Of the call that is under way. */
	source_record_fn fn;
	void *context;
	bool ending;
	bool leaves; /* does not wait until the kernel has taken all probes out */
	uint64_t now_ns;
	uint64_t in_flight; /* when it ended */
};

static uint64_t now_monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* CLOCK_REALTIME - CLOCK_MONOTONIC: the tightest of a few readings. */
static int64_t realtime_offset(void)
{
	uint64_t best = UINT64_MAX;
	int64_t offset = 0;
	struct timespec ts;

	for (int i = 0; i < 5; i++) {
		uint64_t before = now_monotonic(), after;

		clock_gettime(CLOCK_REALTIME, &ts);
		after = now_monotonic();
		if (after - before >= best)
			continue;
		best = after - before;
		offset =
			ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec - (int64_t)(before + best / 2);
	}
	return offset;
}

static struct source_ring *ring_of(struct source *source)
{
	return (struct source_ring *)source;
}

static int announce(struct source_ring *ring)
{
	struct rec_worker worker;
	int err = 0;

	while (!err && follow_announce(ring->follow, &worker)) {
		worker.h.time_ns = now_monotonic();
		err = ring->fn(ring->context, &worker, sizeof(worker));
	}
	return err;
}

/* One record of the ring; what it says of processes is acted on before it is handed on, so that a
 * new worker is announced before its first request. */
static int ring_record(void *context, void *record, size_t bytes)
{
	struct source_ring *ring = context;
	const struct rec_header *h = record;
	int err = 0;

	if (bytes >= sizeof(struct rec_process) && h->kind == REC_PROCESS) {
		err = stacks_event(ring->stacks, record);
		follow_event(ring->follow, record);
		if (!err)
			err = announce(ring);
	}
	if (bytes >= sizeof(*h) && h->kind == REC_WIRE && h->size < bytes)
		bytes = h->size; /* the ring reserves more than is used */
	if (bytes >= sizeof(*h) && h->kind == REC_RAW_CODE)
		return symbols_raw(ring->symbols, record, bytes, ring->fn, ring->context);
	if (bytes >= sizeof(*h) && h->kind == REC_SAMPLE && ring->symbols)
		return symbols_sample(ring->symbols, record, bytes, ring->fn, ring->context);
	return err ? err : ring->fn(ring->context, record, bytes);
}

/*
 * Whether the process of a request lives, as far as the ring has told. A request that began since
 * may be of a process whose fork still waits there. What a worker says of the future is no start.
 */
static bool is_alive(const struct source_ring *ring, const struct rec_request *r)
{
	uint64_t start_ns = r->h.time_ns;

	/* It may have begun while the table is gone through: the clock is asked once more. */
	if (start_ns >= ring->settled_ns &&
	    (start_ns <= ring->now_ns || start_ns <= now_monotonic()))
		return true;
	return follow_is_alive(ring->follow, r->h.tgid, start_ns);
}

/* Since when nothing was heard of it. What a worker says of the future is not believed: a sweep
 * does not take that long. */
static uint64_t quiet_ns(const struct source_ring *ring, const struct rec_request *r)
{
	uint64_t end_ns = r->h.time_ns > ring->now_ns + SWEEP_NS ? 0 : r->h.time_ns;
	uint64_t last = r->writes.last_ns > end_ns ? r->writes.last_ns : end_ns;

	return ring->now_ns > last ? ring->now_ns - last : 0;
}

/* Draining: over when quiet. Not ended: over when its process is. */
static enum request_verdict request_verdict(void *context, struct rec_request *r)
{
	struct source_ring *ring = context;
	uint64_t quiet = quiet_ns(ring, r);
	bool alive = is_alive(ring, r);

	if (!request_is_at_rest(r)) {
		if (!alive) {
			r->flags |= r->writes.first_ns && r->flags & REC_F_WIRE ? 0 : REC_F_NO_END;
			return REQUEST_TAKE;
		}
		ring->in_flight += ring->ending;
		return REQUEST_LEAVE;
	}
	if (!request_is_writing(r))
		return quiet > DRAIN_QUIET_NS || ring->ending || !alive ? REQUEST_TAKE
									: REQUEST_LEAVE;
	if (quiet <= DRAIN_SLOW_NS && !ring->ending && alive)
		return REQUEST_LEAVE;
	r->flags |= REC_F_WRITES_CUT;
	return REQUEST_TAKE;
}

static int request_take(void *context, const void *record, size_t bytes)
{
	struct source_ring *ring = context;

	return ring->fn(ring->context, record, bytes);
}

static int sweep(struct source_ring *ring)
{
	const struct request_sweep sweep = {
		.verdict = request_verdict,
		.take = request_take,
		.context = ring,
	};

	ring->now_ns = now_monotonic();
	return tracer_requests_sweep(ring->tracer, &sweep);
}

static int counters(struct source_ring *ring)
{
	struct rec_counters c = {0};
	int err = tracer_counters_read(ring->tracer, &c);

	if (err)
		return err;
	c.h.size = sizeof(c);
	c.h.kind = REC_COUNTERS;
	c.h.version = REC_VERSION;
	c.h.tgid = getpid();
	c.h.tid = getpid();
	c.h.time_ns = now_monotonic();
	c.drops[DROP_IN_FLIGHT] = ring->in_flight;
	if (c.drops[DROP_RING_FULL] != ring->ring_full && !ring->ending) {
		ring->ring_full = c.drops[DROP_RING_FULL];
		follow_resync(ring->follow, ring->fn, ring->context);
	}
	if (ring->symbols)
		c.drops[DROP_CODE_LOST] = symbols_lost(ring->symbols);
	return ring->fn(ring->context, &c, sizeof(c));
}

static int ring_fd(struct source *source)
{
	return ring_of(source)->epoll_fd;
}

static void callback_set(struct source_ring *ring, source_record_fn fn, void *context)
{
	ring->fn = fn;
	ring->context = context;
}

static int ring_dispatch(struct source *source, source_record_fn fn, void *context)
{
	struct source_ring *ring = ring_of(source);
	int err;

	callback_set(ring, fn, context);
	follow_watch(ring->follow);
	err = announce(ring);
	if (!err)
		err = ring_buffer__consume(ring->ring);
	return err < 0 ? err : 1;
}

/* The same on a tick, after which the requests are gone through. A record that is not whole yet
 * keeps those behind it. */
static int drain(struct source_ring *ring, source_record_fn fn, void *context)
{
	uint64_t began_ns = now_monotonic();
	uint64_t produced = tracer_ring_produced(ring->tracer);
	int err = ring_dispatch(&ring->source, fn, context);

	if (tracer_ring_is_read(ring->tracer, produced))
		ring->settled_ns = began_ns;
	return err;
}

static int ring_tick(struct source *source, source_record_fn fn, void *context)
{
	struct source_ring *ring = ring_of(source);
	int err;

	err = drain(ring, fn, context);
	if (err < 0)
		return err;
	follow_tick(ring->follow, now_monotonic());
	if (tracer_foreign_seen(ring->tracer))
		follow_narrow(ring->follow, now_monotonic());
	err = announce(ring);
	if (!err)
		err = sweep(ring);
	if (!err && now_monotonic() - ring->counters_ns > COUNTERS_NS) {
		ring->counters_ns = now_monotonic();
		tracer_clock_follow(ring->tracer);
		err = counters(ring);
	}
	return err;
}

struct in_flight {
	struct source_ring *ring;
	source_record_fn fn;
	void *context;
	int err;
};

/* Every request is left as and where it is; those of living processes are shown by a
 * copy. */
static enum request_verdict request_peek(void *context, struct rec_request *r)
{
	struct in_flight *in_flight = context;
	struct rec_request copy;

	if (in_flight->err || !is_alive(in_flight->ring, r))
		return REQUEST_LEAVE;
	memcpy(&copy, r, sizeof(copy));
	if (copy.text_bytes > STR_TEXT_MAX)
		copy.text_bytes = 0;
	if (copy.flags & REC_F_WIRE)
		copy.end_ns = request_is_at_rest(r) ? copy.writes.last_ns : 0;
	if (!request_is_at_rest(r))
		copy.flags |= REC_F_NO_END;
	copy.flags &= ~REC_F_DRAINING;
	copy.h.size = offsetof(struct rec_request, text) + ((copy.text_bytes + 7) & ~7u);
	in_flight->err = in_flight->fn(in_flight->context, &copy, copy.h.size);
	return REQUEST_LEAVE;
}

static int ring_in_flight(struct source *source, source_record_fn fn, void *context)
{
	struct in_flight in_flight = {.ring = ring_of(source), .fn = fn, .context = context};
	const struct request_sweep sweep = {.verdict = request_peek, .context = &in_flight};
	int err;

	in_flight.ring->now_ns = now_monotonic();
	err = tracer_requests_sweep(in_flight.ring->tracer, &sweep);
	return err ? err : in_flight.err;
}

static int ring_status(struct source *source, struct source_status *out)
{
	struct source_ring *ring = ring_of(source);

	out->processes = follow_count(ring->follow);
	out->ring_bytes = tracer_ring_bytes(ring->tracer);
	out->ring_used_bytes = tracer_ring_used(ring->tracer);
	return 0;
}

static int ring_finish(struct source *source, source_record_fn fn, void *context)
{
	struct source_ring *ring = ring_of(source);
	int err;

	attach_stop(ring->attach);
	tracer_stop_wire(ring->tracer);
	tracer_sampling_stop(ring->tracer);
	err = drain(ring, fn, context);
	if (err < 0)
		return err;
	ring->ending = true;
	err = sweep(ring);
	ring->in_flight += tracer_refused_open(ring->tracer);
	return err ? err : counters(ring);
}

static void ring_close(struct source *source)
{
	struct source_ring *ring = ring_of(source);

	if (ring->leaves)
		guard_hold();
	attach_free(ring->attach);
	follow_close(ring->follow);
	symbols_free(ring->symbols);
	stacks_free(ring->stacks);
	ring_buffer__free(ring->ring);
	if (ring->epoll_fd >= 0)
		close(ring->epoll_fd);
	tracer_close(ring->tracer);
	guard_stop(ring->guard, !ring->leaves);
	tracefs_close(ring->tracefs);
	free(ring);
}

static const struct source_ops ring_ops = {
	.fd = ring_fd,
	.dispatch = ring_dispatch,
	.tick = ring_tick,
	.finish = ring_finish,
	.in_flight = ring_in_flight,
	.status = ring_status,
	.close = ring_close,
};

/* Definitions that a killed tracer and its killed guard left: nobody uses them, once will do. Where
 * the guard lives it goes on trying. */
static void group_reap(void *context, const char *group)
{
	pid_t pid = atoi(group + strlen(GROUP_PREFIX));

	if (pid > 0 && kill(pid, 0) && errno == ESRCH)
		tracefs_uprobes_remove(context, group, 0);
}

static int tracefs_prepare(struct source_ring *ring)
{
	int err = tracefs_open(&ring->tracefs);

	if (err) {
		log_error("tracefs: %s; %s", strerror(-err),
			  geteuid() ? "run as root" : "the kernel needs CONFIG_UPROBE_EVENTS");
		return err;
	}
	tracefs_uprobe_groups(ring->tracefs, GROUP_PREFIX, group_reap, ring->tracefs);
	snprintf(ring->group, sizeof(ring->group), GROUP_PREFIX "%d", getpid());
	err = guard_start(ring->tracefs, ring->group, &ring->guard);
	if (err)
		log_error("starting the guard process: %s", strerror(-err));
	return err;
}

/* One descriptor that says that there is work, be it in the ring or in the watch. */
static int ring_poll_setup(struct source_ring *ring)
{
	const int fds[] = {ring_buffer__epoll_fd(ring->ring), follow_fd(ring->follow)};
	struct epoll_event event = {.events = EPOLLIN};
	int err = 0;

	ring->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ring->epoll_fd < 0)
		err = -errno;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]) && !err; i++)
		if (fds[i] >= 0 && epoll_ctl(ring->epoll_fd, EPOLL_CTL_ADD, fds[i], &event))
			err = -errno;
	if (err)
		log_error("waiting for the ring: %s", strerror(-err));
	return err;
}

static int sampling_setup(struct source_ring *ring, const struct config *config)
{
	int err = 0;

	if (config->samples)
		err = stacks_new(ring->tracer, &ring->stacks);
	if (!err && config->samples)
		err = symbols_new(ring->stacks, config->native, &ring->symbols);
	return err;
}

static int ring_setup(struct source_ring *ring, const struct config *config)
{
	const struct attach_options options = {.blocks = config->blocks};
	int err = tracefs_prepare(ring);

	if (!err)
		err = tracer_open(config, &ring->tracer);
	if (!err)
		err = tracer_attach_kernel(ring->tracer, ring->tracefs);
	if (!err)
		err = attach_new(ring->tracer, ring->tracefs, ring->group, &options, &ring->attach);
	if (!err)
		err = sampling_setup(ring, config);
	if (err)
		return err;
	ring->ring = tracer_ring_new(ring->tracer, ring_record, ring);
	if (!ring->ring) {
		log_error("mapping the ring: %s", strerror(errno));
		return -errno;
	}
	err = follow_open(config, ring->tracer, ring->attach, ring->tracefs, ring->stacks,
			  &ring->follow);
	if (!err)
		err = ring_poll_setup(ring);
	return err ? err : tracer_clock_start(ring->tracer);
}

int source_ring_open(const struct config *config, struct source **out)
{
	struct source_ring *ring = calloc(1, sizeof(*ring));
	int err;

	if (!ring)
		return -ENOMEM;
	ring->epoll_fd = -1;
	ring->source.ops = &ring_ops;
	ring->leaves = config->leaves;
	ring->source.clock.realtime_offset_ns = realtime_offset();
	err = ring_setup(ring, config);
	if (err) {
		ring_close(&ring->source);
		return err;
	}
	follow_say(ring->follow);
	if (config->launch.pid)
		(void)!write(config->launch.ready_fd, "", 1);
	*out = &ring->source;
	return 0;
}
