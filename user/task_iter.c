/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Must not know what the program does. The kernel runs it while the iterator is read.
 */
#include "task_iter.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

int task_iter_run(struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	char nothing[64];
	ssize_t bytes;
	int fd, err = 0;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	do {
		bytes = read(fd, nothing, sizeof(nothing));
	} while (bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR)));
	if (bytes < 0)
		err = -errno;
	close(fd);
out:
	bpf_link__destroy(link);
	return err;
}
