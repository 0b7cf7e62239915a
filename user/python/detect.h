/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which Python runtime an ELF file carries, and its version. Reads the file only, never a process.
 */
#ifndef WSGISCOPE_PYTHON_DETECT_H
#define WSGISCOPE_PYTHON_DETECT_H

#include <stddef.h>
#include <stdint.h>

#include "elf.h"
#include "worker.h"

struct python_runtime {
	enum worker_python kind;
	/* PY_VERSION_HEX, 0: not known. Where the low 16 bits are 0, the name of the file told the
	 * minor version only (Python 3.10 and before do not say it in their symbols). */
	uint32_t version;
};

/* name: the file's base name. 0 (kind PYTHON_NONE: not a runtime), -errno: could not be read. */
int python_detect_file(const struct elf_file *elf, const char *name, struct python_runtime *out);

/* "3.11.2", "3.14.0rc1", "3.9" where only that is known. Fits into 16 bytes. */
void python_version_format(uint32_t version, char *out, size_t size);

#endif
