/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture PID FILE SELF...: walks the threads of a live process that known.py runs in, names their
 * frames, and writes all memory that was looked at into an image. For capture.py.
 */
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "python/code.h"
#include "python/locate.h"
#include "python/stack.h"
#include "walk.h"
#include "worker.h"

static struct python_code code;

static int thread_capture(pid_t pid, const struct python_layout *layout, uint64_t runtime,
			  uint64_t self)
{
	static struct walk_result result;
	static struct walk_sent sent;
	const struct walk_of of = {runtime, self, UINT64_C(1) << 40};
	int err = 0;

	sent.count = 0;
	walk_thread(layout, &of, &result, &sent);
	for (unsigned int i = 0; !err && i < result.count; i++)
		err = python_code_read(pid, layout, result.frames[i].code,
				       result.frames[i].fingerprint, &code);
	return err || result.error || !result.count ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct python_location where;
	struct python_layout layout;
	struct stack_answer answer;
	struct worker worker;
	struct image image = {0};
	int err;

	if (argc < 4 || argc - 3 > IMAGE_THREADS_MAX)
		return 2;
	err = worker_inspect(atoi(argv[1]), &worker);
	if (!err)
		err = python_locate(&worker, &where);
	if (err)
		return 1;
	image_keep(worker.pid);
	err = python_stack_try(worker.pid, &where, &layout, &answer);
	if (err || answer.verdict != STACK_USABLE) {
		fprintf(stderr, "capture: %s\n", answer.why);
		return 1;
	}
	image.version = where.version;
	image.runtime = where.runtime;
	for (int i = 3; !err && i < argc; i++) {
		image.threads[image.thread_count] = strtoull(argv[i], NULL, 10);
		err = thread_capture(worker.pid, &layout, where.runtime,
				     image.threads[image.thread_count++]);
	}
	if (!err)
		err = image_kept(&image);
	if (!err)
		err = image_save(argv[2], &image);
	if (err)
		fprintf(stderr, "capture: thread %u of process %d: %d\n", image.thread_count,
			worker.pid, err);
	image_free(&image);
	return err ? 1 : 0;
}
