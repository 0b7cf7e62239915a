/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the user asked for, as data: filled once by the option tables (options.c), then passed as
 * const struct config * and never changed.
 */
#ifndef WSGISCOPE_CONFIG_H
#define WSGISCOPE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_PIDS_MAX 64

/* What tells of requests. */
enum config_mode {
	MODE_AUTO,   /* the marker where a process has it, the wire where it has not */
	MODE_MARKER, /* the marker alone */
	MODE_WIRE,   /* the wire alone, also where there is a marker */
	MODE_BOTH,   /* the marker, and beside it the wire */
};

struct config_pids {
	int count;
	int list[CONFIG_PIDS_MAX];
};

/* A server that is started by us, and held until its tracer is attached; see launch.h. */
struct config_launch {
	int pid;      /* which is one of pids, too; 0: none */
	int ready_fd; /* gets a byte once the probes are live */
};

struct config {
	/* -p of a verb that attaches, as often as it was given: workers and masters; none: all */
	struct config_pids pids;
	unsigned int mode; /* --mode: enum config_mode */

	/* The collector's marks of each Python, too: the kernel arms them process by process, each
	 * in a time that grows with their number. */
	bool collections;

	struct config_launch launch; /* of run; its process becomes a server only later */
	const char *marker;	     /* --marker DIR: where the marker's package is; NULL: ours */
	bool run_trace, run_serve, run_flame; /* what run does beside */
	bool yes;			      /* --yes: of mark and unmark */
	double timeout_s;		      /* --timeout: how long they wait for an answer */

	int pid;		/* -p of a verb that only looks: one process; 0: all */
	double duration_s;	/* -d: 0: until interrupted */
	uint64_t count;		/* -n: stop after so many requests shown; 0: no limit */
	bool json;		/* --json */
	bool blocks;		/* --blocks */
	double min_ms;		/* --min-ms: only requests that took at least so long */
	const char *path_glob;	/* --path: only paths that match; NULL: all */
	const char *output;	/* -o FILE */
	const char *input;	/* replay FILE */
	const char *listen;	/* --listen HOST:PORT, of serve */
	const char *settings;	/* --config FILE, of serve; NULL: the defaults */
	const char *statsd;	/* --statsd HOST:PORT; NULL: none */
	const char *dogstatsd;	/* --dogstatsd HOST:PORT; NULL: none */
	bool leaves;		/* end at once, and let the kernel take the probes out after us */
	int verbose;		/* -v, -vv */
	uint32_t ring_bytes;	/* --ring-size: a power of two, of pages */
	uint32_t max_in_flight; /* --max-in-flight: requests followed at once */
	bool samples;		/* take stacks; the rest says how */
	uint32_t sample_hz;	/* -F: ticks of the sampling clock a second and CPU */
	bool off_cpu;		/* --off-cpu: where threads wait, instead of where they run */
	bool wall;		/* --wall: both */
	bool samples_all;	/* those of threads that serve no request, too, waits and all */
	bool native;		/* --native: the kernel's and native frames too */
	/* Of profiles. NULL, 0: not asked for. */
	const char *route;   /* --route GLOB: of the route, or the path group where there is none */
	const char *method;  /* --method */
	const char *status;  /* --status: 404 or 5xx */
	double slower_ms;    /* --slower-than: only requests that took longer */
	bool outside;	     /* --outside: threads that serve no request, instead of requests */
	const char *by;	     /* --by route: its outermost frame */
	bool lines;	     /* --lines: each line of a function is a frame of its own */
	const char *format;  /* --format */
	bool top_frame;	     /* --top-frame: where each request was most */
	const char *each;    /* --each, --stacks DIR: one profile a request */
	uint64_t max_files;  /* --max-files: of those */
	const char *against; /* --diff A B: A; B is input */
};

/* The defaults of a verb that attaches, for run's server; launch NULL: as they are. */
static inline struct config config_launched(const struct config *defaults,
					    const struct config_launch *launch)
{
	struct config config = *defaults;

	if (launch) {
		config.launch = *launch;
		config.mode = MODE_MARKER; /* its application is marked */
		config.pids.list[config.pids.count++] = launch->pid;
	}
	return config;
}

#endif
