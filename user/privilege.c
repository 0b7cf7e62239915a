/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the list of what is kept. The same list is in contrib/wsgiscope.service, with what setting
 * up needs beside it; a test holds one to the other.
 */
#include "privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include "log.h"

/* What re-attaching needs, while workers come and go. */
static const struct kept {
	unsigned int capability;
	const char *why;
} kept[] = {
	{CAP_BPF, "to hang programs on the marks of a new worker, to read maps"},
	{CAP_PERFMON, "to open perf events on other processes and on system calls"},
	{CAP_SYS_PTRACE, "to read /proc/PID of other users' workers: maps, root, memory"},
	{CAP_DAC_READ_SEARCH, "to read the marker's file inside other users' directories"},
	{CAP_CHECKPOINT_RESTORE, "to open it by its mapping, where it was replaced meanwhile"},
};

static bool is_kept(unsigned int capability)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i].capability == capability)
			return true;
	return false;
}

/* Only the sets that the kernel says we have: what we never had is not asked for. */
static int capabilities_keep(bool (*wanted)(unsigned int capability))
{
	bool may_bound;

	if (capng_get_caps_process())
		return -EPERM;
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	for (unsigned int i = 0; i <= CAP_LAST_CAP; i++) {
		capng_update(CAPNG_DROP, CAPNG_INHERITABLE | CAPNG_AMBIENT, i);
		if (!wanted(i))
			capng_update(CAPNG_DROP,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, i);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	/* The bounding set while we may; who may not was given the one that he is to have. */
	if (may_bound && capng_apply(CAPNG_SELECT_BOUNDS))
		return -EPERM;
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

static bool none(unsigned int capability)
{
	return false;
}

int privilege_drop_all(void)
{
	return capabilities_keep(none);
}

int privilege_drop(void)
{
	int error = capabilities_keep(is_kept);

	if (error) {
		log_error("giving up capabilities: %s; a security module forbids it?",
			  strerror(-error));
		return error;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		log_debug("kept %s %s", capng_capability_to_name(kept[i].capability), kept[i].why);
	return 0;
}
