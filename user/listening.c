/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way from a process's descriptors to its listening sockets: /proc/PID/fd names sockets by
 * inode, /proc/PID/net/{tcp,tcp6,unix} say what they are (proc(5)). In the lists of TCP those that
 * listen come first (net/ipv4/tcp_ipv4.c, tcp_seq_start), so a host with very many connections does
 * not make this slow; but where there are few, the kernel walks its whole empty table to find that
 * out. So what was read of a network namespace is remembered for as long as a look at all workers
 * takes.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "listening.h"

#define PATH_BYTES   64	 /* "/proc/PID/net/tcp6" */
#define SOCKETS_MAX  256 /* looked at of a process: servers open theirs first */
#define ADDRESS_MAX  128
#define TCP_LISTEN   0x0a
#define UNIX_ACCEPTS 0x10000 /* __SO_ACCEPTCON */
#define NETS_MAX     16
#define NET_LIFE_NS  (2 * 1000000000LL)
#define NET_AGAIN_NS (200 * 1000000LL) /* where what was sought is not there */

/* Sockets of a process, in the order of the descriptors. */
struct sockets {
	uint64_t inodes[SOCKETS_MAX];
	int count;
};

struct listener {
	uint64_t inode;
	bool is_unix;
	uint16_t port; /* 0: unix */
	char address[ADDRESS_MAX];
};

/* All that listen in a network namespace. */
struct net {
	uint64_t inode;	 /* of the namespace, 0: none read yet */
	int64_t read_ns; /* CLOCK_MONOTONIC */
	struct listener *listeners;
	size_t count, room;
};

/* The one that was read longest ago is given up for another one. */
static struct net nets[NETS_MAX];

static int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

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

/* A place for one more; NULL: no memory. */
static struct listener *listener_add(struct net *net, uint64_t inode, bool is_unix)
{
	struct listener *grown = net->listeners;

	if (net->count == net->room) {
		net->room = net->room ? 2 * net->room : 32;
		grown = realloc(grown, net->room * sizeof(*grown));
		if (!grown) {
			net->room = net->count;
			return NULL;
		}
		net->listeners = grown;
	}
	grown += net->count++;
	*grown = (struct listener){.inode = inode, .is_unix = is_unix};
	return grown;
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
static bool tcp_line(struct net *net, const char *line)
{
	char local[33];
	unsigned int port, state;
	struct listener *listener;
	uint64_t inode;

	if (sscanf(line,
		   " %*[0-9]: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u "
		   "%" SCNu64,
		   local, &port, &state, &inode) != 4)
		return true; /* the heading */
	if (state != TCP_LISTEN)
		return false;
	if (strlen(local) != 8 && strlen(local) != 32)
		return true;
	listener = listener_add(net, inode, false);
	if (listener)
		listener->port = (uint16_t)port;
	if (listener && !address_put(local, port, listener->address, sizeof(listener->address)))
		net->count--;
	return true;
}

/* "Num: RefCount Protocol Flags Type St Inode Path" */
static bool unix_line(struct net *net, const char *line)
{
	struct listener *listener;
	unsigned int flags;
	uint64_t inode;
	int path = 0;

	if (sscanf(line, "%*[0-9a-f]: %*x %*x %x %*x %*x %" SCNu64 " %n", &flags, &inode, &path) !=
		    2 ||
	    !path || !(flags & UNIX_ACCEPTS) || !line[path])
		return true;
	listener = listener_add(net, inode, true);
	if (listener)
		snprintf(listener->address, sizeof(listener->address), "unix:%s", line + path);
	return true;
}

static void list_read(struct net *net, pid_t pid, const char *name,
		      bool (*take)(struct net *net, const char *line))
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
		if (!take(net, line))
			break;
	}
	free(line);
	fclose(file);
}

/* The network namespace of a process as it was not longer ago than that. NULL: it has gone. */
static const struct net *net_find(pid_t pid, int64_t life_ns)
{
	struct net *net = &nets[0];
	char path[PATH_BYTES];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat(path, &st))
		return NULL;
	for (int i = 0; i < NETS_MAX; i++) {
		if (nets[i].inode == st.st_ino) {
			net = &nets[i];
			break;
		}
		if (nets[i].read_ns < net->read_ns)
			net = &nets[i];
	}
	if (net->inode == st.st_ino && clock_now_ns() - net->read_ns < life_ns)
		return net;
	net->inode = st.st_ino;
	net->read_ns = clock_now_ns();
	net->count = 0;
	list_read(net, pid, "tcp", tcp_line);
	list_read(net, pid, "tcp6", tcp_line);
	list_read(net, pid, "unix", unix_line);
	return net;
}

/* The first of the sockets, in their order, that listens. */
static const struct listener *listener_first(const struct net *net, const struct sockets *sockets,
					     bool is_unix)
{
	for (int i = 0; i < sockets->count; i++)
		for (size_t j = 0; j < net->count; j++)
			if (net->listeners[j].inode == sockets->inodes[i] &&
			    net->listeners[j].is_unix == is_unix)
				return &net->listeners[j];
	return NULL;
}

static const struct listener *listener_find(pid_t pid, const struct sockets *sockets,
					    int64_t life_ns)
{
	const struct net *net = net_find(pid, life_ns);
	const struct listener *listener = net ? listener_first(net, sockets, false) : NULL;

	return listener || !net ? listener : listener_first(net, sockets, true);
}

int listening_address(pid_t pid, char *out, size_t size)
{
	struct sockets sockets = {0};
	const struct listener *listener;
	int err = sockets_read(pid, &sockets);

	out[0] = '\0';
	if (err || !sockets.count)
		return err ? err : -ENOENT;
	listener = listener_find(pid, &sockets, NET_LIFE_NS);
	if (!listener)
		listener = listener_find(pid, &sockets, NET_AGAIN_NS);
	if (!listener || strlen(listener->address) >= size)
		return -ENOENT;
	strcpy(out, listener->address);
	return 0;
}

int listening_ports(pid_t pid, int (*fn)(void *context, uint64_t net_inode, uint16_t port),
		    void *context)
{
	struct sockets sockets = {0};
	int err = sockets_read(pid, &sockets);
	const struct net *net;

	if (err || !sockets.count)
		return err;
	net = net_find(pid, NET_AGAIN_NS);
	for (size_t i = 0; net && i < net->count && !err; i++)
		for (int j = 0; j < sockets.count && !err; j++)
			if (net->listeners[i].port && net->listeners[i].inode == sockets.inodes[j])
				err = fn(context, net->inode, net->listeners[i].port);
	return err;
}
