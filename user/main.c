/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verb table, nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "nearest.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"check", cmd_check, "what this kernel, these privileges and a process support"},
	{"ps", cmd_ps, "the WSGI workers found"},
	{"trace", cmd_trace, "a line per request of live workers, as it ends"},
	{"serve", cmd_serve, "metrics of live workers, for Prometheus and StatsD"},
	{"flame", cmd_flame, "what the code of live workers does: flame graphs and other profiles"},
	{"record", cmd_record, "writes what live workers do to a file"},
	{"replay", cmd_replay, "shows a recording as trace would have"},
	{"run", cmd_run, "starts a server with the marker around its application"},
	{"mark", cmd_mark, "puts the marker into live workers (Python 3.14 and later)"},
	{"unmark", cmd_unmark, "takes away what mark has put there"},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void usage_print(FILE *out)
{
	fprintf(out, "Usage: wsgiscope VERB [options]\n"
		     "Tells where the requests of live Python WSGI workers spend their time.\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	fprintf(out, "\nwsgiscope VERB --help tells a verb's options; wsgiscope --version; "
		     "man wsgiscope.\n");
}

static int verb_run(int argc, char **argv)
{
	const char *names[VERB_COUNT + 2] = {[VERB_COUNT] = "--help", "--version"}, *nearest;
	const char *kind = *argv[0] == '-' ? "option" : "verb";

	for (size_t i = 0; i < VERB_COUNT; i++) {
		names[i] = verbs[i].name;
		if (!strcmp(argv[0], names[i]))
			return verbs[i].run(argc, argv);
	}
	nearest = nearest_name(argv[0], names, VERB_COUNT + 2);
	if (nearest)
		log_error("unknown %s '%s': did you mean '%s'?", kind, argv[0], nearest);
	else
		log_error("unknown %s '%s': see wsgiscope --help", kind, argv[0]);
	return EXIT_STATUS_USAGE;
}

int main(int argc, char **argv)
{
	int status = EXIT_STATUS_DONE;

	/* A closed stdout must not become the number of a file of ours: it stays unwritable. */
	for (int fd = 0; fd <= 2; fd++)
		(void)!(fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY));
	if (argc < 2) {
		usage_print(stderr);
		return EXIT_STATUS_USAGE;
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))
		usage_print(stdout);
	else if (!strcmp(argv[1], "--version"))
		puts("wsgiscope " WSGISCOPE_VERSION);
	else
		status = verb_run(argc - 1, argv + 1);
	if (fflush(stdout) && status == EXIT_STATUS_DONE) {
		log_error("cannot write to stdout: %s", strerror(errno));
		status = EXIT_STATUS_FAILED;
	}
	log_end();
	return status;
}
