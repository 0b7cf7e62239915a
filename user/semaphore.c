/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way from a file's offset to the address where a process has it, and the read.
 */
#include <errno.h>
#include <sys/uio.h>

#include "proc.h"
#include "semaphore.h"

struct place {
	dev_t device;
	uint64_t inode, offset;
	uint64_t address; /* 0: not found */
};

/* Data is mapped writable; the linker's first, read-only mapping may cover the offset too. */
static int mapping_match(void *context, const struct proc_mapping *mapping)
{
	struct place *place = context;

	if (!mapping->writable || mapping->inode != place->inode ||
	    mapping->device != place->device || place->offset < mapping->offset ||
	    place->offset - mapping->offset >= mapping->end - mapping->start)
		return 0;
	place->address = mapping->start + (place->offset - mapping->offset);
	return 1;
}

int semaphore_read(pid_t pid, dev_t device, uint64_t inode, uint64_t offset, uint16_t *out)
{
	struct place place = {.device = device, .inode = inode, .offset = offset};
	int err = proc_mappings_each(pid, mapping_match, &place);
	struct iovec local = {out, sizeof(*out)}, remote = {.iov_len = sizeof(*out)};
	ssize_t got;

	if (err < 0)
		return err;
	if (!place.address)
		return -ENOENT;
	remote.iov_base = (void *)place.address;
	got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	if (got < 0)
		return -errno;
	return got == sizeof(*out) ? 0 : -EIO;
}
