/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns how a container is told: by a PID namespace below ours, named by its control group. Must not
 * know any container program but by how it names control groups.
 */
#include "container.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc.h"

#define TEXT_BYTES   8192
#define ID_DIGITS    64 /* a container's id, SHA-256 as hexadecimal digits */
#define SHORT_DIGITS 12 /* as container programs show it */

/*
 * The path of the control group that tells most: the one of version 2, systemd's of version 1,
 * else any other that is not the root. A line is ID:CONTROLLERS:PATH (cgroups(7)).
 */
static size_t path_find(const char *text, const char **out)
{
	size_t best = 0, found = 0;

	while (*text) {
		size_t bytes = strcspn(text, "\n");
		const char *names = memchr(text, ':', bytes);
		const char *path =
			names ? memchr(names + 1, ':', bytes - (size_t)(names + 1 - text)) : NULL;
		size_t rank = 1;

		if (path && names + 1 == path)
			rank = 3;
		else if (path && !strncmp(names, ":name=systemd:", 14))
			rank = 2;
		if (path && path + 2 < text + bytes && rank > best) {
			best = rank;
			*out = path + 1;
			found = (size_t)(text + bytes - (path + 1));
		}
		text += bytes + (text[bytes] == '\n');
	}
	return found;
}

/* Where a run of exactly ID_DIGITS hexadecimal digits begins; NULL: nowhere. */
static const char *id_find(const char *path, size_t bytes)
{
	size_t digits = 0;

	for (size_t i = 0; i <= bytes; i++) {
		if (i < bytes && isxdigit((unsigned char)path[i])) {
			digits++;
			continue;
		}
		if (digits == ID_DIGITS)
			return path + i - digits;
		digits = 0;
	}
	return NULL;
}

static size_t suffix_cut(const char *name, size_t bytes, const char *suffix)
{
	size_t length = strlen(suffix);

	return bytes > length && !memcmp(name + bytes - length, suffix, length) ? bytes - length
										: bytes;
}

void container_name(const char *cgroups, char out[CONTAINER_NAME_BYTES])
{
	const char *path = "", *id, *last;
	size_t bytes = path_find(cgroups, &path);

	id = id_find(path, bytes);
	if (id) {
		snprintf(out, CONTAINER_NAME_BYTES, "%.*s", SHORT_DIGITS, id);
		return;
	}
	last = path + bytes;
	while (last > path && last[-1] != '/')
		last--;
	bytes -= (size_t)(last - path);
	bytes = suffix_cut(last, bytes, ".scope");
	bytes = suffix_cut(last, bytes, ".service");
	if (bytes >= CONTAINER_NAME_BYTES)
		bytes = CONTAINER_NAME_BYTES - 1;
	memcpy(out, last, bytes);
	out[bytes] = '\0';
}

/* The innermost of the PIDs in "NSpid:\t812\t7\n"; 0: there is but one. */
static pid_t inner_pid(const char *status)
{
	const char *line = strstr(status, "\nNSpid:");
	char *end;
	long pid = 0;
	int count = 0;

	if (!line)
		return 0;
	line += strlen("\nNSpid:");
	while (*line == '\t') {
		pid = strtol(line + 1, &end, 10);
		if (end == line + 1)
			return 0;
		count++;
		line = end;
	}
	return count > 1 ? (pid_t)pid : 0;
}

int container_find(pid_t pid, struct container *out)
{
	char text[TEXT_BYTES];
	int bytes = proc_text_read(pid, "status", text, sizeof(text));

	if (bytes < 0)
		return bytes;
	out->pid = inner_pid(text);
	out->name[0] = '\0';
	if (!out->pid)
		return -ENOENT;
	bytes = proc_text_read(pid, "cgroup", text, sizeof(text));
	if (bytes < 0)
		return bytes;
	container_name(text, out->name);
	return 0;
}
