/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit [-u|-s|-w] MARKER: attaches the empty programs of limit.bpf.c to the marks of the file
 * MARKER to the system calls and to the scheduler's tracepoints that the tracer watches; says
 * "limit: attached to MARKER"; ends at SIGTERM or SIGINT. The marks are armed in the whole file,
 * which is the cheapest way.
 *
 * Without -u no semaphore is raised: the marker stays asleep, and the benchmark calls the marks
 * itself. With -u the marks are found by their USDT notes and the semaphores are raised, as any
 * USDT tool does it: the marker counts, and no one listens. With -s nothing but the scheduler's
 * tracepoints is attached to. With -w it is what wire mode watches: no marks, but reads, too.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "limit.skel.h"

#define LINKS_MAX 32

static const char *const marks[] = {"wsgiscope_request_start", "wsgiscope_request_end"};
static const char *const notes[] = {"request_start", "request_end"};
static const char *const syscalls[] = {"write",	   "writev",	 "sendto", "sendmsg",
				       "sendmmsg", "sendfile64", "splice"};
/* Of some the tracer watches one end only. */
static const char *const wired[] = {"sys_exit_read",	"sys_exit_readv",    "sys_exit_recvfrom",
				    "sys_exit_recvmsg", "sys_exit_accept",   "sys_exit_accept4",
				    "sys_enter_close",	"sys_enter_shutdown"};

struct links {
	struct bpf_link *link[LINKS_MAX];
	int n;
};

static int link_add(struct links *links, struct bpf_link *link, const char *what)
{
	if (!link) {
		int err = -errno;

		fprintf(stderr, "limit: attaching to %s: %s\n", what, strerror(-err));
		return err;
	}
	links->link[links->n++] = link;
	return 0;
}

static int marks_attach(struct links *links, struct limit *skel, const char *file)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .func_name = marks[i]);
		struct bpf_link *link;
		int err;

		link = bpf_program__attach_uprobe_opts(skel->progs.mark_empty, -1, file, 0, &opts);
		err = link_add(links, link, marks[i]);
		if (err)
			return err;
	}
	return 0;
}

static int notes_attach(struct links *links, struct limit *skel, const char *file)
{
	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++) {
		struct bpf_link *link;
		int err;

		link = bpf_program__attach_usdt(skel->progs.usdt_empty, -1, file, "wsgiscope",
						notes[i], NULL);
		err = link_add(links, link, notes[i]);
		if (err)
			return err;
	}
	return 0;
}

static int syscall_attach(struct links *links, struct limit *skel, const char *name)
{
	return link_add(links,
			bpf_program__attach_tracepoint(skel->progs.syscall_empty, "syscalls", name),
			name);
}

static int syscalls_attach(struct links *links, struct limit *skel)
{
	static const char *const ends[] = {"sys_enter_", "sys_exit_"};
	int err = 0;

	for (size_t i = 0; i < 2 * sizeof(syscalls) / sizeof(*syscalls) && !err; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s%s", ends[i % 2], syscalls[i / 2]);
		err = syscall_attach(links, skel, name);
	}
	return err;
}

static int wired_attach(struct links *links, struct limit *skel)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(wired) / sizeof(*wired) && !err; i++)
		err = syscall_attach(links, skel, wired[i]);
	return err;
}

static int scheduler_attach(struct links *links, struct limit *skel)
{
	struct bpf_program *const programs[] = {skel->progs.switch_empty, skel->progs.wakeup_empty};

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		int err = link_add(links, bpf_program__attach_trace(programs[i]),
				   bpf_program__section_name(programs[i]));

		if (err)
			return err;
	}
	return 0;
}

/* Until someone ends it. The signals are blocked already. */
static void wait_end(const sigset_t *end, const char *file)
{
	int sig;

	fprintf(stderr, "limit: attached to %s\n", file);
	sigwait(end, &sig);
}

/* option: 'u', 's', 'w' or 0. */
static int all_attach(struct links *links, struct limit *skel, const char *file, char option)
{
	int err = 0;

	if (option == 'u')
		err = notes_attach(links, skel, file);
	else if (option == 'w')
		err = wired_attach(links, skel);
	else if (!option)
		err = marks_attach(links, skel, file);
	if (!err && option != 's')
		err = syscalls_attach(links, skel);
	return err ? err : scheduler_attach(links, skel);
}

int main(int argc, char **argv)
{
	const char *file = argv[argc - 1];
	struct links links = {0};
	struct limit *skel;
	char option = 0;
	sigset_t end;
	int err;

	if (argc == 3 &&
	    (!strcmp(argv[1], "-u") || !strcmp(argv[1], "-s") || !strcmp(argv[1], "-w")))
		option = argv[1][1];
	if (argc != 2 && !option) {
		fprintf(stderr, "usage: limit [-u|-s|-w] MARKER\n");
		return 2;
	}
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	skel = limit__open_and_load();
	if (!skel) {
		fprintf(stderr, "limit: loading the empty programs: %s\n", strerror(errno));
		return 1;
	}
	err = all_attach(&links, skel, file, option);
	if (!err)
		wait_end(&end, file);
	while (links.n)
		bpf_link__destroy(links.link[--links.n]);
	limit__destroy(skel);
	return err ? 1 : 0;
}
