/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: how a Python runtime is recognised. By what the file defines, since the name says little:
 * uWSGI's plugin, Apache's module or an executable of any name may bring CPython along.
 * Must not know: processes, servers, the marker.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "python/detect.h"

/* The beginning of _PyRuntime from 3.13 on, struct _Py_DebugOffsets. */
struct debug_offsets_head {
	char cookie[8];
	uint64_t version;
};

#define DEBUG_OFFSETS_COOKIE "xdebugpy"

/* "libpython3.9.so.1.0", "python3.10d" -> 0x03090000, 0x030a0000; 0: the name does not say. */
static uint32_t version_from_name(const char *name)
{
	const char *at = strstr(name, "python");
	unsigned int major, minor;

	if (!at || sscanf(at, "python%1u.%2u", &major, &minor) != 2)
		return 0;
	return major << 24 | minor << 16;
}

/* CPython 3.x with x.y.z of this century: anything else was not a version. */
static bool version_is_sane(uint64_t version)
{
	return version >> 24 == 3 && (version >> 16 & 0xff) >= 7;
}

/* From the best source to the worst: the debug offsets (3.13), Py_Version (3.11), the name. */
static uint32_t version_find(const struct elf_file *elf, uint64_t runtime, const char *name)
{
	struct debug_offsets_head head;
	uint64_t vaddr, size;
	uint32_t version;

	if (!elf_read_vaddr(elf, runtime, &head, sizeof(head)) &&
	    memcmp(head.cookie, DEBUG_OFFSETS_COOKIE, sizeof(head.cookie)) == 0 &&
	    version_is_sane(head.version))
		return (uint32_t)head.version;
	if (!elf_find_symbol(elf, "Py_Version", &vaddr, &size) &&
	    !elf_read_vaddr(elf, vaddr, &version, sizeof(version)) && version_is_sane(version))
		return version;
	version = version_from_name(name);
	return version_is_sane(version) ? version : 0;
}

/* Before 3.7 there is no _PyRuntime. Who only asks for the interpreter does not define this. */
static bool is_old(const struct elf_file *elf, const char *name)
{
	uint64_t vaddr, size;

	return strstr(name, "python") && !elf_find_symbol(elf, "PyEval_EvalFrameEx", &vaddr, &size);
}

int python_detect_file(const struct elf_file *elf, const char *name, struct python_runtime *out)
{
	uint64_t runtime, size;
	int err;

	out->kind = PYTHON_NONE;
	out->version = 0;
	if (strncmp(name, "libpypy", 7) == 0 || strncmp(name, "pypy", 4) == 0) {
		out->kind = PYTHON_PYPY;
		return 0;
	}
	err = elf_find_symbol(elf, "_PyRuntime", &runtime, &size);
	if (err == -ENOENT && is_old(elf, name)) {
		out->kind = PYTHON_OLD;
		out->version = version_from_name(name);
	}
	if (err)
		return err == -ENOENT ? 0 : err;
	out->kind = PYTHON_CPYTHON;
	out->version = version_find(elf, runtime, name);
	return 0;
}

void python_version_format(uint32_t version, char *out, size_t size)
{
	unsigned int major = version >> 24, minor = version >> 16 & 0xff,
		     micro = version >> 8 & 0xff;
	const char *level;

	if (!(version & 0xffff)) {
		snprintf(out, size, "%u.%u", major, minor);
		return;
	}
	switch (version >> 4 & 0xf) {
	case 0xa:
		level = "a";
		break;
	case 0xb:
		level = "b";
		break;
	case 0xc:
		level = "rc";
		break;
	default:
		snprintf(out, size, "%u.%u.%u", major, minor, micro);
		return;
	}
	snprintf(out, size, "%u.%u.%u%s%u", major, minor, micro, level, version & 0xf);
}
