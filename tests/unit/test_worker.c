// LINK: user/worker.c user/proc.c user/elf.c user/python/detect.c user/servers/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c and python/detect.c against children that load shared objects made to look like Python
 * runtimes and markers. Needs no Python. Owns the objects for the time of the run.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "python/detect.h"
#include "servers/server.h"
#include "worker.h"

#define PROBE(name)                                                                                \
	"__asm__(\".pushsection .probes,\\\"aw\\\"\\n.balign 2\\n" name                            \
	"_semaphore: .2byte 0\\n.popsection\\n\"\n"                                                \
	"\".pushsection .text\\n.globl " name "\\n" name ": nop\\n.popsection\\n\"\n"              \
	"\".pushsection .note.stapsdt,\\\"\\\",\\\"note\\\"\\n.balign 4\\n\"\n"                    \
	"\".4byte 8,993f-992f,3\\n.asciz \\\"stapsdt\\\"\\n992: .8byte " name ",0," name           \
	"_semaphore\\n\"\n"                                                                        \
	"\".asciz \\\"wsgiscope\\\"\\n.asciz \\\"" name                                            \
	"\\\"\\n.asciz \\\"\\\"\\n993: .balign 4\\n\"\n"                                           \
	"\".popsection\");\n"

#define MARKER(version)                                                                            \
	PROBE("request_start")                                                                     \
	PROBE("request_block")                                                                     \
	PROBE("request_end") "const unsigned int wsgiscope_marks_version = " version ";\n"

static const struct {
	const char *name, *source;
} objects[] = {
	{"python313.so", "struct { char cookie[8]; unsigned long version[80]; } _PyRuntime = "
			 "{\"xdebugpy\", {0x30d00f0}};\n"
			 "const unsigned long Py_Version = 0x30c00f0;\n"},
	{"python311.so", "char _PyRuntime[4096] = {1};\n"
			 "const unsigned long Py_Version = 0x30b02f0;\n"},
	{"libpython3.9.so.1.0", "char _PyRuntime[4096];\n"},
	{"nameless.so", "char _PyRuntime[4096];\n"},
	{"liar.so", "char _PyRuntime[4096] = {1};\nconst unsigned long Py_Version = 0x12345678;\n"},
	{"libpython2.7.so.1.0", "int PyEval_EvalFrameEx(void) { return 0; }\n"},
	{"libpython9.so", "char other[4096];\n"},
	{"helper.so", "int PyEval_EvalFrameEx(void) { return 0; }\n"},
	{"libpypy3-c.so", "int anything;\n"},
	{"uwsgi_plugin.so", "int anything;\n"},
	{"_marker.cpython-311-x86_64-linux-gnu.so", MARKER("1")},
	{"_marker.so", MARKER("7")},
	{"_marker_upgraded.so", MARKER("3")},
	{"guarded.so", "char _PyRuntime[4096];\n"},
	{"_marker_plain.so", "int anything;\n"},
	{"no_marker.so", MARKER("1")},
};

static char directory[] = "/tmp/test_worker.XXXXXX";

static void object_path(char out[128], const char *name)
{
	snprintf(out, 128, "%s/%s", directory, name);
}

static int object_build(const char *name, const char *source)
{
	char path[128], command[512];
	FILE *file;

	object_path(path, "object.c");
	file = fopen(path, "w");
	if (!file || fputs(source, file) < 0 || fclose(file))
		return -1;
	snprintf(command, sizeof(command), "${CC:-cc} -w -O1 -shared -fPIC -o '%s/%s' %s",
		 directory, name, path);
	return system(command);
}

static int objects_build(void **state)
{
	if (!mkdtemp(directory) || chmod(directory, 0755))
		return -1;
	for (size_t i = 0; i < COUNT_OF(objects); i++)
		if (object_build(objects[i].name, objects[i].source))
			return -1;
	return 0;
}

