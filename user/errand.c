/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the files. The process's root is hostile ground: no path is followed out of it, no name that
 * somebody else has made is opened, and what has been opened is never looked up again.
 */
#include "errand.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where anybody may make a directory that nobody else can take away. */
static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};

#define SCRIPT "script.py"
#define ANSWER "answer"

/* A directory below root, as a process whose root it is would find it. fd or -errno. */
static int place_open(int root_fd, const char *place)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root_fd, place, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static int root_open(pid_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

/* A name that nobody can foresee. */
static int directory_make(struct errand *errand)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -EIO;
	snprintf(errand->name, sizeof(errand->name), "wsgis-%016llx", (unsigned long long)number);
	if (mkdirat(errand->parent_fd, errand->name, 0755))
		return -errno;
	errand->directory_fd = openat(errand->parent_fd, errand->name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (errand->directory_fd < 0)
		return -errno;
	return fchmod(errand->directory_fd, 0755) ? -errno : 0;
}

/* The first place where it can be made. */
static int places_try(struct errand *errand, int root_fd)
{
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		errand->parent_fd = place_open(root_fd, places[i]);
		err = errand->parent_fd < 0 ? errand->parent_fd : directory_make(errand);
		if (!err) {
			snprintf(errand->script, sizeof(errand->script), "%s/%s/" SCRIPT, places[i],
				 errand->name);
			snprintf(errand->answer, sizeof(errand->answer), "%s/%s/" ANSWER, places[i],
				 errand->name);
			return 0;
		}
		errand_close(errand);
	}
	return err;
}

/* Who it runs as, to whom the file for the answer is given. */
static int user_find(pid_t pid, uid_t *uid, gid_t *gid)
{
	char path[32], line[256];
	unsigned int found = 0, value;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	if (!status)
		return errno == ENOENT ? -ESRCH : -errno;
	while (fgets(line, sizeof(line), status)) {
		/* real, effective, saved, of the file system: the last is the one that opens */
		if (sscanf(line, "Uid: %*u %*u %*u %u", &value) == 1) {
			*uid = value;
			found |= 1;
		} else if (sscanf(line, "Gid: %*u %*u %*u %u", &value) == 1) {
			*gid = value;
			found |= 2;
		}
	}
	fclose(status);
	return found == 3 ? 0 : -EIO;
}

static int answer_make(struct errand *errand, pid_t pid)
{
	uid_t uid;
	gid_t gid;
	int err = user_find(pid, &uid, &gid);

	if (err)
		return err;
	errand->answer_fd = openat(errand->directory_fd, ANSWER,
				   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (errand->answer_fd < 0)
		return -errno;
	/* NOLINTNEXTLINE(clang-analyzer-*): errno is set: not 0 */
	return fchown(errand->answer_fd, uid, gid) ? -errno : 0;
}

int errand_open(pid_t pid, struct errand *out)
{
	int root_fd, err;

	*out = (struct errand){.parent_fd = -1, .directory_fd = -1, .answer_fd = -1};
	root_fd = root_open(pid);
	if (root_fd < 0)
		return root_fd;
	err = places_try(out, root_fd);
	close(root_fd);
	if (!err)
		err = answer_make(out, pid);
	if (err)
		errand_close(out);
	return err;
}

int errand_write(struct errand *errand, const char *text, size_t bytes)
{
	int fd = openat(errand->directory_fd, SCRIPT,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int err = fd < 0 || fchmod(fd, 0644) ? -errno : 0;

	while (!err && bytes) {
		ssize_t put = write(fd, text, bytes);

		if (put < 0 && errno != EINTR)
			err = -errno;
		if (put > 0) {
			text += put;
			bytes -= (size_t)put;
		}
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int errand_answer(struct errand *errand, char out[ERRAND_ANSWER_MAX])
{
	ssize_t bytes = pread(errand->answer_fd, out, ERRAND_ANSWER_MAX - 1, 0);
	char *end;

	if (bytes < 0)
		return -errno;
	end = memchr(out, '\n', (size_t)bytes);
	if (end) {
		*end = '\0';
		return 0;
	}
	return bytes < ERRAND_ANSWER_MAX - 1 ? -EAGAIN : -EMSGSIZE;
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void errand_close(struct errand *errand)
{
	if (errand->directory_fd >= 0) {
		unlinkat(errand->directory_fd, SCRIPT, 0);
		unlinkat(errand->directory_fd, ANSWER, 0);
	}
	if (errand->parent_fd >= 0 && errand->name[0])
		unlinkat(errand->parent_fd, errand->name, AT_REMOVEDIR);
	errand->name[0] = '\0';
	fd_close(&errand->answer_fd);
	fd_close(&errand->directory_fd);
	fd_close(&errand->parent_fd);
}
