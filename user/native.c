/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: what is mapped where in the processes that are sampled, and the functions of those files;
 * both bounded, begun anew when full. Must not know samples or records.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "elf.h"
#include "functions.h"
#include "memory.h"
#include "native.h"
#include "proc.h"

#define PROCESSES_MAX 64
#define MAPPINGS_MAX  4096
#define FILES_MAX     512
#define FILE_NAME_MAX 256
/* An address in no mapping makes us look again, not more often than that. */
#define RELOAD_NS UINT64_C(100000000)

struct mapping {
	uint64_t start, end;
	struct file *file; /* borrowed; NULL: of none, or the vdso */
	uint64_t offset;   /* of its start in the file */
	uint64_t vaddr;	   /* the same as the file's functions have it */
	bool read;	   /* vaddr and the file's functions have been looked for */
};

struct file {
	dev_t device;
	uint64_t inode;
	char name[FILE_NAME_MAX];    /* as its process sees it */
	struct functions *functions; /* NULL: not read, as no address fell into it */
};

struct mapped {
	pid_t pid;
	uint64_t loaded_ns;
	struct mapping *mappings;
	size_t count;
};

struct native {
	struct mapped processes[PROCESSES_MAX];
	size_t process_count;
	struct file *files[FILES_MAX];
	size_t file_count;
	struct functions *kernel;
	bool kernel_read;
};

static uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

