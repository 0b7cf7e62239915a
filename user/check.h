/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of what tracing needs: each tries the thing itself, none compares versions. A check is a
 * row {name, function} of the tables in check_kernel.c and check_process.c; cmd_check.c shows them.
 */
#ifndef WSGISCOPE_CHECK_H
#define WSGISCOPE_CHECK_H

#include <stdbool.h>
#include <sys/types.h>

struct tracefs;

enum check_level {
	CHECK_OK,
	CHECK_WARN, /* it works, with a limit that is said */
	CHECK_FAIL,
};

#define CHECK_TEXT_MAX 256

struct check_result {
	enum check_level level;
	char detail[CHECK_TEXT_MAX]; /* what was found; may hold a worker's bytes: escape */
	const char *advice;	     /* what to do, static; NULL: nothing */
};

/* Carried from check to check. */
struct check_context {
	pid_t pid;		 /* -p, 0: none */
	bool bpf;		 /* a BPF program could be loaded: the rest of BPF can be asked */
	struct tracefs *tracefs; /* NULL: could not be opened */
	bool process;		 /* pid exists */
};

struct check {
	const char *name;
	void (*run)(struct check_context *context, struct check_result *result);
};

/* Both end with name NULL. */
extern const struct check check_kernel[];
extern const struct check check_process[]; /* only with -p */

/* Sets a result; format makes its detail. */
void check_set(struct check_result *result, enum check_level level, const char *advice,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
