/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way from a process's descriptors to its listening sockets: /proc/PID/fd names sockets by
 * inode, /proc/PID/net/{tcp,tcp6,unix} say what they are (proc(5)). In the lists of TCP those that
 * listen come first (net/ipv4/tcp_ipv4.c, tcp_seq_start), so a host with very many connections does
 * not make this slow.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listening.h"

#define PATH_BYTES   64	 /* "/proc/PID/net/tcp6" */
#define SOCKETS_MAX  256 /* looked at of a process: servers open theirs first */
#define TCP_LISTEN   0x0a
#define UNIX_ACCEPTS 0x10000 /* __SO_ACCEPTCON */

struct sockets {
	uint64_t inodes[SOCKETS_MAX]; /* in the order of the descriptors */
	int count;
};

struct search {
	const struct sockets *sockets;
	int best; /* index of the first one found, sockets->count: none */
	char *out;
	size_t size;
};

/* 0 or -errno. */
static int sockets_read(pid_t pid, struct sockets *sockets)
{
	char path[PATH_BYTES], target[64];
	struct dirent *entry;
	DIR *directory;
	ssize_t bytes;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (!directory)
		return -errno;
	while (sockets->count < SOCKETS_MAX && (entry = readdir(directory))) {
		bytes = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
		if (bytes <= 0)
			continue;
		target[bytes] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &sockets->inodes[sockets->count]) == 1)
			sockets->count++;
	}
	closedir(directory);
	return 0;
}

/* Whether this socket comes before the best until now; then it is that. */
static bool search_takes(struct search *search, uint64_t inode)
{
	for (int i = 0; i < search->best; i++) {
		if (search->sockets->inodes[i] != inode)
			continue;
		search->best = i;
		return true;
	}
	return false;
}

/* "0100007F:1F90": words of 32 bits as the host has them, hexadecimal. */
static bool address_put(const char *local, unsigned int port, char *out, size_t size)
{
	int words = strlen(local) == 8 ? 1 : 4, family = words == 1 ? AF_INET : AF_INET6, used;
	char text[INET6_ADDRSTRLEN];
	uint32_t address[4];

	for (int i = 0; i < words; i++)
		if (sscanf(local + (ptrdiff_t)8 * i, "%8" SCNx32, &address[i]) != 1)
			return false;
	if (!inet_ntop(family, address, text, sizeof(text)))
		return false;
	used = snprintf(out, size, family == AF_INET ? "%s:%u" : "[%s]:%u", text, port);
	return used > 0 && (size_t)used < size;
}

/* False: those that listen are through. */
static bool tcp_line(struct search *search, const char *line)
{
	char local[33], best[128];
	unsigned int port, state;
	uint64_t inode;

	if (sscanf(line,
		   " %*[0-9]: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u "
		   "%" SCNu64,
		   local, &port, &state, &inode) != 4)
		return true; /* the heading */
	if (state != TCP_LISTEN)
		return false;
	if (strlen(local) % 8 == 0 && search_takes(search, inode) &&
	    address_put(local, port, best, sizeof(best)))
		snprintf(search->out, search->size, "%s", strlen(best) < search->size ? best : "");
	return true;
}

/* "Num: RefCount Protocol Flags Type St Inode Path" */
static bool unix_line(struct search *search, const char *line)
{
	unsigned int flags;
	uint64_t inode;
	int path = 0;

	if (sscanf(line, "%*[0-9a-f]: %*x %*x %x %*x %*x %" SCNu64 " %n", &flags, &inode, &path) !=
		    2 ||
	    !path || !(flags & UNIX_ACCEPTS) || !line[path])
		return true;
	if (strlen(line + path) + sizeof("unix:") <= search->size && search_takes(search, inode))
		snprintf(search->out, search->size, "unix:%s", line + path);
	return true;
}

static void list_search(pid_t pid, const char *name, struct search *search,
			bool (*take)(struct search *search, const char *line))
{
	char path[PATH_BYTES];
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, name);
	file = fopen(path, "re");
	if (!file)
		return; /* a kernel without IPv6, or a process that has gone */
	while ((bytes = getline(&line, &room, file)) > 0) {
		if (line[bytes - 1] == '\n')
			line[bytes - 1] = '\0';
		if (!take(search, line))
			break;
	}
	free(line);
	fclose(file);
}

int listening_address(pid_t pid, char *out, size_t size)
{
	struct sockets sockets = {0};
	struct search search = {.sockets = &sockets, .out = out, .size = size};
	int err = sockets_read(pid, &sockets);

	out[0] = '\0';
	search.best = sockets.count;
	if (err || !sockets.count)
		return err ? err : -ENOENT;
	list_search(pid, "tcp", &search, tcp_line);
	list_search(pid, "tcp6", &search, tcp_line);
	if (search.best == sockets.count)
		list_search(pid, "unix", &search, unix_line);
	return out[0] ? 0 : -ENOENT;
}
