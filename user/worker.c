/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: what one process is to us, put together from /proc, the files that it maps, python/ and
 * servers/; and a short-lived memory of those files, since prefork workers map the same ones.
 * Must not know: probes, BPF, how any server is recognised.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "elf.h"
#include "marks.h"
#include "proc.h"
#include "python/detect.h"
#include "servers/server.h"
#include "worker.h"

#define FILE_NAME_MAX	256		  /* a base name, terminated */
#define NAMES_BYTES_MAX ((size_t)1 << 20) /* base names of all mapped files of a process */
#define CMDLINE_MAX	4096
#define FACTS_SLOTS	2048 /* a power of two */
/*
 * How long what was read of a file is believed. Long enough for one look at all processes, too
 * short for a device and inode number to be deleted, used again and mapped.
 */
#define FACTS_LIFE_NS (2 * 1000000000LL)

/* What an executable mapping's file is to us; the same for all who map it. */
struct file_facts {
	dev_t device;	/* as the maps have it */
	uint64_t inode; /* 0: an empty slot */
	struct worker_file file;
	struct timespec changed; /* its status: an inode number may be used again at once */
	int64_t read_ns;	 /* CLOCK_MONOTONIC */
	struct python_runtime python;
	struct elf_probe gc_start, gc_done;
	bool is_marker;
	struct worker_marker marker;
};

/* Direct-mapped: a newer file takes the slot, so the memory is bounded and nothing is evicted. */
static struct file_facts facts_cache[FACTS_SLOTS];

/* Base names, each with its NUL, one behind the other. */
struct name_list {
	char *text;
	size_t used, room;
};

struct inspection {
	pid_t pid;
	struct worker *worker;
	struct name_list names;
	dev_t last_device; /* a file's mappings follow each other */
	uint64_t last_inode;
	bool unreadable; /* a file could not be opened or read */
};

static int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* The base name of a path as /proc/PID/maps has it, without " (deleted)", cut to size. */
static void base_name_copy(const char *path, char *out, size_t size)
{
	static const char deleted[] = " (deleted)";
	const char *slash = strrchr(path, '/');
	size_t bytes;

	if (slash)
		path = slash + 1;
	bytes = strlen(path);
	if (bytes >= sizeof(deleted) && strcmp(path + bytes - (sizeof(deleted) - 1), deleted) == 0)
		bytes -= sizeof(deleted) - 1;
	if (bytes >= size)
		bytes = size - 1;
	memcpy(out, path, bytes);
	out[bytes] = '\0';
}

static int name_list_add(struct name_list *list, const char *name)
{
	size_t bytes = strlen(name) + 1;

	if (bytes > NAMES_BYTES_MAX - list->used)
		return -E2BIG;
	if (bytes > list->room - list->used) {
		size_t room = list->room ? list->room * 2 : 16 * FILE_NAME_MAX;
		char *text = realloc(list->text, room);

		if (!text)
			return -ENOMEM;
		list->text = text;
		list->room = room;
	}
	memcpy(list->text + list->used, name, bytes);
	list->used += bytes;
	return 0;
}

/* server_evidence.maps: does a mapped file's base name begin so? */
static bool name_list_has_prefix(const struct server_evidence *evidence, const char *prefix)
{
	const struct name_list *list = evidence->maps_context;
	size_t bytes = strlen(prefix);

	for (size_t at = 0; at < list->used; at += strlen(list->text + at) + 1)
		if (strncmp(list->text + at, prefix, bytes) == 0)
			return true;
	return false;
}

static bool name_is_marker(const char *name)
{
	size_t bytes = strlen(name);

	return strncmp(name, "_marker", 7) == 0 && bytes > 3 &&
	       strcmp(name + bytes - 3, ".so") == 0;
}

bool worker_name_is_marker(const char *path)
{
	char name[FILE_NAME_MAX];

	base_name_copy(path, name, sizeof(name));
	return name_is_marker(name);
}

/* A mark that the file does not have stays at offset 0: one of another version may lack some. */
static int mark_find(const struct elf_file *elf, const char *name, struct elf_probe *out)
{
	int err = elf_find_usdt(elf, WSGISCOPE_PROVIDER, name, out);

	return err == -ENOENT ? 0 : err;
}

