// LINK: user/semaphore.c user/proc.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * semaphore.c against a file that this process maps as the linker maps a library: first all of it
 * to be read, then a part of it as data of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#include "proc.h"
#include "semaphore.h"

#define PAGE   4096
#define OFFSET (PAGE + 100)

static struct {
	char *text; /* three pages, read-only */
	char *data; /* the one in the middle */
	dev_t device;
	uint64_t inode;
} mapped;

static int mapping_note(void *context, const struct proc_mapping *mapping)
{
	if (mapping->start != (uintptr_t)mapped.text)
		return 0;
	mapped.device = mapping->device;
	mapped.inode = mapping->inode;
	return 1;
}

static int setup(void **state)
{
	char path[] = "/tmp/wsgiscope-semaphore-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) || ftruncate(fd, 3 * PAGE))
		return -1;
	mapped.text = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	mapped.data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
	close(fd);
	return proc_mappings_each(getpid(), mapping_note, NULL) == 1 ? 0 : -1;
}

static void test_read(void **state)
{
	uint16_t value = 7;

	assert_int_equal(semaphore_read(getpid(), mapped.device, mapped.inode, OFFSET, &value), 0);
	assert_int_equal(value, 0);
	memcpy(mapped.data + OFFSET - PAGE, (uint16_t[]){0x0102}, 2);
	assert_int_equal(semaphore_read(getpid(), mapped.device, mapped.inode, OFFSET, &value), 0);
	assert_int_equal(value, 0x0102);
}

static void test_absent(void **state)
{
	const pid_t pid = getpid();
	uint16_t value;

	/* Before and behind what is mapped as data; another file; nobody. */
	assert_int_equal(semaphore_read(pid, mapped.device, mapped.inode, PAGE - 2, &value),
			 -ENOENT);
	assert_int_equal(semaphore_read(pid, mapped.device, mapped.inode, 2 * PAGE, &value),
			 -ENOENT);
	assert_int_equal(semaphore_read(pid, mapped.device, mapped.inode, UINT64_MAX, &value),
			 -ENOENT);
	assert_int_equal(semaphore_read(pid, mapped.device, mapped.inode + 1, OFFSET, &value),
			 -ENOENT);
	assert_int_equal(semaphore_read(0x7ffffff0, mapped.device, mapped.inode, OFFSET, &value),
			 -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
