// LINK: user/proc.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc.c against the real /proc: this process, and children made odd on purpose. Each test ends
 * the children that it made.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "proc.h"

/* By the names in its folder: those that it has made, and thread sanitizer's own. */
static int threads_there(pid_t pid)
{
	char pattern[64];
	glob_t found;
	int count;

	snprintf(pattern, sizeof(pattern), "/proc/%d/task/[0-9]*", pid);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	count = (int)found.gl_pathc;
	globfree(&found);
	return count;
}

/* A child that has done its preparations and waits to be ended. */
struct child {
	pid_t pid;
	int ready; /* the reading end of a pipe that closes when all who hold it have ended */
};

/* Forks, lets the child run prepare(context), waits until it has. */
static struct child child_start(void (*prepare)(void *context, int pipe), void *context)
{
	struct child child;
	int pipes[2];
	char byte;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[0]);
		prepare(context, pipes[1]);
		if (write(pipes[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	child.ready = pipes[0];
	return child;
}

static void child_end(struct child *child)
{
	assert_int_equal(kill(child->pid, SIGKILL), 0);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	close(child->ready);
}

static void test_stat_of_self(void **state)
{
	struct proc_stat stat, again;

	assert_int_equal(proc_stat_read(getpid(), &stat), 0);
	assert_int_equal(stat.parent, getppid());
	assert_int_equal(stat.threads, 1);
	assert_true(stat.start_ticks > 0);
	assert_int_equal(proc_stat_read(getpid(), &again), 0);
	assert_true(stat.start_ticks == again.start_ticks);
}

static void rename_self(void *context, int pipe)
{
	prctl(PR_SET_NAME, context);
}

static void test_stat_of_odd_names(void **state)
{
	static const char *const names[] = {
		") R 1",    "a\nb", "\\n(\\", "((((",	      "))))",
		"\x1b[31m", "",	    " ",      "\xff\xfe\x80", "123456789012345",
	};
	struct proc_stat stat;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct child child = child_start(rename_self, (void *)names[i]);

		assert_int_equal(proc_stat_read(child.pid, &stat), 0);
		assert_string_equal(stat.comm, names[i]);
		assert_int_equal(stat.parent, getpid());
		assert_int_equal(stat.threads, threads_there(child.pid));
		child_end(&child);
	}
}

static void *thread_wait(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct proc_stat stat;
	pthread_t threads[3];
	pid_t *tids, *tree;
	int count;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_wait, &lock), 0);
	assert_int_equal(proc_stat_read(getpid(), &stat), 0);
	assert_true(stat.threads >= 4);
	assert_int_equal(stat.threads, threads_there(getpid()));
	count = proc_threads(getpid(), &tids);
	assert_int_equal(count, stat.threads);
	for (int i = 1; i < count; i++)
		assert_true(tids[i] > tids[i - 1]);
	/* /proc opens a thread's number, but it is no process. */
	assert_int_not_equal(tids[3], getpid());
	assert_int_equal(proc_tree(tids[3] == getpid() ? tids[2] : tids[3], &tree), -ESRCH);
	free(tids);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static int mapping_count(void *context, const struct proc_mapping *mapping)
{
	++*(int *)context;
	return 0;
}

/* A process that has ended and not been waited for, then one that is gone. */
static void test_gone(void **state)
{
	struct child child = child_start(rename_self, "ending");
	char cmdline[64] = "before";
	struct proc_stat stat;
	siginfo_t info;
	int count = 0;
	pid_t *pids;

	kill(child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_stat_read(child.pid, &stat), 0);
	assert_string_equal(stat.comm, "ending");
	assert_int_equal(proc_cmdline_read(child.pid, cmdline, sizeof(cmdline)), 0);
	assert_string_equal(cmdline, "");
	assert_int_equal(proc_mappings_each(child.pid, mapping_count, &count), 0);
	assert_int_equal(count, 0);

	child_end(&child);
	assert_int_equal(proc_stat_read(child.pid, &stat), -ESRCH);
	assert_int_equal(proc_cmdline_read(child.pid, cmdline, sizeof(cmdline)), -ESRCH);
	assert_int_equal(proc_mappings_each(child.pid, mapping_count, &count), -ESRCH);
	assert_int_equal(proc_threads(child.pid, &pids), -ESRCH);
	assert_int_equal(proc_tree(child.pid, &pids), -ESRCH);
}

