/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: reading an interpreter's options out of a command or out of a script's first line. Must not
 * know what for.
 */
#include "interpreter_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 256 /* of a script's first line, as Linux reads it */
#define WORDS_MAX  32

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_python(const char *path)
{
	const char *name = base_name(path);

	return strncmp(name, "python", 6) == 0 || strncmp(name, "pypy", 4) == 0;
}

int program_find(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");
	int err = -ENOENT;

	if (strchr(name, '/')) {
		if ((size_t)snprintf(out, size, "%s", name) >= size)
			return -ENAMETOOLONG;
		return access(out, X_OK) ? -errno : 0;
	}
	for (path = path ? path : "/usr/bin:/bin"; *name && *path;) {
		int length = (int)strcspn(path, ":");
		int bytes = snprintf(out, size, "%.*s/%s", length ? length : 1, length ? path : ".",
				     name);

		if (bytes > 0 && (size_t)bytes < size) {
			if (!access(out, X_OK))
				return 0;
			err = errno == EACCES ? -EACCES : err;
		}
		path += length + (path[length] == ':');
	}
	return err;
}

/* Of a cluster such as "-sE": the flag, 0: none. *end: the options end with it; *skip: the next
 * word is its value. */
static char cluster_read(const char *option, bool *end, bool *skip)
{
	if (option[1] == '-') {
		*end = !option[2];
		*skip = !strcmp(option, "--check-hash-based-pycs");
		return 0;
	}
	for (const char *letter = option + 1; *letter; letter++) {
		switch (*letter) {
		case 'E':
		case 'I':
		case 'S':
			return *letter;
		case 'c':
		case 'm':
			*end = true;
			return 0;
		case 'W':
		case 'X':
			*skip = !letter[1];
			return 0;
		}
	}
	return 0;
}

/* words: what follows the interpreter, ends with NULL. */
static char words_read(char *const words[])
{
	bool end = false, skip = false;
	char flag = 0;

	for (; *words && !flag && !end; words++) {
		if (skip)
			skip = false;
		else if (words[0][0] != '-' || !words[0][1])
			end = true;
		else
			flag = cluster_read(*words, &end, &skip);
	}
	return flag;
}

/* "#!/usr/bin/env -S python3 -I": env, its options and assignments are gone over. */
static char script_read(char *line)
{
	char *words[WORDS_MAX + 1] = {NULL}, *state = NULL;
	size_t count = 0, at = 0;

	for (char *word = strtok_r(line, " \t", &state); word && count < WORDS_MAX;
	     word = strtok_r(NULL, " \t", &state))
		words[count++] = word;
	if (count && !strcmp(base_name(words[0]), "env"))
		for (at = 1; at < count && (words[at][0] == '-' || strchr(words[at], '=')); at++)
			;
	return at < count && is_python(words[at]) ? words_read(words + at + 1) : 0;
}

char interpreter_flag_find(const char *path, char *const argv[])
{
	char line[LINE_BYTES + 1];
	ssize_t bytes;
	int fd;

	if (is_python(path))
		return words_read(argv + 1);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bytes = fd < 0 ? -1 : read(fd, line, LINE_BYTES);
	if (fd >= 0)
		close(fd);
	if (bytes < 2 || memcmp(line, "#!", 2) != 0)
		return 0;
	line[bytes] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return script_read(line + 2);
}
