/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: reading /proc: stat, cmdline, maps, task. Every read may find the process gone: that is
 * -ESRCH, never a message. Names and paths are the process's own and hold whatever it likes.
 * Must not know: Python, servers, ELF.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "proc.h"

#define PROC_PATH_MAX 64 /* "/proc/PID/map_files/START-END" */
/* A name of 64 characters (a kernel thread's), and 50 numbers of 20 digits. */
#define STAT_MAX	2048
#define MAPS_READ_BYTES (16 << 10)
/* Passes over /proc until two agree on a tree. A server that forks faster than that is unwell. */
#define TREE_PASSES_MAX 8

struct pid_list {
	pid_t *pids;
	size_t count, room;
};

/* /proc says ENOENT where a process is gone before the open, ESRCH after it. */
static int error_of_process(int error)
{
	return error == ENOENT ? -ESRCH : -error;
}

static int pid_file_open(pid_t pid, const char *name)
{
	char path[PROC_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_of_process(errno) : fd;
}

int proc_text_read(pid_t pid, const char *name, char *out, size_t size)
{
	size_t used = 0;
	ssize_t got;
	int fd, err = 0;

	out[0] = '\0';
	fd = pid_file_open(pid, name);
	if (fd < 0)
		return fd;
	while (used < size - 1) {
		got = read(fd, out + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = error_of_process(errno);
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	out[used] = '\0';
	return err ? err : (int)used;
}

int proc_stat_read(pid_t pid, struct proc_stat *out)
{
	char text[STAT_MAX];
	const char *open_paren, *close_paren;
	unsigned long long start_ticks;
	long threads;
	int parent, err;

	err = proc_text_read(pid, "stat", text, sizeof(text));
	if (err < 0)
		return err;
	/* The name is there as it is, be it ") R 1 " or a newline; the numbers hold no parenthesis.
	 */
	open_paren = strchr(text, '(');
	close_paren = strrchr(text, ')');
	if (!open_paren || !close_paren || close_paren < open_paren)
		return -EBADMSG;
	/* state ppid, 15 fields on to num_threads, itrealvalue, starttime */
	if (sscanf(close_paren + 1,
		   " %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %*s "
		   "%llu",
		   &parent, &threads, &start_ticks) != 3)
		return -EBADMSG;
	snprintf(out->comm, sizeof(out->comm), "%.*s", (int)(close_paren - open_paren - 1),
		 open_paren + 1);
	out->parent = parent;
	out->threads = (int)threads;
	out->start_ticks = start_ticks;
	return 0;
}

int proc_cmdline_read(pid_t pid, char *out, size_t size)
{
	return proc_text_read(pid, "cmdline", out, size);
}

/* Reads a number and the one character that must follow it; NULL where it does not. */
static const char *number_take(const char *from, int base, char after, uint64_t *out)
{
	char *end;

	if (!isxdigit((unsigned char)*from))
		return NULL;
	errno = 0;
	*out = strtoull(from, &end, base);
	if (errno || *end != after)
		return NULL;
	return end + 1;
}

/* "START-END rwxp OFFSET MAJOR:MINOR INODE    PATH", without its newline. */
static bool mapping_parse(const char *line, struct proc_mapping *out)
{
	uint64_t major_number, minor_number;
	const char *at, *rights;
	char *end;

	at = number_take(line, 16, '-', &out->start);
	if (at)
		at = number_take(at, 16, ' ', &out->end);
	if (!at || strnlen(at, 5) < 5 || at[4] != ' ')
		return false;
	rights = at;
	at = number_take(at + 5, 16, ' ', &out->offset);
	if (at)
		at = number_take(at, 16, ':', &major_number);
	if (at)
		at = number_take(at, 16, ' ', &minor_number);
	if (!at || !isdigit((unsigned char)*at))
		return false;
	out->inode = strtoull(at, &end, 10);
	while (*end == ' ')
		end++;
	out->path = end;
	out->writable = rights[1] == 'w';
	out->executable = rights[2] == 'x';
	out->device = makedev((unsigned int)major_number, (unsigned int)minor_number);
	return true;
}

int proc_mappings_each(pid_t pid, proc_mapping_fn fn, void *context)
{
	struct proc_mapping mapping;
	char *line = NULL;
	size_t room = 0;
	ssize_t bytes;
	FILE *file;
	int fd, result = 0;

	fd = pid_file_open(pid, "maps");
	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		result = -errno;
		close(fd);
		return result;
	}
	setvbuf(file, NULL, _IOFBF, MAPS_READ_BYTES); /* the C library would read 1 KB at a time */
	while (!result) {
		errno = 0;
		bytes = getline(&line, &room, file);
		if (bytes <= 0) {
			result = ferror(file) ? error_of_process(errno) : 0;
			break;
		}
		if (line[bytes - 1] == '\n')
			line[bytes - 1] = '\0';
		result = mapping_parse(line, &mapping) ? fn(context, &mapping) : -EBADMSG;
	}
	free(line);
	fclose(file);
	return result;
}

/*
 * Opens a file only if it is a regular one: opening a device or a FIFO can have effects, and a
 * process may map the former. fd, -EINVAL (something else), -errno.
 */
static int regular_open(const char *path, struct stat *st)
{
	int fd, err = 0;

	if (stat(path, st))
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, st))
		err = -errno;
	else if (!S_ISREG(st->st_mode))
		err = -EINVAL;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* A path as /proc/PID/maps has it, where newline is written \012. */
static void path_unescape(const char *from, char *out, size_t size)
{
	size_t used = 0;

	while (*from && used < size - 1) {
		if (strncmp(from, "\\012", 4) == 0) {
			out[used++] = '\n';
			from += 4;
			continue;
		}
		out[used++] = *from++;
	}
	out[used] = '\0';
}

/*
 * By name, as the process sees it. The name may mean another file by now: the inode number tells.
 * The device does not: on btrfs and overlayfs stat() and maps name different ones.
 */
static int mapping_open_by_path(pid_t pid, const struct proc_mapping *mapping)
{
	char path[PROC_PATH_MAX + PATH_MAX];
	struct stat st;
	int fd, used;

	if (mapping->path[0] != '/')
		return -ENOENT;
	used = snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	path_unescape(mapping->path, path + used, sizeof(path) - (size_t)used);
	fd = regular_open(path, &st);
	if (fd >= 0 && st.st_ino != mapping->inode) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

int proc_mapping_open(pid_t pid, const struct proc_mapping *mapping)
{
	char path[PROC_PATH_MAX];
	struct stat st;
	int fd;

	if (!mapping->inode)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
		 (unsigned long long)mapping->start, (unsigned long long)mapping->end);
	fd = regular_open(path, &st);
	/*
	 * Following map_files takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN; the path does not. And
	 * the mapping may have been split or joined since, then only its path is still right.
	 */
	if (fd == -EPERM || fd == -EACCES || fd == -ENOENT)
		fd = mapping_open_by_path(pid, mapping);
	return fd;
}

static int pid_list_add(struct pid_list *list, pid_t pid)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		pid_t *pids = realloc(list->pids, room * sizeof(*pids));

		if (!pids)
			return -ENOMEM;
		list->pids = pids;
		list->room = room;
	}
	list->pids[list->count++] = pid;
	return 0;
}

