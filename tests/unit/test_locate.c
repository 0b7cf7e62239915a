// LINK: user/python/[dglo]*.c user/memory.c user/worker.c user/proc.c user/elf.c user/servers/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * locate.c and elf_code_vaddr() against what the dynamic linker says: this process loads objects
 * that define _PyRuntime and looks at itself. Owns the objects for the time of the run.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "python/locate.h"
#include "unit.h"
#include "worker.h"

#define PAGE 4096

/* Some pages of code, so that its mapping can be cut. */
static const char source[] =
	"char _PyRuntime[4096] = {1};\n"
	"const unsigned long Py_Version = 0x30b02f0;\n"
	"__asm__(\".text\\n.balign 4096\\n.globl code\\ncode: .skip 65536\\n\");\n";

/* How linkers lay out code: on pages of its own, behind the headers, or from within a page. */
static const struct {
	const char *options;
	uint16_t shift; /* bytes that the code's segment is made to begin later */
} layouts[] = {
	{"-Wl,-z,separate-code", 0},
	{"-Wl,-z,noseparate-code", 0},
	{"-Wl,-z,separate-code,-z,max-page-size=65536", 0},
	{"-Wl,-z,separate-code,--section-start=.text=0x123000", 0}, /* code in two segments */
	{"-Wl,-z,separate-code", 16},				    /* as lld does it */
};

static char directory[] = "/tmp/test_locate.XXXXXX";

/* Lets the segment of code begin within its first page, which is mapped as a whole all the same. */
static void code_shift(const char *path, uint16_t shift)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	int fd = open(path, O_RDWR | O_CLOEXEC), shifted = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	for (int i = 0; i < header.e_phnum; i++) {
		off_t at = (off_t)(header.e_phoff + (size_t)i * sizeof(segment));

		assert_int_equal(pread(fd, &segment, sizeof(segment), at), sizeof(segment));
		if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X))
			continue;
		segment.p_offset += shift;
		segment.p_vaddr += shift;
		segment.p_filesz -= shift;
		segment.p_memsz -= shift;
		assert_int_equal(pwrite(fd, &segment, sizeof(segment), at), sizeof(segment));
		shifted++;
	}
	assert_int_equal(shifted, 1);
	close(fd);
}

static void *object_load(size_t layout)
{
	char command[256], path[64];
	void *object;

	snprintf(path, sizeof(path), "%s/object%zu.so", directory, layout);
	snprintf(command, sizeof(command), "${CC:-cc} -w -shared -fPIC %s -o %s %s/object.c",
		 layouts[layout].options, path, directory);
	assert_int_equal(system(command), 0);
	if (layouts[layout].shift)
		code_shift(path, layouts[layout].shift);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(object);
	return object;
}

static void location_expect(void *object)
{
	struct python_location where;
	struct worker worker;

	assert_int_equal(worker_inspect(getpid(), &worker), 0);
	assert_int_equal(worker.python, PYTHON_CPYTHON);
	assert_int_equal(python_locate(&worker, &where), 0);
	assert_int_equal(where.runtime, (uintptr_t)dlsym(object, "_PyRuntime"));
	assert_int_equal(where.version, 0x30b02f0);
	assert_int_equal(where.libc, LIBC_GLIBC);
}

static void test_layouts(void **state)
{
	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		void *object = object_load(i);
		char *code = dlsym(object, "code");

		assert_non_null(code);
		location_expect(object);
		/* A hot-patched page in the midst cuts the mapping in three. */
		assert_int_equal(mprotect(code + 8 * PAGE, PAGE, PROT_NONE), 0);
		location_expect(object);
		/* And the first part is gone: what comes behind it tells as well. */
		assert_int_equal(mprotect(code, 8 * PAGE, PROT_READ), 0);
		location_expect(object);
		assert_int_equal(dlclose(object), 0);
	}
	(void)state;
}

static void test_no_python(void **state)
{
	struct python_location where;
	struct worker worker;

	assert_int_equal(worker_inspect(getpid(), &worker), 0);
	assert_int_equal(worker.python, PYTHON_NONE);
	assert_int_equal(python_locate(&worker, &where), 0);
	assert_int_equal(where.runtime, 0);
	(void)state;
}

static int directory_make(void **state)
{
	char path[64];
	FILE *file;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/object.c", directory);
	file = fopen(path, "w");
	return !file || fputs(source, file) < 0 || fclose(file);
}

static int directory_remove(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_python),
		cmocka_unit_test(test_layouts),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
