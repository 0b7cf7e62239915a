/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracefs by descriptors. Owns the detached mount and the text forms of its files; must not know
 * what the events are for.
 */
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

/* The whole of uprobe_events as text; the caller frees. */
static int uprobe_list(const struct tracefs *tracefs, char **out)
{
	int fd = openat(tracefs->root, "uprobe_events", O_RDONLY | O_CLOEXEC);
	FILE *file;
	size_t size = 0;

	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	*out = NULL;
	if (getdelim(out, &size, '\0', file) < 0) {
		free(*out);
		*out = calloc(1, 1); /* empty: no events */
	}
	fclose(file);
	return *out ? 0 : -ENOMEM;
}

/* Splits "p:GROUP/EVENT REST" in place; false: not such a line. */
static bool uprobe_line_split(char *line, char **group, char **event)
{
	char *slash;

	if (line[0] != 'p' && line[0] != 'r')
		return false;
	*group = strchr(line, ':');
	if (!*group)
		return false;
	*(*group)++ = '\0';
	slash = strchr(*group, '/');
	if (!slash)
		return false;
	*slash = '\0';
	*event = slash + 1;
	(*event)[strcspn(*event, " \n")] = '\0';
	return true;
}

int tracefs_uprobe_groups(const struct tracefs *tracefs, const char *prefix,
			  void (*fn)(void *context, const char *group), void *context)
{
	char *text, *line, *group, *event, *save = NULL;
	int err = uprobe_list(tracefs, &text);

	if (err)
		return err;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (uprobe_line_split(line, &group, &event) &&
		    !strncmp(group, prefix, strlen(prefix)))
			fn(context, group);
	free(text);
	return 0;
}

/* One pass. 0: none is left; -EBUSY: some are still in use. */
static int uprobes_remove_once(const struct tracefs *tracefs, const char *wanted)
{
	char *text, *line, *group, *event, *save = NULL;
	int err = uprobe_list(tracefs, &text);

	if (err)
		return err;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!uprobe_line_split(line, &group, &event) || strcmp(group, wanted))
			continue;
		if (tracefs_uprobe_remove(tracefs, group, event))
			err = -EBUSY;
	}
	free(text);
	return err;
}

int tracefs_uprobes_remove(const struct tracefs *tracefs, const char *group)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	int err = uprobes_remove_once(tracefs, group);

	for (int i = 0; err == -EBUSY && i < 100; i++) {
		nanosleep(&pause, NULL);
		err = uprobes_remove_once(tracefs, group);
	}
	return err;
}
