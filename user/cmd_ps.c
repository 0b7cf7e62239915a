/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wsgiscope ps: the WSGI workers that run now. Owns which processes are listed and how; must not
 * know how one is recognised (worker.c).
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "container.h"
#include "escape.h"
#include "log.h"
#include "options.h"
#include "proc.h"
#include "python/detect.h"
#include "servers/server.h"
#include "worker.h"

#define COMMAND_MAX	   4096
#define COMMAND_TEXT_BYTES 80 /* shown in a line of text */

static const struct option_row rows[] = {
	{.name = "pid",
	 .letter = 'p',
	 .type = OPTION_PID,
	 .offset = offsetof(struct config, pid),
	 .argument = "PID",
	 .help = "only this process and its descendants, whatever runs in them"},
	{.name = "json",
	 .type = OPTION_FLAG,
	 .offset = offsetof(struct config, json),
	 .help = "one JSON object a line"},
	{0},
};

static const struct option_command command = {
	.verb = "ps",
	.summary =
		"Lists the WSGI workers found: Python processes with a known server or the marker.",
	.rows = rows,
};

struct listing {
	const struct config *config;
	unsigned int listed;
	unsigned int unreadable; /* processes that we may not look into */
	int last_error;		 /* why the last of those */
};

/*
 * A Python process is a worker (or the master of some) if its server is known or the marker is
 * in it. Asked for one tree, every Python process of it is shown: it may be a server of a kind
 * that is not known.
 */
static bool is_listed(const struct config *config, const struct worker *worker)
{
	if (worker->python == PYTHON_NONE)
		return false;
	return config->pid || worker->server || worker->has_marker;
}

static const char *runtime_name(const struct worker *worker)
{
	return worker->python == PYTHON_PYPY ? "pypy" : "cpython";
}

/* argv joined by spaces, or "[name]" where there is none (it ended, or wiped it). */
static size_t command_read(pid_t pid, char *out, size_t size)
{
	struct proc_stat stat;
	int bytes = proc_cmdline_read(pid, out, size);

	while (bytes > 0 && (out[bytes - 1] == '\0' || out[bytes - 1] == ' '))
		bytes--;
	if (bytes > 0) {
		for (int i = 0; i < bytes; i++)
			if (out[i] == '\0')
				out[i] = ' ';
		return (size_t)bytes;
	}
	if (proc_stat_read(pid, &stat))
		return 0;
	return (size_t)snprintf(out, size, "[%s]", stat.comm);
}

/* Spaces stay: it is the last column. */
static void command_print_text(FILE *out, const char *text, size_t bytes)
{
	bool cut = bytes > COMMAND_TEXT_BYTES;

	if (cut) {
		bytes = COMMAND_TEXT_BYTES;
		while (bytes && ((unsigned char)text[bytes] & 0xc0) == 0x80)
			bytes--; /* not amid a character */
	}
	while (bytes) {
		const char *space = memchr(text, ' ', bytes);
		size_t word = space ? (size_t)(space - text) : bytes;

		escape_text(out, text, word);
		if (space)
			putc(' ', out);
		word += space ? 1 : 0;
		text += word;
		bytes -= word;
	}
	if (cut)
		fputs("...", out);
}

/* "[web-1 7] ": the container's name, and the PID that the process has in it. */
static void container_print_text(FILE *out, const struct container *container)
{
	putc('[', out);
	escape_text(out, container->name, strlen(container->name));
	fprintf(out, "%s%d] ", *container->name ? " " : "", container->pid);
}

/* container: NULL: it is in none. */
static void worker_print_text(FILE *out, const struct worker *worker,
			      const struct container *container)
{
	char version[16] = "?", shown[32], marker[16] = "no", text[COMMAND_MAX];
	size_t bytes = command_read(worker->pid, text, sizeof(text));

	if (worker->python_version)
		python_version_format(worker->python_version, version, sizeof(version));
	snprintf(shown, sizeof(shown), "%s%s", worker->python == PYTHON_PYPY ? "PyPy " : "",
		 version);
	if (worker->has_marker)
		snprintf(marker, sizeof(marker), "%u", worker->marker.version);
	fprintf(out, "%7d %7d %-10s %-9s %7d %-6s ", worker->pid, worker->parent,
		worker->server ? worker->server->name : "-", shown, worker->threads, marker);
	if (container)
		container_print_text(out, container);
	command_print_text(out, text, bytes);
	putc('\n', out);
}

