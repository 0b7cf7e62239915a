/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A script that another process is to run, and the file that it answers into: both in a directory
 * of their own in that process's file system, whatever that is, readable by its user.
 */
#ifndef WSGISCOPE_ERRAND_H
#define WSGISCOPE_ERRAND_H

#include <stddef.h>
#include <sys/types.h>

#define ERRAND_PATH_MAX	  64
#define ERRAND_ANSWER_MAX 512

struct errand {
	char script[ERRAND_PATH_MAX]; /* its path, as the process sees it */
	char answer[ERRAND_PATH_MAX]; /* the same of the file for the answer, which is there */
	/* errand.c's own */
	char name[24]; /* of the directory */
	int parent_fd, directory_fd, answer_fd;
};

/* Makes the directory and the empty file. 0, -ESRCH, -errno. */
int errand_open(pid_t pid, struct errand *out);

/* Writes the script. 0 or -errno. Once. */
int errand_write(struct errand *errand, const char *text, size_t bytes);

/* The answer's one line, without its newline; hostile text. 0; -EAGAIN: it has not come; -EMSGSIZE:
 * it is too long for one; -errno. */
int errand_answer(struct errand *errand, char out[ERRAND_ANSWER_MAX]);

/* Takes all of it away. */
void errand_close(struct errand *errand);

#endif
