/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns one process's way from the request to its answer. Must not know which processes are asked,
 * nor how the outcome is shown. What the script does is python/remote_script.py's.
 */
#include "remote_mark.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proc.h"
#include "python/detect.h"
#include "python/locate.h"
#include "worker.h"

/* One that was taken up when we gave up is given so long to end. */
#define LATE_MS 2000

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

__attribute__((format(printf, 3, 4))) static void
state_set(struct remote_mark *mark, enum remote_mark_state state, const char *format, ...)
{
	va_list args;

	mark->state = state;
	mark->done_ns = now_ns();
	va_start(args, format);
	vsnprintf(mark->text, sizeof(mark->text), format, args);
	va_end(args);
}

static void error_set(struct remote_mark *mark, const char *operation, int err)
{
	struct proc_stat stat;

	if (err == -ESRCH || proc_stat_read(mark->pid, &stat) == -ESRCH)
		state_set(mark, REMOTE_MARK_GONE, "it has ended");
	else if (err == -EPERM || err == -EACCES)
		state_set(mark, REMOTE_MARK_FAILED,
			  "%s: %s; it needs root, and no debugger (gdb, strace) in the process",
			  operation, strerror(-err));
	else
		state_set(mark, REMOTE_MARK_FAILED, "%s: %s", operation, strerror(-err));
}

/* A directory's name as text that Python reads, whatever bytes it has. */
static void name_write(FILE *out, const char *name)
{
	fputs("bytes.fromhex('", out);
	for (; *name; name++)
		fprintf(out, "%02x", (unsigned char)*name);
	fputs("').decode('utf-8', 'surrogateescape')", out);
}

/* The script: what it is to know, and what it is. Its paths are our own making. 0 or -errno. */
static int script_write(struct errand *errand, const char *action, const char *home)
{
	static const char body[] =
#include "text/remote_script.py.h"
		;
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	int err = -ENOMEM;

	if (!out)
		return err;
	fprintf(out, "ACTION = '%s'\nANSWER = '%s'\nPACKAGES = ", action, errand->answer);
	name_write(out, home);
	fprintf(out, "\n%s", body);
	if (!fclose(out))
		err = errand_write(errand, text, bytes);
	free(text);
	return err;
}

static void verdict_set(struct remote_mark *mark, const struct worker *worker,
			enum remote_verdict verdict)
{
	char version[48] = "of a version that is not known";

	if (worker->python_version)
		python_version_format(worker->python_version, version, sizeof(version));
	switch (verdict) {
	case REMOTE_ASKED:
		mark->state = REMOTE_MARK_WAITING;
		return;
	case REMOTE_OLD:
		state_set(
			mark, REMOTE_MARK_FAILED,
			"Python %s runs nothing on request (PEP 768: from 3.14 on): start it with "
			"`wsgiscope run`, or put mark() into its code",
			version);
		return;
	case REMOTE_DISABLED:
		state_set(mark, REMOTE_MARK_FAILED,
			  "its Python is told to run nothing on request "
			  "(PYTHON_DISABLE_REMOTE_DEBUG, -X disable-remote-debug, or built so)");
		return;
	case REMOTE_BUSY:
		state_set(mark, REMOTE_MARK_FAILED,
			  "somebody else's request (sys.remote_exec) is waiting in it");
		return;
	case REMOTE_ODD:
		state_set(mark, REMOTE_MARK_FAILED, "its memory is not what Python %s would have",
			  version);
		return;
	}
}

void remote_mark_ask(const struct worker *worker, const char *action, const char *home,
		     struct remote_mark *out)
{
	enum remote_verdict verdict = REMOTE_OLD;
	struct python_location where;
	const char *operation = "looking for its Python";
	int err;

	*out = (struct remote_mark){.pid = worker->pid, .asked_ns = now_ns()};
	err = python_locate(worker, &where);
	if (!err && worker->python_version && worker->python_version < 0x030e0000) {
		verdict_set(out, worker, REMOTE_OLD);
		return;
	}
	if (!err) {
		operation = "putting the script where it can read it";
		err = errand_open(worker->pid, &out->errand);
	}
	if (!err) {
		err = script_write(&out->errand, action, home);
		if (!err) {
			operation = "asking its Python";
			err = remote_ask(worker->pid, &where, out->errand.script, &out->request,
					 &verdict);
		}
		if (err || verdict != REMOTE_ASKED)
			errand_close(&out->errand);
	}
	if (err)
		error_set(out, operation, err);
	else
		verdict_set(out, worker, verdict);
}

/* "WORD text": what its first word says. */
static void answer_take(struct remote_mark *mark, const char *answer)
{
	static const struct {
		const char *word;
		enum remote_mark_state state;
	} words[] = {
		{"ok ", REMOTE_MARK_DONE},
		{"none ", REMOTE_MARK_NONE},
		{"failed ", REMOTE_MARK_FAILED},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(answer, words[i].word, strlen(words[i].word))) {
			state_set(mark, words[i].state, "%s", answer + strlen(words[i].word));
			return;
		}
	state_set(mark, REMOTE_MARK_FAILED, "an answer that makes no sense: %s", answer);
}

bool remote_mark_poll(struct remote_mark *mark)
{
	char answer[ERRAND_ANSWER_MAX];
	struct proc_stat stat;
	int err;

	if (mark->state != REMOTE_MARK_WAITING)
		return true;
	err = errand_answer(&mark->errand, answer);
	if (!err)
		answer_take(mark, answer);
	else if (err != -EAGAIN)
		error_set(mark, "reading its answer", err);
	else if (proc_stat_read(mark->pid, &stat) == -ESRCH)
		state_set(mark, REMOTE_MARK_GONE, "it has ended");
	else
		return false;
	errand_close(&mark->errand);
	return true;
}

void remote_mark_withdraw(struct remote_mark *mark)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int taken;

	if (remote_mark_poll(mark))
		return;
	taken = remote_withdraw(&mark->request, mark->errand.script);
	for (int waited = 0; taken == 1 && waited < LATE_MS && !remote_mark_poll(mark);
	     waited += 10)
		nanosleep(&pause, NULL);
	if (mark->state != REMOTE_MARK_WAITING)
		return;
	if (taken < 0)
		error_set(mark, "taking the request back", taken);
	else if (taken)
		state_set(mark, REMOTE_MARK_FAILED, "it began, and has not answered");
	else
		state_set(mark, REMOTE_MARK_FAILED,
			  "its main thread has run no Python meanwhile; nothing was changed");
	errand_close(&mark->errand);
}