static int objects_remove(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

/* A child that has loaded the objects (names end with NULL) and waits to be ended. */
static pid_t child_start(const char *const *names)
{
	char path[128], byte = 'x';
	int pipes[2];
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (; *names; names++) {
			object_path(path, *names);
			if (!dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
				fprintf(stderr, "%s\n", dlerror());
				_exit(1);
			}
		}
		if (write(pipes[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	return pid;
}

#define LOADED(...) child_start((const char *const[]){__VA_ARGS__, NULL})

static void child_end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_not_python(void **state)
{
	pid_t pid = LOADED("libpython9.so", "helper.so", "_marker_plain.so", "no_marker.so");
	struct worker worker;

	assert_int_equal(worker_inspect(pid, &worker), 0);
	assert_int_equal(worker.pid, pid);
	assert_int_equal(worker.parent, getpid());
	assert_in_range(worker.threads, 1, 2); /* thread sanitizer has one */
	assert_true(worker.start_ticks > 0);
	assert_int_equal(worker.python, PYTHON_NONE);
	assert_int_equal(worker.python_version, 0);
	assert_null(worker.server);
	assert_false(worker.has_marker);
	assert_int_equal(worker_marker_open(&worker), -ENOENT);
	child_end(pid);
	assert_int_equal(worker_inspect(pid, &worker), -ESRCH);
}

static void test_runtimes(void **state)
{
	static const struct {
		const char *name;
		enum worker_python python;
		uint32_t version;
	} cases[] = {
		{"python313.so", PYTHON_CPYTHON, 0x30d00f0},
		{"python311.so", PYTHON_CPYTHON, 0x30b02f0},
		{"libpython3.9.so.1.0", PYTHON_CPYTHON, 0x3090000},
		{"nameless.so", PYTHON_CPYTHON, 0},
		{"liar.so", PYTHON_CPYTHON, 0},
		{"libpypy3-c.so", PYTHON_PYPY, 0},
		{"libpython2.7.so.1.0", PYTHON_OLD, 0x2070000},
	};
	struct worker worker;
	pid_t pid;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		pid = LOADED(cases[i].name);
		for (int again = 0; again < 2; again++) { /* read, then remembered */
			assert_int_equal(worker_inspect(pid, &worker), 0);
			assert_int_equal(worker.python, cases[i].python);
			assert_int_equal(worker.python_version, cases[i].version);
			assert_false(worker.has_marker);
		}
		child_end(pid);
	}
}

/* What is mapped tells the server, whatever the process calls itself. */
static void test_server(void **state)
{
	pid_t pid = LOADED("python311.so", "uwsgi_plugin.so");
	struct worker worker;

	assert_int_equal(worker_inspect(pid, &worker), 0);
	assert_non_null(worker.server);
	assert_string_equal(worker.server->name, "uwsgi");
	child_end(pid);
}

static void marker_expect(pid_t pid, const char *name, unsigned int version)
{
	struct worker worker;
	struct stat by_path, by_open;
	char path[128];
	uint16_t semaphore = 1;
	int fd;

	assert_int_equal(worker_inspect(pid, &worker), 0);
	assert_true(worker.has_marker);
	assert_int_equal(worker.marker.version, version);
	assert_true(worker.marker.start.offset && worker.marker.block.offset &&
		    worker.marker.end.offset);
	assert_true(worker.marker.start.offset != worker.marker.end.offset);
	fd = worker_marker_open(&worker);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &by_open), 0);
	assert_int_equal(by_open.st_ino, worker.marker.inode);
	if (name) {
		object_path(path, name);
		assert_int_equal(stat(path, &by_path), 0);
		assert_int_equal(by_path.st_ino, by_open.st_ino);
	}
	assert_int_equal(pread(fd, &semaphore, 2, (off_t)worker.marker.end.semaphore_offset), 2);
	assert_int_equal(semaphore, 0);
	close(fd);
}

static void test_marker(void **state)
{
	pid_t pid = LOADED("python311.so", "_marker.cpython-311-x86_64-linux-gnu.so");

	marker_expect(pid, "_marker.cpython-311-x86_64-linux-gnu.so", 1);
	child_end(pid);
	pid = LOADED("python311.so", "_marker.so");
	marker_expect(pid, "_marker.so", 7);
	child_end(pid);
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

/* An upgrade under a running worker: what it maps counts, not what now has the name. */
static void test_marker_replaced(void **state)
{
	char path[128];
	pid_t pid;

	if (!map_files_can_be_followed())
		unit_skip("/proc/PID/map_files needs CAP_CHECKPOINT_RESTORE");
	pid = LOADED("python311.so", "_marker_upgraded.so");
	object_path(path, "_marker_upgraded.so");
	assert_int_equal(unlink(path), 0);
	marker_expect(pid, NULL, 3);
	assert_int_equal(object_build("_marker_upgraded.so", MARKER("4")), 0);
	marker_expect(pid, NULL, 3);
	child_end(pid);
	pid = LOADED("python311.so", "_marker_upgraded.so");
	marker_expect(pid, "_marker_upgraded.so", 4);
	child_end(pid);
}

/* As user nobody: what worker_inspect() says, as an exit status. */
/* A deleted file's inode number is given to the next one: what was known of it is not of this one.
 */
static void test_inode_used_again(void **state)
{
	pid_t pid = LOADED("python311.so", "_marker_plain.so");
	struct worker worker;
	char command[512];

	assert_int_equal(worker_inspect(pid, &worker), 0);
	assert_false(worker.has_marker);
	child_end(pid);
	snprintf(command, sizeof(command), "cat %1$s/no_marker.so >%1$s/_marker_plain.so",
		 directory);
	assert_int_equal(system(command), 0);
	pid = LOADED("python311.so", "_marker_plain.so");
	marker_expect(pid, "_marker_plain.so", 1);
	child_end(pid);
}

static int inspect_as_nobody(pid_t pid, const char *load)
{
	struct worker worker;
	char path[128];

	if (setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 1))
		return 100;
	if (load) {
		object_path(path, load);
		if (!dlopen(path, RTLD_NOW) || raise(SIGSTOP))
			return 101;
	}
	return -worker_inspect(pid ? pid : getpid(), &worker);
}

static int exit_status_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A user who may not look is told so, not that it is no Python. */
static void test_other_user(void **state)
{
	pid_t pid, other;
	char path[128];

	if (geteuid() != 0)
		unit_skip("another user's process needs root");
	pid = LOADED("python311.so");
	other = fork();
	if (!other)
		_exit(inspect_as_nobody(pid, NULL));
	assert_int_equal(exit_status_wait(other), EACCES);
	child_end(pid);

	/* Its own process, but a file in it that it may not read any more. */
	other = fork();
	if (!other)
		_exit(inspect_as_nobody(0, "guarded.so"));
	assert_int_equal(waitpid(other, NULL, WUNTRACED), other);
	object_path(path, "guarded.so");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(kill(other, SIGCONT), 0);
	assert_int_equal(exit_status_wait(other), EACCES);
}

#define MANY_FILES 6000 /* more than worker.c remembers */

static void many_files_map(void)
{
	char name[32], path[128];

	for (int i = 0; i < MANY_FILES; i++) {
		int fd;

		snprintf(name, sizeof(name), "file%d", i);
		object_path(path, name);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, "x", 1) != 1 ||
		    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ||
		    unlink(path))
			_exit(1);
		close(fd);
	}
}

