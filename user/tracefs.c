/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracefs by descriptors. Owns the detached mount and the text forms of its files; must not know
 * what the events are for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tracefs.h"

struct tracefs {
	int root;
};

/* A mount that only its descriptor knows. */
static int mount_detached(void)
{
	int fs = fsopen("tracefs", FSOPEN_CLOEXEC);
	int mount = -1;

	if (fs < 0)
		return -errno;
	if (!fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (mount < 0)
		mount = -errno;
	close(fs);
	return mount;
}

int tracefs_open(struct tracefs **out)
{
	struct tracefs *tracefs = calloc(1, sizeof(*tracefs));
	int err;

	if (!tracefs)
		return -ENOMEM;
	tracefs->root = mount_detached();
	if (tracefs->root < 0) {
		err = tracefs->root;
		tracefs->root = open("/sys/kernel/tracing", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (tracefs->root < 0 ||
		    faccessat(tracefs->root, "uprobe_events", W_OK, AT_EACCESS)) {
			tracefs_close(tracefs);
			return err;
		}
	}
	*out = tracefs;
	return 0;
}

void tracefs_close(struct tracefs *tracefs)
{
	if (!tracefs)
		return;
	if (tracefs->root >= 0)
		close(tracefs->root);
	free(tracefs);
}

int tracefs_fd(const struct tracefs *tracefs)
{
	return tracefs->root;
}

int64_t tracefs_event_id(const struct tracefs *tracefs, const char *group, const char *event)
{
	char path[256], text[32];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "events/%s/%s/id", group, event) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = openat(tracefs->root, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}

static int uprobe_command(const struct tracefs *tracefs, const char *command)
{
	int fd = openat(tracefs->root, "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, command, strlen(command)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int tracefs_uprobe_define(const struct tracefs *tracefs, const char *group, const char *event,
			  int fd, uint64_t offset, uint64_t semaphore_offset)
{
	char command[256], semaphore[32] = "";

	if (semaphore_offset)
		snprintf(semaphore, sizeof(semaphore), "(0x%" PRIx64 ")", semaphore_offset);
	/* By descriptor: right for deleted files and for those of other mount namespaces. */
	if (snprintf(command, sizeof(command), "p:%s/%s /proc/self/fd/%d:0x%" PRIx64 "%s\n", group,
		     event, fd, offset, semaphore) >= (int)sizeof(command))
		return -ENAMETOOLONG;
	return uprobe_command(tracefs, command);
}

int tracefs_uprobe_remove(const struct tracefs *tracefs, const char *group, const char *event)
{
	char command[192];

	snprintf(command, sizeof(command), "-:%s/%s\n", group, event);
	return uprobe_command(tracefs, command);
}

/*
 * Calls fn with each directory in a directory of tracefs. Not by uprobe_events: that is read by
 * pieces, and where others define or remove events in between, lines of ours would be missed.
 */
static int directories_each(const struct tracefs *tracefs, const char *path,
			    int (*fn)(void *context, const char *name), void *context)
{
	int fd = openat(tracefs->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *directory;
	int err = 0;

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (!directory) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			err = fn(context, entry->d_name);
	closedir(directory);
	return err;
}

struct group_search {
	const char *prefix;
	void (*fn)(void *context, const char *group);
	void *context;
};

static int group_match(void *context, const char *name)
{
	const struct group_search *search = context;

	if (!strncmp(name, search->prefix, strlen(search->prefix)))
		search->fn(search->context, name);
	return 0;
}

int tracefs_uprobe_groups(const struct tracefs *tracefs, const char *prefix,
			  void (*fn)(void *context, const char *group), void *context)
{
	struct group_search search = {.prefix = prefix, .fn = fn, .context = context};

	return directories_each(tracefs, "events", group_match, &search);
}

struct removal {
	const struct tracefs *tracefs;
	const char *group;
};

static int event_remove(void *context, const char *name)
{
	const struct removal *removal = context;

	tracefs_uprobe_remove(removal->tracefs, removal->group, name);
	return 0;
}

/* One pass. 0: there was none, and so no directory of the group; -EBUSY: there may be some. */
static int uprobes_remove_once(const struct tracefs *tracefs, const char *group)
{
	struct removal removal = {tracefs, group};
	char path[128];
	int err;

	if (snprintf(path, sizeof(path), "events/%s", group) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	err = directories_each(tracefs, path, event_remove, &removal);
	if (err)
		return err == -ENOENT ? 0 : err;
	return -EBUSY;
}

int tracefs_uprobes_remove(const struct tracefs *tracefs, const char *group, unsigned int seconds)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	int err = uprobes_remove_once(tracefs, group);

	for (unsigned int i = 0; err == -EBUSY && i < seconds * 50; i++) {
		nanosleep(&pause, NULL);
		err = uprobes_remove_once(tracefs, group);
	}
	return err;
}
