/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processes that are traced, by PID, and the state that the parts of follow share: follow.c
 * (what the kernel says), follow_find.c (who is there at the start), follow_inspect.c (what a look
 * at a process changes). Not for others: they use follow.h.
 */
#ifndef WSGISCOPE_FOLLOWED_H
#define WSGISCOPE_FOLLOWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <sys/types.h>

#include "abi.h"
#include "pid_table.h"
#include "tracer.h"
#include "worker.h"

struct attach;
struct config;
struct server;
struct stacks;
struct tracefs;
struct watch;

struct followed {
	pid_t pid, parent;
	const struct server *server;
	uint32_t python_version;
	char app[REC_APP_MAX];	    /* "": not known */
	bool app_is_address;	    /* where it listens */
	struct tracer_process told; /* to the kernel side, if is_told */
	bool is_told;
	bool fd_hidden; /* seen */
	bool gc_seen;
	bool has_marker;
	int marker_slot; /* of attach_marker(), below 0: not armed yet */
	bool has_forked;
	unsigned int ports_looks; /* how often its listeners were looked for */
	bool said;		  /* announced as it is now */
	uint64_t since_ns;	  /* began or last execed; 0: before us */
	uint64_t exec_ns;
	uint64_t inspect_ns;  /* when to look next, 0: never */
	uint64_t hands_on_ns; /* when a marked process was last seen that it hands requests on to */
	unsigned int step;
};

struct follow {
	struct tracer *tracer;
	struct attach *attach;
	const struct tracefs *tracefs;
	struct stacks *stacks; /* NULL: none are taken */
	const struct config *config;
	struct watch *watch; /* NULL: not without -p, or the kernel has none */
	uint64_t narrowed_ns;
	pid_t *tree; /* of all -p, while it is gone through */
	int tree_count;
	struct pid_table table;	    /* of struct followed, which it owns */
	size_t unsaid;		    /* at most so many are not announced */
	struct worker_file refused; /* a marker of another version, said last */
	bool rescan;		    /* mappings or records were lost */
	bool undecided;		    /* who is there is not known yet, so not who has no marker */
	uint64_t scan_ns;	    /* when /proc was gone through last */
	uint64_t tidy_ns;	    /* when what nobody uses was looked for last */
};

/* Without -p: every process with the marker counts. */
bool follow_is_all(const struct follow *follow);

/* Whether the kernel side watches its connections. */
static inline bool followed_is_wired(const struct followed *process)
{
	return process->is_told && process->told.flags & TRACER_WIRE;
}

/* Whether the marker tells of its requests. */
bool followed_is_marked(const struct follow *follow, const struct followed *process);

/* follow_find.c. Everything that runs now. 0 or -errno, message printed. */
int follow_find(struct follow *follow);
/* Goes through /proc for markers that are not known yet; without -p only. */
int follow_scan(struct follow *follow);

/* follow_inspect.c. To be looked at in a moment, and again when it has had time to become itself.
 */
void inspect_schedule(struct followed *process, uint64_t now_ns);
/* Looks at a process that is followed, and sets when to look next. */
void inspect_due(struct follow *follow, struct followed *process, uint64_t now_ns);
/*
 * worker_inspect() for who follows. A marker of another version is said, once; but for --mode
 * marker, it is none then. 0 or -errno.
 */
int process_look(struct follow *follow, pid_t pid, struct worker *out);
/* A process from now on, as it was found. 0 or -errno, message printed. */
int process_follow(struct follow *follow, const struct worker *worker);
/* A process that may have a marker: looked at now and in the next seconds, followed if so. */
void process_meet(struct follow *follow, pid_t pid);
/* It is none of ours any more. */
void process_forget(struct follow *follow, struct followed *process);
/* It has ended. */
void process_gone(struct follow *follow, struct followed *process);
/* Adds one of which nothing is known yet. The pid must not be there. NULL: no memory. */
struct followed *process_add(struct follow *follow, pid_t pid, pid_t parent);
/* Something new is known of it: announces it again. */
void process_unsay(struct follow *follow, struct followed *process);

#endif