/* Fills marker where the file has our marks. 0, -errno (notes that make no sense: -EBADMSG). */
static int marker_read(const struct elf_file *elf, bool *is_marker, struct worker_marker *marker)
{
	uint64_t vaddr, size;
	int err;

	err = elf_find_usdt(elf, WSGISCOPE_PROVIDER, "request_start", &marker->start);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = mark_find(elf, "request_block", &marker->block);
	if (!err)
		err = mark_find(elf, "request_end", &marker->end);
	if (err)
		return err;
	if (elf_find_symbol(elf, "wsgiscope_marks_version", &vaddr, &size) ||
	    elf_read_vaddr(elf, vaddr, &marker->version, sizeof(marker->version)))
		marker->version = 0;
	*is_marker = true;
	return 0;
}

/* The marks of the garbage collector, where the interpreter was built with them. */
static int gc_find(const struct elf_file *elf, struct file_facts *facts)
{
	int err = elf_find_usdt(elf, "python", "gc__start", &facts->gc_start);

	if (!err)
		err = elf_find_usdt(elf, "python", "gc__done", &facts->gc_done);
	if (err)
		facts->gc_start.offset = 0; /* one without the other says nothing */
	return err == -ENOENT ? 0 : err;
}

/* What a file is. 0, also for a file that is no ELF or a broken one; -errno: it cannot be told. */
static int facts_read(int fd, const char *name, struct file_facts *facts)
{
	struct elf_file *elf;
	int err = elf_open(fd, &elf);

	if (err)
		return err == -ENOEXEC ? 0 : err;
	err = python_detect_file(elf, name, &facts->python);
	if (!err && facts->python.kind == PYTHON_CPYTHON)
		err = gc_find(elf, facts);
	if (!err && name_is_marker(name))
		err = marker_read(elf, &facts->is_marker, &facts->marker);
	elf_close(elf);
	return err == -EBADMSG || err == -EFBIG ? 0 : err;
}

static bool facts_are_of(const struct file_facts *facts, const struct file_facts *wanted)
{
	return facts->inode == wanted->inode && facts->device == wanted->device &&
	       wanted->read_ns - facts->read_ns < FACTS_LIFE_NS;
}

static bool is_same_file(const struct file_facts *one, const struct file_facts *other)
{
	return one->file.inode == other->file.inode && one->file.device == other->file.device &&
	       one->changed.tv_sec == other->changed.tv_sec &&
	       one->changed.tv_nsec == other->changed.tv_nsec;
}

/* Reads what is not remembered of the opened file into *slot. */
static int facts_renew(int fd, const char *name, struct file_facts *facts, struct file_facts *slot)
{
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	facts->file = (struct worker_file){st.st_dev, st.st_ino};
	facts->changed = st.st_ctim;
	if (facts_are_of(slot, facts) && is_same_file(slot, facts))
		return 0;
	err = facts_read(fd, name, facts);
	if (!err)
		*slot = *facts;
	return err;
}

/* The facts of a mapping's file, remembered or read now; borrowed until the next call. */
static int facts_find(pid_t pid, const struct proc_mapping *mapping, const char *name,
		      const struct file_facts **out)
{
	uint64_t hash = (mapping->inode ^ mapping->device << 32) * 0x9e3779b97f4a7c15;
	struct file_facts *slot = &facts_cache[hash >> 53];
	struct file_facts facts = {
		.device = mapping->device,
		.inode = mapping->inode,
		.read_ns = clock_now_ns(),
	};
	int fd, err;

	_Static_assert(FACTS_SLOTS == 1 << (64 - 53), "the hash's upper bits are the slot");
	*out = slot;
	/* What may be armed must be opened each time: only stat() tells which file it is. */
	if (facts_are_of(slot, &facts) && !slot->is_marker && slot->python.kind == PYTHON_NONE &&
	    !name_is_marker(name))
		return 0;
	fd = proc_mapping_open(pid, mapping);
	if (fd < 0)
		return fd;
	err = facts_renew(fd, name, &facts, slot);
	close(fd);
	return err;
}

