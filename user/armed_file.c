/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the uprobe events, the perf events of all processes and the links of programs to them. How
 * the kernel arms: a tracefs uprobe event is only a definition; the perf events opened on it are
 * the processes for which it is armed (kernel/trace/trace_uprobe.c, uprobe_perf_open), the BPF
 * program hangs on the definition and runs for each of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "armed_file.h"
#include "links.h"
#include "log.h"
#include "tracefs.h"

#define EVENT_NAME_MAX 32

static const char *const mark_names[TRACER_MARKS] = {
	[TRACER_START] = "start",	[TRACER_BLOCK] = "block",     [TRACER_END] = "end",
	[TRACER_GC_START] = "gc_start", [TRACER_GC_DONE] = "gc_done",
};

const enum tracer_mark arming_order[TRACER_MARKS] = {
	TRACER_GC_DONE, TRACER_GC_START, TRACER_END, TRACER_BLOCK, TRACER_START,
};

static void event_name(char *out, enum tracer_mark mark, int slot)
{
	snprintf(out, EVENT_NAME_MAX, "%s_%d", mark_names[mark], slot);
}

int armed_event_open(int64_t id, pid_t pid, bool inherit)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.disabled = 1,
		.inherit = inherit,
	};
	int fd = syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1,
			 PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int armed_file_find(const struct armed_files *files, const struct worker_file *file)
{
	for (int slot = 0; slot < files->count; slot++)
		if (files->files[slot].file.inode == file->inode &&
		    files->files[slot].file.device == file->device)
			return slot;
	return -ENOENT;
}

/* What tells a file on overlayfs from others, whatever its name. 0 or -errno. */
static int content_read(int fd, struct armed_file *file)
{
	struct statfs system;
	struct stat st;

	if (fstatfs(fd, &system) || fstat(fd, &st))
		return -errno;
	file->is_overlay = system.f_type == OVERLAYFS_SUPER_MAGIC;
	file->file = (struct worker_file){st.st_dev, st.st_ino};
	file->bytes = st.st_size;
	file->changed = st.st_mtim;
	return 0;
}

int armed_file_twin(const struct armed_files *files, int fd)
{
	struct armed_file wanted;
	int err = content_read(fd, &wanted);

	if (err)
		return err;
	/* NOLINTNEXTLINE(clang-analyzer-*): errno was set, were it not filled */
	for (int slot = 0; slot < files->count && wanted.is_overlay; slot++) {
		const struct armed_file *file = &files->files[slot];

		if (file->is_overlay && file->file.inode == wanted.file.inode &&
		    file->bytes == wanted.bytes && file->changed.tv_sec == wanted.changed.tv_sec &&
		    file->changed.tv_nsec == wanted.changed.tv_nsec)
			return slot;
	}
	return -ENOENT;
}

/*
 * Hangs the program on a mark. The perf event that carries it is one of our own process, which
 * never maps the file as code. The link takes it over; ours is a second descriptor of it.
 */
static int program_hang(struct armed_file *file, struct tracer *tracer, enum tracer_mark mark)
{
	int carrier = armed_event_open(file->ids[mark], getpid(), false);
	int err;

	if (carrier < 0)
		return carrier;
	file->carriers[mark] = fcntl(carrier, F_DUPFD_CLOEXEC, 0);
	err = file->carriers[mark] < 0 ? -errno : 0;
	if (!err)
		err = tracer_attach_mark(tracer, mark, carrier, &file->links[mark]);
	if (err)
		close(carrier);
	return err;
}

/* Defines one mark's uprobe event and hangs the program on it. */
static int mark_arm(struct armed_files *files, int slot, int fd, const struct elf_probe *probe,
		    enum tracer_mark mark)
{
	struct armed_file *file = &files->files[slot];
	char event[EVENT_NAME_MAX];
	int64_t id;
	int err;

