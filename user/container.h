/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The container that a process is in, as far as the kernel knows any: it only knows namespaces and
 * control groups. Bytes from control groups' names are whoever's made them: escape.
 */
#ifndef WSGISCOPE_CONTAINER_H
#define WSGISCOPE_CONTAINER_H

#include <stddef.h>
#include <sys/types.h>

#define CONTAINER_NAME_BYTES 64

struct container {
	pid_t pid;			 /* the process's own idea of its PID, in its namespace */
	char name[CONTAINER_NAME_BYTES]; /* "": its control group says nothing */
};

/* 0; -ENOENT: it is in our own PID namespace; -ESRCH, -errno. */
int container_find(pid_t pid, struct container *out);

/*
 * A short name from the text of /proc/PID/cgroup: the first 12 digits of the id that Docker,
 * Podman, containerd and CRI-O put into the control group's name, else its last part without
 * ".scope" or ".service". "" for the root.
 */
void container_name(const char *cgroups, char out[CONTAINER_NAME_BYTES]);

#endif