static void test_cmdline(void **state)
{
	char whole[4096], small[8], tiny[1];
	int bytes = proc_cmdline_read(getpid(), whole, sizeof(whole));

	assert_in_range(bytes, 8, sizeof(whole) - 1);
	assert_int_equal(whole[bytes], '\0');
	assert_non_null(strstr(whole, "test_proc"));
	assert_int_equal(proc_cmdline_read(getpid(), small, sizeof(small)), 7);
	assert_memory_equal(small, whole, 7);
	assert_int_equal(small[7], '\0');
	assert_int_equal(proc_cmdline_read(getpid(), tiny, sizeof(tiny)), 0);
}

/* Looks for the mapping at an address and opens it. */
struct mapping_search {
	uint64_t start;
	pid_t pid;
	int fd;
	bool executable, anonymous;
	char path[PATH_MAX];
};

static int mapping_open_at(void *context, const struct proc_mapping *mapping)
{
	struct mapping_search *search = context;

	assert_true(mapping->start < mapping->end);
	if (mapping->start != search->start)
		return 0;
	search->fd = proc_mapping_open(search->pid, mapping);
	search->executable = mapping->executable;
	search->anonymous = !mapping->inode;
	snprintf(search->path, sizeof(search->path), "%s", mapping->path);
	return 42;
}

static void mapping_expect(const void *address, const char *path_end, int executable,
			   const char *content)
{
	struct mapping_search search = {.start = (uintptr_t)address, .pid = getpid(), .fd = -1};
	char read_back[16] = "";

	assert_int_equal(proc_mappings_each(getpid(), mapping_open_at, &search), 42);
	assert_int_equal(search.executable, executable);
	assert_true(strlen(search.path) >= strlen(path_end));
	assert_string_equal(search.path + strlen(search.path) - strlen(path_end), path_end);
	assert_true(search.fd >= 0);
	assert_int_equal(read(search.fd, read_back, sizeof(read_back) - 1), strlen(content));
	assert_string_equal(read_back, content);
	close(search.fd);
}

static int file_make(int directory, const char *name, const char *content)
{
	int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	return fd;
}

/* Files that have lost their name can be opened only with the capabilities for this. */
static bool map_files_can_be_followed(void)
{
	glob_t files;
	int fd = -1;

	if (!glob("/proc/self/map_files/*", 0, NULL, &files))
		fd = open(files.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	globfree(&files);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void test_mapping_of_odd_file(void **state)
{
	char path[] = "/tmp/test_proc.XXXXXX";
	int directory, fd;
	void *at;

	assert_non_null(mkdtemp(path));
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = file_make(directory, "new\nline\\ and space", "content");
	at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	mapping_expect(at, "/new\\012line\\ and space", true, "content");

	/* Replaced by another file of that name: the one that is mapped counts. */
	assert_int_equal(unlinkat(directory, "new\nline\\ and space", 0), 0);
	close(fd);
	close(file_make(directory, "new\nline\\ and space", "other"));
	if (map_files_can_be_followed())
		mapping_expect(at, "/new\\012line\\ and space (deleted)", true, "content");

	munmap(at, 4096);
	assert_int_equal(unlinkat(directory, "new\nline\\ and space", 0), 0);
	close(directory);
	assert_int_equal(rmdir(path), 0);
}

/* Without capabilities a mapping is opened by its path: only if that is still the same file. */
static void test_mapping_without_privilege(void **state)
{
	struct mapping_search search = {.fd = -1};
	char path[] = "/tmp/test_proc.XXXXXX";
	const char *name = "new\nline";
	int directory, fd, status, results[2];
	pid_t pid;
	void *at;

	assert_non_null(mkdtemp(path));
	assert_int_equal(chmod(path, 0777), 0);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = file_make(directory, name, "content");
	assert_int_equal(fchmod(fd, 0644), 0);
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	pid = fork();
	if (!pid) {
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(100);
		prctl(PR_SET_DUMPABLE, 1);
		search.pid = getpid();
		search.start = (uintptr_t)at;
		for (int i = 0; i < 2; i++) {
			proc_mappings_each(getpid(), mapping_open_at, &search);
			results[i] = search.fd;
			unlinkat(directory, name, 0);
			if (openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644) <
			    0)
				_exit(103);
		}
		_exit(results[0] < 0 ? 101 : results[1] == -ENOENT ? 0 : 102);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	munmap(at, 4096);
	close(fd);
	assert_int_equal(unlinkat(directory, name, 0), 0);
	close(directory);
	assert_int_equal(rmdir(path), 0);
}

/* A path of several thousand characters. */
static void test_mapping_of_long_path(void **state)
{
	char top[] = "/tmp/test_proc.XXXXXX", name[201], command[64];
	int directory, next, fd;
	char end[402];
	void *at;

	memset(name, 'n', 200);
	name[200] = '\0';
	snprintf(end, sizeof(end), "%s/%s", name, name);
	assert_non_null(mkdtemp(top));
	directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int depth = 0; depth < 18; depth++) {
		assert_int_equal(mkdirat(directory, name, 0700), 0);
		next = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(directory);
		directory = next;
	}
	fd = file_make(directory, name, "deep");
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	mapping_expect(at, end, false, "deep");
	munmap(at, 4096);
	close(fd);
	close(directory);
	snprintf(command, sizeof(command), "rm -r %s", top);
	assert_int_equal(system(command), 0);
}

/* Opening a device may have effects, so it is not opened; there is no file behind a heap. */
static void test_mapping_of_no_file(void **state)
{
	struct mapping_search search = {.pid = getpid(), .fd = -1};
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	search.start = (uintptr_t)at;
	assert_int_equal(proc_mappings_each(getpid(), mapping_open_at, &search), 42);
	assert_string_equal(search.path, "/dev/zero");
	assert_int_equal(search.fd, -EINVAL);
	munmap(at, 4096);
	close(fd);

	/* Alone between two that differ, so that the kernel does not join it to a neighbour. */
	at = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(mprotect((char *)at + 4096, 4096, PROT_READ), 0);
	search.start = (uintptr_t)at + 4096;
	assert_int_equal(proc_mappings_each(getpid(), mapping_open_at, &search), 42);
	assert_true(search.anonymous);
	assert_string_equal(search.path, "");
	assert_int_equal(search.fd, -ENOENT);
	munmap(at, 3 * 4096);
}

/* Leaves a grandchild, who keeps the pipe open as long as it lives. */
static void grandchild_make(void *context, int pipe)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid) {
		*(pid_t *)context = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent) /* else it has ended before it was asked for */
		pause();
	_exit(1);
}

