/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the marker's Python package lies on this machine, for servers that are not to be edited.
 */
#ifndef WSGISCOPE_MARKER_HOME_H
#define WSGISCOPE_MARKER_HOME_H

#include <stddef.h>

/*
 * The directory that holds the package `wsgiscope`, as an absolute path: given, or where it is
 * built or installed beside this program. 0 or -errno, message printed.
 */
int marker_home_find(const char *given, char *out, size_t size);

/*
 * Maps the marker's file in that directory into this process, which runs nothing of it: a tracer
 * that looks at the process finds it there, and arms it for the program that the process becomes.
 * Where that fails, the tracer finds it a little later. Of several (a Python each), the first.
 */
void marker_home_map(const char *home);

#endif
