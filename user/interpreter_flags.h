/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a command tells Python to leave out at its start. Only looks at the command and at the first
 * line of its file.
 */
#ifndef WSGISCOPE_INTERPRETER_FLAGS_H
#define WSGISCOPE_INTERPRETER_FLAGS_H

#include <stddef.h>

/* Finds a program as execvp() would: an absolute or relative path. 0 or -errno (-ENOENT, -EACCES).
 */
int program_find(const char *name, char *out, size_t size);

/*
 * The flag by which a command's Python ignores PYTHONPATH or its site module: 'E', 'I' or 'S'; 0:
 * none, or it is no Python. path: of program_find().
 */
char interpreter_flag_find(const char *path, char *const argv[]);

#endif
