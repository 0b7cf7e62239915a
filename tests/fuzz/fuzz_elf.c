// LINK: user/elf.c user/python/detect.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer target: any bytes as an ELF file, asked everything that the tracer asks of one. What is
 * found must lie inside of the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf.h"
#include "python/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void offset_check(uint64_t offset, size_t bytes)
{
	if (offset >= bytes)
		abort();
}

static void probe_ask(const struct elf_file *elf, const char *provider, const char *name,
		      size_t bytes)
{
	struct elf_probe probe;

	if (elf_find_usdt(elf, provider, name, &probe))
		return;
	offset_check(probe.offset, bytes);
	offset_check(probe.semaphore_offset, bytes);
}

static void symbol_ask(const struct elf_file *elf, const char *name, size_t bytes)
{
	uint64_t vaddr, size, offset;
	char data[256];

	if (elf_find_symbol(elf, name, &vaddr, &size))
		return;
	if (!elf_vaddr_to_offset(elf, vaddr, &offset))
		offset_check(offset, bytes);
	else if (!elf_read_vaddr(elf, vaddr, data, sizeof(data)))
		abort(); /* bytes of a place that is not in the file */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static int fd = -1;
	struct python_runtime runtime;
	struct elf_file *elf;

	if (fd < 0)
		fd = memfd_create("fuzz_elf", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, bytes, 0) != (ssize_t)bytes)
		abort();
	if (elf_open(fd, &elf))
		return 0;
	probe_ask(elf, "wsgiscope", "request_start", bytes);
	probe_ask(elf, "wsgiscope", "request_end", bytes);
	symbol_ask(elf, "wsgiscope_marks_version", bytes);
	symbol_ask(elf, "_PyRuntime", bytes);
	python_detect_file(elf, "python3.9", &runtime);
	elf_close(elf);
	return 0;
}