static void container_print_json(FILE *out, const struct container *container)
{
	if (!container) {
		fputs(",\"container\":null,\"container_pid\":null", out);
		return;
	}
	fputs(",\"container\":\"", out);
	escape_json(out, container->name, strlen(container->name));
	fprintf(out, "\",\"container_pid\":%d", container->pid);
}

static void worker_print_json(FILE *out, const struct worker *worker,
			      const struct container *container)
{
	char version[16], text[COMMAND_MAX];
	size_t bytes = command_read(worker->pid, text, sizeof(text));

	fprintf(out, "{\"pid\":%d,\"parent\":%d,\"server\":", worker->pid, worker->parent);
	if (worker->server)
		fprintf(out, "\"%s\"", worker->server->name);
	else
		fputs("null", out);
	fprintf(out, ",\"runtime\":\"%s\",\"python\":", runtime_name(worker));
	if (worker->python_version) {
		python_version_format(worker->python_version, version, sizeof(version));
		fprintf(out, "\"%s\"", version);
	} else {
		fputs("null", out);
	}
	fprintf(out, ",\"threads\":%d,\"marker\":", worker->threads);
	if (worker->has_marker)
		fprintf(out, "%u", worker->marker.version);
	else
		fputs("null", out);
	container_print_json(out, container);
	fputs(",\"command\":\"", out);
	escape_json(out, text, bytes);
	fputs("\"}\n", out);
}

static void process_list(struct listing *listing, pid_t pid)
{
	struct container container;
	struct worker worker;
	int err = worker_inspect(pid, &worker);
	bool inside;

	if (err == -ESRCH) /* ended since the list was made */
		return;
	if (err) {
		log_debug("process %d: %s", pid, strerror(-err));
		listing->unreadable++;
		listing->last_error = err;
		return;
	}
	if (!is_listed(listing->config, &worker))
		return;
	if (!listing->listed++ && !listing->config->json)
		puts("    PID  PARENT SERVER     PYTHON    THREADS MARKER COMMAND");
	inside = !container_find(pid, &container);
	(listing->config->json ? worker_print_json : worker_print_text)(stdout, &worker,
									inside ? &container : NULL);
}

/* What the list does not say. The exit status. */
static int listing_end(const struct listing *listing)
{
	int pid = listing->config->pid;

	if (fflush(stdout) || ferror(stdout)) {
		log_error("writing the list: %s", strerror(errno));
		return EXIT_STATUS_FAILED;
	}
	if (listing->unreadable)
		log_warn("%u process%s could not be inspected: %s%s", listing->unreadable,
			 listing->unreadable == 1 ? "" : "es", strerror(-listing->last_error),
			 listing->last_error == -EACCES && geteuid() ? "; try as root" : "");
	if (listing->listed)
		return EXIT_STATUS_DONE;
	if (!pid) {
		log_info("no WSGI worker found");
		return EXIT_STATUS_DONE;
	}
	if (!listing->unreadable)
		log_error("process %d is not Python, nor is any of its descendants", pid);
	return EXIT_STATUS_FAILED;
}

int cmd_ps(int argc, char **argv)
{
	struct config config = {0};
	struct listing listing = {.config = &config};
	pid_t *pids;
	int status, count;

	if (!options_parse(&command, argc, argv, &config, &status))
		return status;
	count = config.pid ? proc_tree(config.pid, &pids) : proc_list(&pids);
	if (count == -ESRCH && config.pid) {
		log_error("no process %d", config.pid);
		return EXIT_STATUS_FAILED;
	}
	if (count < 0) {
		log_error("reading /proc: %s", strerror(-count));
		return EXIT_STATUS_FAILED;
	}
	for (int i = 0; i < count; i++)
		process_list(&listing, pids[i]);
	free(pids);
	return listing_end(&listing);
}