	event_name(event, mark, slot);
	err = tracefs_uprobe_define(files->tracefs, files->group, event, fd, probe->offset,
				    probe->semaphore_offset);
	if (err)
		return err;
	id = tracefs_event_id(files->tracefs, files->group, event);
	if (id < 0)
		return id;
	file->ids[mark] = id;
	err = program_hang(file, files->tracer, mark);
	if (err || !file->whole)
		return err;
	file->whole_fds[mark] = armed_event_open(id, -1, false);
	return file->whole_fds[mark] < 0 ? file->whole_fds[mark] : 0;
}

static int marks_arm(struct armed_files *files, int slot, int fd, const struct arming *arming)
{
	struct armed_file *file = &files->files[slot];
	int err;

	memset(file, 0, sizeof(*file));
	memset(file->whole_fds, -1, sizeof(file->whole_fds));
	memset(file->carriers, -1, sizeof(file->carriers));
	err = content_read(fd, file);
	file->file = arming->file;
	file->whole = arming->whole;
	file->inherit = arming->inherit;
	for (int i = 0; i < TRACER_MARKS && !err; i++)
		if (arming->probes[arming_order[i]])
			err = mark_arm(files, slot, fd, arming->probes[arming_order[i]],
				       arming_order[i]);
	return err;
}

/* A slot that is free, or -E2BIG. */
static int slot_find(struct armed_files *files)
{
	for (int slot = 0; slot < files->count; slot++)
		if (!files->files[slot].file.inode)
			return slot;
	return files->count < ARMED_FILES_MAX ? files->count++ : -E2BIG;
}

int armed_file_add(struct armed_files *files, int fd, const struct arming *arming)
{
	int slot = slot_find(files), err;

	if (slot < 0) {
		log_error("more than %d different files to arm: process %d is not traced",
			  ARMED_FILES_MAX, arming->pid);
		return slot;
	}
	err = marks_arm(files, slot, fd, arming);
	if (!err)
		return slot;
	log_error("arming %s of process %d: %s; `wsgiscope check -p %d` says what is missing",
		  arming->what, arming->pid, strerror(-err), arming->pid);
	armed_file_remove(files, slot);
	return err;
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void mark_disarm(struct armed_file *file, enum tracer_mark mark)
{
	bpf_link__destroy(file->links[mark]);
	file->links[mark] = NULL;
	fd_close(&file->whole_fds[mark]);
	fd_close(&file->carriers[mark]);
}

void armed_file_remove(struct armed_files *files, int slot)
{
	struct armed_file *file = &files->files[slot];
	char event[EVENT_NAME_MAX];

	for (int i = TRACER_MARKS - 1; i >= 0; i--) {
		enum tracer_mark mark = arming_order[i];
		int err = 0;

		mark_disarm(file, mark);
		event_name(event, mark, slot);
		if (file->ids[mark])
			err = tracefs_uprobe_remove(files->tracefs, files->group, event);
		if (err)
			log_debug("taking %s back: %s", event, strerror(-err));
	}
	memset(file, 0, sizeof(*file));
}

void armed_file_unwhole(struct armed_file *file)
{
	for (int mark = 0; mark < TRACER_MARKS; mark++)
		fd_close(&file->whole_fds[mark]);
}

void armed_files_unlink(struct armed_files *files, const enum tracer_mark *marks, size_t count)
{
	struct bpf_link *links[ARMED_FILES_MAX * TRACER_MARKS];
	size_t found = 0;

	for (int slot = 0; slot < files->count; slot++) {
		for (size_t i = 0; i < count; i++) {
			struct bpf_link **link = &files->files[slot].links[marks[i]];

			if (*link)
				links[found++] = *link;
			*link = NULL;
		}
	}
	links_destroy(links, found);
}

void armed_files_disarm(struct armed_files *files, enum tracer_mark mark)
{
	for (int slot = 0; slot < files->count; slot++)
		if (files->files[slot].file.inode)
			mark_disarm(&files->files[slot], mark);
}