static void test_tree(void **state)
{
	pid_t *grandchild = mmap(NULL, sizeof(*grandchild), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child first = child_start(grandchild_make, grandchild);
	struct child second = child_start(rename_self, ") 1 (");
	char byte;
	pid_t *tree;

	assert_int_equal(proc_tree(getpid(), &tree), 4);
	assert_int_equal(tree[0], getpid());
	assert_true(tree[1] == first.pid || tree[2] == first.pid);
	assert_true(tree[1] == second.pid || tree[2] == second.pid);
	assert_int_equal(tree[3], *grandchild);
	free(tree);
	assert_int_equal(proc_tree(first.pid, &tree), 2);
	assert_int_equal(tree[0], first.pid);
	assert_int_equal(tree[1], *grandchild);
	free(tree);

	/* With its parent gone the grandchild is another's, and ends (PDEATHSIG). */
	kill(first.pid, SIGKILL);
	assert_int_equal(waitpid(first.pid, NULL, 0), first.pid);
	assert_int_equal(read(first.ready, &byte, 1), 0);
	close(first.ready);
	assert_int_equal(proc_tree(getpid(), &tree), 2);
	assert_int_equal(tree[1], second.pid);
	free(tree);
	child_end(&second);
	munmap(grandchild, sizeof(*grandchild));
}

static void fork_forever(void *context, int pipe)
{
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* While processes come and go the answers may differ, but never fail or lose who stays. */
static void test_tree_under_forks(void **state)
{
	struct child child = child_start(fork_forever, NULL);
	pid_t *tree;
	int count;

	for (int i = 0; i < 50; i++) {
		count = proc_tree(child.pid, &tree);
		assert_in_range(count, 2, 3);
		assert_int_equal(tree[0], child.pid);
		free(tree);
	}
	child_end(&child);
}

static void test_list(void **state)
{
	bool found = false;
	pid_t *pids;
	int count = proc_list(&pids);

	assert_true(count > 1);
	for (int i = 0; i < count; i++) {
		assert_true(!i || pids[i] > pids[i - 1]);
		found |= pids[i] == getpid();
	}
	assert_true(found);
	free(pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat_of_self),
		cmocka_unit_test(test_stat_of_odd_names),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_mapping_of_odd_file),
		cmocka_unit_test(test_mapping_without_privilege),
		cmocka_unit_test(test_mapping_of_long_path),
		cmocka_unit_test(test_mapping_of_no_file),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_tree_under_forks),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