static int pid_compare(const void *left, const void *right)
{
	pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;

	return (a > b) - (a < b);
}

/* The numbers among the names in a directory, ascending. Count or -errno. */
static int pid_directory_list(const char *path, pid_t **out)
{
	struct pid_list list = {0};
	struct dirent *entry;
	DIR *directory;
	int err = 0;

	directory = opendir(path);
	if (!directory)
		return error_of_process(errno);
	while (!err) {
		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			err = error_of_process(errno);
			break;
		}
		if (isdigit((unsigned char)entry->d_name[0]))
			err = pid_list_add(&list, atoi(entry->d_name));
	}
	closedir(directory);
	if (!err && list.count > INT_MAX)
		err = -EOVERFLOW;
	if (err) {
		free(list.pids);
		return err;
	}
	if (list.count)
		qsort(list.pids, list.count, sizeof(*list.pids), pid_compare);
	*out = list.pids;
	return (int)list.count;
}

int proc_list(pid_t **out)
{
	return pid_directory_list("/proc", out);
}

int proc_threads(pid_t pid, pid_t **out)
{
	char path[PROC_PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return pid_directory_list(path, out);
}

/* The parents of pids, in the same order; 0: gone since. Malloc'ed, NULL: no memory. */
static pid_t *parents_read(const pid_t *pids, int count)
{
	pid_t *parents = calloc((size_t)count + 1, sizeof(*parents));
	struct proc_stat stat;

	for (int i = 0; parents && i < count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-*): pids is there where count is */
		parents[i] = proc_stat_read(pids[i], &stat) ? 0 : stat.parent;
	return parents;
}

/*
 * One pass over /proc: pid and its descendants, breadth first. The children are found by asking
 * every process for its parent, since /proc/PID/task/TID/children is complete only for a process
 * that is stopped. Count, -ESRCH, -errno.
 */
static int tree_pass(pid_t pid, struct pid_list *tree)
{
	pid_t *pids = NULL, *parents;
	int count, err;

	tree->count = 0;
	count = proc_list(&pids);
	if (count < 0)
		return count;
	parents = parents_read(pids, count);
	if (!parents)
		err = -ENOMEM;
	else if (!count || !bsearch(&pid, pids, (size_t)count, sizeof(*pids), pid_compare))
		err = -ESRCH; /* also a thread's number, which /proc opens but does not list */
	else
		err = pid_list_add(tree, pid);
	for (size_t i = 0; !err && i < tree->count; i++) {
		for (int j = 0; !err && j < count; j++) {
			if (parents[j] != tree->pids[i] || pids[j] == pid)
				continue;
			err = pid_list_add(tree, pids[j]);
			/* Once: reused pids may make two processes each other's parent. */
			parents[j] = 0;
		}
	}
	free(pids);
	free(parents);
	return err;
}

static bool pid_lists_equal(const struct pid_list *a, const struct pid_list *b)
{
	return a->count == b->count && memcmp(a->pids, b->pids, a->count * sizeof(*a->pids)) == 0;
}

int proc_tree(pid_t pid, pid_t **out)
{
	struct pid_list passes[2] = {0};
	struct pid_list *tree = NULL;
	int err = 0;

	/* A child born behind the reader's back (pids wrap around) is found by the next pass. */
	for (int i = 0; i < TREE_PASSES_MAX; i++) {
		tree = &passes[i % 2];
		err = tree_pass(pid, tree);
		if (err || pid_lists_equal(&passes[0], &passes[1]))
			break;
	}
	if (!err && tree->count > INT_MAX)
		err = -EOVERFLOW;
	if (!err) {
		*out = tree->pids;
		tree->pids = NULL;
	}
	free(passes[0].pids);
	free(passes[1].pids);
	return err ? err : (int)tree->count;
}