static void facts_apply(const struct file_facts *facts, struct worker *worker)
{
	/* PyPy's cpyext may name itself like CPython; the first runtime mapped is the process's. */
	if (facts->python.kind != PYTHON_NONE && worker->python == PYTHON_NONE) {
		worker->python = facts->python.kind;
		worker->python_device = facts->device;
		worker->python_inode = facts->inode;
		worker->python_file = facts->file;
		worker->gc_start = facts->gc_start;
		worker->gc_done = facts->gc_done;
	}
	/* An executable that refers to a shared libpython's data has it by name, not by content. */
	if (facts->python.kind == worker->python && !worker->python_version)
		worker->python_version = facts->python.version;
	/*
	 * Several markers can be mapped: two virtual environments in two sub-interpreters, or an
	 * upgraded package beside the deleted one. The first one in the maps is reported.
	 */
	if (facts->is_marker && !worker->has_marker) {
		worker->has_marker = true;
		worker->marker = facts->marker;
		worker->marker.device = facts->device;
		worker->marker.inode = facts->inode;
		worker->marker.file = facts->file;
	}
}

static int mapping_inspect(void *context, const struct proc_mapping *mapping)
{
	struct inspection *inspection = context;
	const struct file_facts *facts;
	char name[FILE_NAME_MAX];
	int err;

	/* Code is what counts: every runtime, server module and marker has an executable mapping.
	 */
	if (!mapping->inode || !mapping->executable)
		return 0;
	if (mapping->inode == inspection->last_inode && mapping->device == inspection->last_device)
		return 0;
	inspection->last_inode = mapping->inode;
	inspection->last_device = mapping->device;
	base_name_copy(mapping->path, name, sizeof(name));
	err = name_list_add(&inspection->names, name);
	if (err)
		return err;
	err = facts_find(inspection->pid, mapping, name, &facts);
	switch (err) {
	case 0:
		facts_apply(facts, inspection->worker);
		return 0;
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
		return err;
	case -ENOENT: /* unmapped since */
	case -EINVAL: /* a device */
		return 0;
	default:
		inspection->unreadable = true;
		return 0;
	}
}

static int server_inspect(const struct inspection *inspection, const struct proc_stat *stat)
{
	struct worker *worker = inspection->worker;
	char cmdline[CMDLINE_MAX];
	struct server_evidence evidence = {
		.comm = stat->comm,
		.cmdline = cmdline,
		.maps = name_list_has_prefix,
		.maps_context = &inspection->names,
	};
	int bytes = proc_cmdline_read(inspection->pid, cmdline, sizeof(cmdline));

	if (bytes < 0)
		return bytes;
	evidence.cmdline_bytes = (size_t)bytes;
	worker->server = server_find(&evidence);
	if (worker->server && worker->server->app)
		worker->server->app(&evidence, worker->title, sizeof(worker->title));
	return 0;
}

int worker_inspect(pid_t pid, struct worker *out)
{
	struct inspection inspection = {.pid = pid, .worker = out};
	struct proc_stat stat, after;
	int err;

	memset(out, 0, sizeof(*out));
	err = proc_stat_read(pid, &stat);
	if (err)
		return err;
	out->pid = pid;
	out->parent = stat.parent;
	out->start_ticks = stat.start_ticks;
	out->threads = stat.threads;
	err = proc_mappings_each(pid, mapping_inspect, &inspection);
	/* Files that we may not read hide what it is: do not call it "not Python". */
	if (!err && out->python == PYTHON_NONE && inspection.unreadable)
		err = -EACCES;
	if (!err && out->python != PYTHON_NONE)
		err = server_inspect(&inspection, &stat);
	if (!err)
		err = proc_stat_read(pid, &after);
	/* The pid is another process's by now: what was read is a mixture. */
	if (!err && after.start_ticks != stat.start_ticks)
		err = -ESRCH;
	free(inspection.names.text);
	return err;
}

struct file_search {
	pid_t pid;
	dev_t device;
	uint64_t inode;
	int fd; /* or -errno */
};

static int mapping_open_searched(void *context, const struct proc_mapping *mapping)
{
	struct file_search *search = context;

	if (!mapping->executable || mapping->inode != search->inode ||
	    mapping->device != search->device)
		return 0;
	search->fd = proc_mapping_open(search->pid, mapping);
	return 1;
}

/* The executable mapping of this file, opened. fd or -errno. */
static int file_open(pid_t pid, dev_t device, uint64_t inode)
{
	struct file_search search = {pid, device, inode, -ENOENT};
	int err = proc_mappings_each(pid, mapping_open_searched, &search);

	return err < 0 ? err : search.fd;
}

int worker_marker_open(const struct worker *worker)
{
	return worker->has_marker
		       ? file_open(worker->pid, worker->marker.device, worker->marker.inode)
		       : -ENOENT;
}

int worker_python_open(const struct worker *worker)
{
	return file_open(worker->pid, worker->python_device, worker->python_inode);
}
