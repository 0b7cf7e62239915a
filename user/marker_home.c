/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the places where the marker's package is looked for. Must not know what is done with it.
 */
#include "marker_home.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* From the directory that this program is in: of a build, of an installation. */
static const char *const places[] = {"python", "../lib/wsgiscope/python"};

/* One file of the package, which must be there. */
#define HOOK "wsgiscope/auto/sitecustomize.py"

/* 0, -ENOENT (no package is there), -errno. */
static int place_try(const char *place, char *out, size_t size)
{
	char resolved[PATH_MAX], hook[PATH_MAX + sizeof(HOOK)];

	if (!realpath(place, resolved))
		return -errno;
	snprintf(hook, sizeof(hook), "%s/%s", resolved, HOOK);
	if (access(hook, R_OK))
		return -errno;
	return (size_t)snprintf(out, size, "%s", resolved) < size ? 0 : -ENAMETOOLONG;
}

/* The directory of this program, without its last slash. 0 or -errno. */
static int own_directory(char *out, size_t size)
{
	ssize_t bytes = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (bytes < 0)
		return -errno;
	out[bytes] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

int marker_home_find(const char *given, char *out, size_t size)
{
	char own[PATH_MAX], place[2 * PATH_MAX];
	int err;

	if (given) {
		err = place_try(given, out, size);
		if (err)
			log_error("--marker %s: no package wsgiscope with its hook there: %s",
				  given, strerror(-err));
		return err;
	}
	err = own_directory(own, sizeof(own));
	for (size_t i = 0; !err && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(place, sizeof(place), "%s/%s", own, places[i]);
		if (!place_try(place, out, size))
			return 0;
	}
	log_error("the marker's package is neither built nor installed beside this program: "
		  "`make python`, or say where it is: --marker DIRECTORY");
	return err ? err : -ENOENT;
}

void marker_home_map(const char *home)
{
	char pattern[PATH_MAX + 32];
	struct stat stat;
	glob_t found;
	int fd;

	snprintf(pattern, sizeof(pattern), "%s/wsgiscope/_marker*.so", home);
	if (glob(pattern, 0, NULL, &found))
		return;
	fd = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &stat) && stat.st_size > 0)
		(void)mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	globfree(&found);
}