/* What is remembered of one file is never taken for another. */
static void test_many_files(void **state)
{
	pid_t python = LOADED("python311.so"), many;
	struct worker worker;

	many = fork();
	if (!many) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		many_files_map();
		raise(SIGSTOP);
		_exit(1);
	}
	assert_int_equal(waitpid(many, NULL, WUNTRACED), many);
	assert_int_equal(worker_inspect(python, &worker), 0);
	assert_int_equal(worker.python, PYTHON_CPYTHON);
	assert_int_equal(worker_inspect(many, &worker), 0);
	assert_int_equal(worker.python, PYTHON_NONE);
	child_end(many);
	child_end(python);
}

static void test_version_format(void **state)
{
	static const struct {
		uint32_t version;
		const char *text;
	} cases[] = {
		{0x030b02f0, "3.11.2"},	     {0x030e0af0, "3.14.10"},
		{0x030e00c1, "3.14.0rc1"},   {0x030f00a3, "3.15.0a3"},
		{0x030d00b2, "3.13.0b2"},    {0x03090000, "3.9"},
		{0xffffffff, "255.255.255"}, {0xffffffcf, "255.255.255rc15"},
	};
	char text[16];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		python_version_format(cases[i].version, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_python),	cmocka_unit_test(test_runtimes),
		cmocka_unit_test(test_server),		cmocka_unit_test(test_marker),
		cmocka_unit_test(test_marker_replaced), cmocka_unit_test(test_inode_used_again),
		cmocka_unit_test(test_other_user),	cmocka_unit_test(test_many_files),
		cmocka_unit_test(test_version_format),
	};

	return cmocka_run_group_tests(tests, objects_build, objects_remove);
}