int native_new(struct native **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void all_forget(struct native *native)
{
	for (size_t i = 0; i < native->process_count; i++)
		free(native->processes[i].mappings);
	for (size_t i = 0; i < native->file_count; i++) {
		functions_free(native->files[i]->functions);
		free(native->files[i]);
	}
	native->process_count = 0;
	native->file_count = 0;
}

void native_free(struct native *native)
{
	if (!native)
		return;
	all_forget(native);
	functions_free(native->kernel);
	free(native);
}

static struct file *file_get(struct native *native, const struct proc_mapping *mapping)
{
	struct file *file;

	for (size_t i = 0; i < native->file_count; i++)
		if (native->files[i]->inode == mapping->inode &&
		    native->files[i]->device == mapping->device)
			return native->files[i];
	if (native->file_count == FILES_MAX)
		return NULL;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->device = mapping->device;
	file->inode = mapping->inode;
	strncpy(file->name, mapping->path, sizeof(file->name) - 1);
	native->files[native->file_count++] = file;
	return file;
}

struct load {
	struct native *native;
	struct mapped *process;
};

static int mapping_add(void *context, const struct proc_mapping *mapping)
{
	const struct load *load = context;
	struct mapped *process = load->process;
	struct mapping *grown;

	if (!mapping->executable)
		return 0;
	if (process->count == MAPPINGS_MAX)
		return 1;
	grown = realloc(process->mappings, (process->count + 1) * sizeof(*grown));
	if (!grown)
		return 1;
	process->mappings = grown;
	grown[process->count++] = (struct mapping){
		.start = mapping->start,
		.end = mapping->end,
		.file = mapping->inode ? file_get(load->native, mapping) : NULL,
		.offset = mapping->offset,
	};
	return 0;
}

/* The process's mappings, read now where they are not known. NULL: no room, no memory. */
static struct mapped *mapped_get(struct native *native, pid_t pid)
{
	struct mapped *process;

	for (size_t i = 0; i < native->process_count; i++)
		if (native->processes[i].pid == pid)
			return &native->processes[i];
	if (native->process_count == PROCESSES_MAX || native->file_count == FILES_MAX)
		all_forget(native);
	process = &native->processes[native->process_count++];
	*process = (struct mapped){.pid = pid};
	return process;
}

static void mapped_load(struct native *native, struct mapped *process)
{
	struct load load = {native, process};

	process->count = 0;
	process->loaded_ns = clock_now_ns();
	/* What could not be read has no code, and its frames are not shown. */
	(void)proc_mappings_each(process->pid, mapping_add, &load);
}

static struct mapping *mapping_find(const struct mapped *process, uint64_t address)
{
	for (size_t i = 0; i < process->count; i++)
		if (address - process->mappings[i].start <
		    process->mappings[i].end - process->mappings[i].start)
			return &process->mappings[i];
	return NULL;
}

struct opening {
	const struct mapping *mapping;
	pid_t pid;
	int fd;
};

static int mapping_open(void *context, const struct proc_mapping *mapping)
{
	struct opening *opening = context;

	if (mapping->start != opening->mapping->start)
		return 0;
	opening->fd = proc_mapping_open(opening->pid, mapping);
	return 1;
}

/* The mapping's file, opened. NULL: it cannot be, or is none that we can read. */
static struct elf_file *mapping_elf(pid_t pid, const struct mapping *mapping)
{
	struct opening opening = {mapping, pid, -ENOENT};
	struct elf_file *elf = NULL;

	proc_mappings_each(pid, mapping_open, &opening);
	if (opening.fd < 0)
		return NULL;
	if (elf_open(opening.fd, &elf))
		elf = NULL;
	close(opening.fd);
	return elf;
}

/* Without functions where the file has none for us: that is asked once. */
static void mapping_read(pid_t pid, struct mapping *mapping)
{
	struct elf_file *elf = mapping_elf(pid, mapping);

	mapping->read = true;
	if (!elf)
		return;
	if (elf_code_vaddr(elf, mapping->offset, &mapping->vaddr))
		mapping->file = NULL;
	else if (!mapping->file->functions)
		functions_of_elf(elf, &mapping->file->functions);
	elf_close(elf);
}

static const char *function_find(pid_t pid, struct mapping *mapping, uint64_t address)
{
	if (mapping->file && !mapping->read)
		mapping_read(pid, mapping);
	if (!mapping->file || !mapping->file->functions)
		return NULL;
	return functions_find(mapping->file->functions, address - mapping->start + mapping->vaddr);
}

/* x86-64: call rel32; call through a register or memory, 2 to 7 bytes (FF /2). arm64: bl, blr. */
static bool call_ends_at(pid_t pid, uint64_t address)
{
#ifdef __x86_64__
	uint8_t code[7];

	if (memory_read(pid, address - sizeof(code), code, sizeof(code)))
		return false;
	if (code[2] == 0xe8)
		return true;
	for (size_t i = 0; i + 1 < sizeof(code); i++)
		if (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2)
			return true;
	return false;
#else
	uint32_t code;

	if (memory_read(pid, address - sizeof(code), &code, sizeof(code)))
		return false;
	return (code & 0xfc000000) == 0x94000000 || (code & 0xfffffc1f) == 0xd63f0000;
#endif
}

void native_find(struct native *native, pid_t pid, uint64_t address, struct native_place *out)
{
	struct mapped *process = mapped_get(native, pid);
	struct mapping *mapping = mapping_find(process, address);

	*out = (struct native_place){.file = ""};
	if (!mapping && clock_now_ns() - process->loaded_ns > RELOAD_NS) {
		mapped_load(native, process);
		mapping = mapping_find(process, address);
	}
	if (!mapping)
		return;
	out->is_code = true;
	out->follows_call = call_ends_at(pid, address);
	out->file = mapping->file ? mapping->file->name : "";
	/* A call may be the last of its function: what it returns to belongs to the next. */
	out->name = function_find(pid, mapping, out->follows_call ? address - 1 : address);
}

void native_find_kernel(struct native *native, uint64_t address, struct native_place *out)
{
	*out = (struct native_place){.is_code = true, .follows_call = true, .file = "[kernel]"};
	if (!native->kernel_read)
		functions_of_kernel(&native->kernel);
	native->kernel_read = true;
	if (native->kernel)
		out->name = functions_find(native->kernel, address);
}

void native_forget(struct native *native, pid_t pid)
{
	for (size_t i = 0; i < native->process_count; i++)
		if (native->processes[i].pid == pid)
			native->processes[i].loaded_ns = native->processes[i].count = 0;
}
