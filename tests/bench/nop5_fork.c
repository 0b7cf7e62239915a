/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nop5_fork: what a uprobe on a function's first nop does to children that are forked after their
 * parent has run it, for a one-byte and for a five-byte nop; and what each costs.
 *
 * Linux 6.18 turns the probe on a five-byte nop into a call of a trampoline page. That page is a
 * mapping that fork() does not copy, while the patched code is: the child calls into nothing.
 * Prints a line for each nop. Exit status 0 if the one-byte nop, ours, is harmless.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "nop5_fork.skel.h"

#define HITS   20000
#define ROUNDS 9

void mark_nop1(void);
void mark_nop5(void);

#ifdef __x86_64__
__asm__(".text\n"
	".globl mark_nop1\n.type mark_nop1, @function\nmark_nop1:\n"
	"	nop\n"
	"	ret\n.size mark_nop1, . - mark_nop1\n"
	".globl mark_nop5\n.type mark_nop5, @function\nmark_nop5:\n"
	"	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
	"	ret\n.size mark_nop5, . - mark_nop5\n");

struct outcome {
	double ns;     /* the least time of a hit over the rounds */
	int status;    /* of the forked child, as wait() gives it */
	uint64_t hits; /* that the program counted */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double mark_time(void (*mark)(void))
{
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start_ns = now_ns();
		double ns;

		for (int i = 0; i < HITS; i++)
			mark();
		ns = (double)(now_ns() - start_ns) / HITS;
		if (ns < best)
			best = ns;
	}
	return best;
}

/* The parent's and the forked child's part, in a process of their own. */
static void parent_run(void (*mark)(void), int out)
{
	struct outcome outcome = {.ns = mark_time(mark)};
	pid_t child = fork();

	if (!child) {
		mark();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &outcome.status, 0) != child)
		_exit(1);
	if (write(out, &outcome, sizeof(outcome)) != sizeof(outcome))
		_exit(1);
	_exit(0);
}

static int parent_watch(void (*mark)(void), struct outcome *outcome)
{
	int status, pipes[2];
	ssize_t got;
	pid_t parent;

	if (pipe(pipes))
		return -errno;
	parent = fork();
	if (!parent)
		parent_run(mark, pipes[1]);
	close(pipes[1]);
	if (parent < 0)
		return -errno;
	got = read(pipes[0], outcome, sizeof(*outcome));
	close(pipes[0]);
	waitpid(parent, &status, 0);
	return got == sizeof(*outcome) ? 0 : -ECHILD;
}

static int mark_try(const char *name, void (*mark)(void), struct outcome *outcome)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .func_name = name);
	struct nop5_fork *skel = nop5_fork__open_and_load();
	struct bpf_link *link = NULL;
	int err;

	if (!skel) {
		err = -errno;
		goto out;
	}
	link = bpf_program__attach_uprobe_opts(skel->progs.mark_hit, -1, "/proc/self/exe", 0,
					       &opts);
	if (!link) {
		err = -errno;
		goto out;
	}
	err = parent_watch(mark, outcome);
	outcome->hits = skel->bss->hits;
	if (!err && outcome->hits < (uint64_t)HITS * ROUNDS)
		err = -ENODATA;
out:
	bpf_link__destroy(link);
	nop5_fork__destroy(skel);
	if (err)
		fprintf(stderr, "nop5_fork: %s: %s\n", name, strerror(-err));
	return err;
}

static void outcome_print(const char *what, const struct outcome *outcome)
{
	printf("%-14s %6.0f ns a hit, counted; forked child: ", what, outcome->ns);
	if (WIFSIGNALED(outcome->status))
		printf("killed by %s\n", strsignal(WTERMSIG(outcome->status)));
	else
		printf("exit status %d\n", WEXITSTATUS(outcome->status));
}

int main(void)
{
	struct outcome one = {0}, five = {0};
	struct utsname kernel;

	uname(&kernel);
	if (mark_try("mark_nop1", mark_nop1, &one) || mark_try("mark_nop5", mark_nop5, &five))
		return 1;
	printf("a probe on a nop, then fork(), on Linux %s:\n", kernel.release);
	outcome_print("one-byte nop", &one);
	outcome_print("five-byte nop", &five);
	return one.status ? 1 : 0;
}
#else
int main(void)
{
	printf("nop5_fork: only x86-64 has a nop of five bytes: nothing to show here\n");
	return 0;
}
#endif
