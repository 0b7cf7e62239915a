/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's way to write which CPUs it means: "0-3,8".
 */
#ifndef WSGISCOPE_CPU_LIST_H
#define WSGISCOPE_CPU_LIST_H

#include <stdbool.h>

/* Sets in[cpu], of so many CPUs, to whether the list names it. 0, -EBADMSG: no list; what in holds
 * then means nothing. */
int cpu_list_parse(const char *list, bool *in, int cpus);

/* The CPUs that are online now. 0, -EBADMSG, -errno. */
int cpu_list_online(bool *in, int cpus);

#endif
