/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbols and USDT notes of an ELF file. The file is hostile: every offset and length is checked,
 * nothing is trusted to end. Knows nothing of processes or probes. x86-64 and arm64, 64 bit.
 */
#ifndef WSGISCOPE_ELF_H
#define WSGISCOPE_ELF_H

#include <stdint.h>

struct elf_file; /* an open, mapped, checked file */

/* Where to put a probe, as offsets into the file (what uprobes take). */
struct elf_probe {
	uint64_t offset;	   /* of the instruction */
	uint64_t semaphore_offset; /* of its 16-bit semaphore, 0: none */
};

/* fd is borrowed (it may be closed after). 0, -ENOEXEC (not such an ELF file), -errno. */
int elf_open(int fd, struct elf_file **out);
void elf_close(struct elf_file *elf); /* NULL is fine */

/* All queries: -EBADMSG where the tables asked make no sense, -EFBIG where they are beyond bounds.
 */

/* The USDT probe provider:name. 0, -ENOENT, -errno. The first site wins. */
int elf_find_usdt(const struct elf_file *elf, const char *provider, const char *name,
		  struct elf_probe *out);

/* A symbol that .dynsym defines: its virtual address and size. 0, -ENOENT, -errno. */
int elf_find_symbol(const struct elf_file *elf, const char *name, uint64_t *vaddr, uint64_t *size);

/*
 * Each function that the file names: of .symtab, where it has not been stripped, then of .dynsym.
 * Names end with a NUL, borrowed. fn: 0 to go on; else it is handed back.
 */
typedef int (*elf_function_fn)(void *context, const char *name, uint64_t vaddr, uint64_t size);
int elf_functions_each(const struct elf_file *elf, elf_function_fn fn, void *context);

/*
 * The virtual address of the page that a mapping of code at this file offset (page-aligned) has:
 * what the mapping's start is more than that is where the file has been loaded. 0 or -ENOENT.
 */
int elf_code_vaddr(const struct elf_file *elf, uint64_t offset, uint64_t *vaddr);

/* File offset of a virtual address that lies in a PT_LOAD; 0 or -ENOENT. */
int elf_vaddr_to_offset(const struct elf_file *elf, uint64_t vaddr, uint64_t *offset);

/* Copies bytes of initialised data at a virtual address (at most what the file has); 0 or -errno.
 */
int elf_read_vaddr(const struct elf_file *elf, uint64_t vaddr, void *out, uint64_t bytes);

#endif
