/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of functions by address: of an ELF file, of the kernel.
 */
#ifndef WSGISCOPE_FUNCTIONS_H
#define WSGISCOPE_FUNCTIONS_H

#include <stddef.h>
#include <stdint.h>

struct elf_file;
struct functions;

/* What an ELF file names, by its virtual addresses. 0, -ENOMEM; a file that names nothing, or what
 * makes no sense, is an empty list. */
int functions_of_elf(const struct elf_file *elf, struct functions **out);

/* /proc/kallsyms. 0, -errno; without the right to see addresses it is an empty list. */
int functions_of_kernel(struct functions **out);

void functions_free(struct functions *functions); /* NULL is fine */

/* Lives as long as the list. NULL: none covers this address. */
const char *functions_find(const struct functions *functions, uint64_t address);

#endif
