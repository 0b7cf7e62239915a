/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: the step from a runtime's file to its address in a process: what the mapping of its code
 * says about where the whole file has been loaded.
 * Must not know: how a runtime is recognised (detect.c), what lies inside it (offsets.c).
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "elf.h"
#include "proc.h"
#include "python/locate.h"
#include "worker.h"

/* What the C library's mapped file is called, without its version. */
static const struct {
	const char *prefix;
	enum python_libc libc;
} libc_names[] = {
	{"libc.so.6", LIBC_GLIBC},
	{"libc-2.", LIBC_GLIBC}, /* before 2.34 */
	{"ld-musl-", LIBC_MUSL}, /* linker and library in one */
	{"libc.musl-", LIBC_MUSL},
};

struct location_search {
	const struct worker *worker;
	struct python_location *out;
};

static enum python_libc libc_find(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < sizeof(libc_names) / sizeof(*libc_names); i++)
		if (strncmp(name, libc_names[i].prefix, strlen(libc_names[i].prefix)) == 0)
			return libc_names[i].libc;
	return LIBC_UNKNOWN;
}

/* The address of _PyRuntime by one mapping of the file's code; 0: this one does not tell. */
static int runtime_address(pid_t pid, const struct proc_mapping *mapping, uint64_t *out)
{
	uint64_t runtime, code, size;
	struct elf_file *elf;
	int fd = proc_mapping_open(pid, mapping);
	int err;

	if (fd < 0)
		return fd;
	err = elf_open(fd, &elf);
	close(fd);
	if (err)
		return err;
	err = elf_find_symbol(elf, "_PyRuntime", &runtime, &size);
	if (!err)
		err = elf_code_vaddr(elf, mapping->offset, &code);
	elf_close(elf);
	*out = err ? 0 : mapping->start - code + runtime;
	return err == -ENOENT ? 0 : err;
}

static int mapping_search(void *context, const struct proc_mapping *mapping)
{
	struct location_search *search = context;
	const struct worker *worker = search->worker;

	if (!mapping->inode || !mapping->executable)
		return 0;
	if (search->out->libc == LIBC_UNKNOWN)
		search->out->libc = libc_find(mapping->path);
	if (search->out->runtime || mapping->inode != worker->python_inode ||
	    mapping->device != worker->python_device)
		return 0;
	return runtime_address(worker->pid, mapping, &search->out->runtime);
}

int python_locate(const struct worker *worker, struct python_location *out)
{
	struct location_search search = {.worker = worker, .out = out};

	*out = (struct python_location){.version = worker->python_version};
	if (worker->python != PYTHON_CPYTHON)
		return 0;
	return proc_mappings_each(worker->pid, mapping_search, &search);
}
