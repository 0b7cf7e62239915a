/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the sorted lists. A list is bounded: a file is what a traced process maps, and may be made
 * to hurt. Must not know where files or addresses come from.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf.h"
#include "functions.h"

#define FUNCTIONS_MAX	(1U << 20)
#define NAMES_BYTES_MAX (64U << 20)
#define NAME_MAX_BYTES	255

struct function {
	uint64_t start, end;
	uint32_t name; /* of its first byte in names */
};

struct functions {
	struct function *list;
	size_t count, room;
	char *names;
	size_t names_bytes, names_room;
};

static int name_add(struct functions *functions, const char *name, uint32_t *out)
{
	size_t bytes = strnlen(name, NAME_MAX_BYTES);

	if (functions->names_bytes + bytes + 1 > NAMES_BYTES_MAX)
		return -E2BIG;
	if (functions->names_bytes + bytes + 1 > functions->names_room) {
		size_t room = functions->names_room ? 2 * functions->names_room : 65536;
		char *grown = realloc(functions->names, room);

		if (!grown)
			return -ENOMEM;
		functions->names = grown;
		functions->names_room = room;
	}
	*out = (uint32_t)functions->names_bytes;
	memcpy(functions->names + functions->names_bytes, name, bytes);
	functions->names[functions->names_bytes + bytes] = '\0';
	functions->names_bytes += bytes + 1;
	return 0;
}

/* 0, -E2BIG (the list is full), -ENOMEM. */
static int function_add(void *context, const char *name, uint64_t start, uint64_t size)
{
	struct functions *functions = context;
	struct function *function;
	int err;

	if (!*name || start + size < start)
		return 0;
	/* NOLINTNEXTLINE(clang-analyzer-*): errno was set, were it NULL */
	if (functions->count == FUNCTIONS_MAX)
		return -E2BIG;
	if (functions->count == functions->room) {
		size_t room = functions->room ? 2 * functions->room : 1024;

		function = realloc(functions->list, room * sizeof(*function));
		if (!function)
			return -ENOMEM;
		functions->list = function;
		functions->room = room;
	}
	function = &functions->list[functions->count];
	function->start = start;
	function->end = start + size;
	err = name_add(functions, name, &function->name);
	functions->count += !err;
	return err;
}

/* By start; the larger first, so that what is found is the innermost. */
static int function_compare(const void *a, const void *b)
{
	const struct function *one = a, *other = b;

	if (one->start != other->start)
		return one->start < other->start ? -1 : 1;
	return one->end > other->end ? -1 : one->end < other->end;
}

int functions_of_elf(const struct elf_file *elf, struct functions **out)
{
	struct functions *functions = calloc(1, sizeof(*functions));
	int err;

	if (!functions)
		return -ENOMEM;
	err = elf_functions_each(elf, function_add, functions);
	if (err == -ENOMEM) {
		functions_free(functions);
		return err;
	}
	qsort(functions->list, functions->count, sizeof(*functions->list), function_compare);
	*out = functions;
	return 0;
}

/* Each reaches to the next: the kernel does not say how long they are. */
static void ends_set(struct functions *functions)
{
	for (size_t i = 0; i < functions->count; i++)
		functions->list[i].end =
			i + 1 < functions->count ? functions->list[i + 1].start : UINT64_MAX;
}

int functions_of_kernel(struct functions **out)
{
	struct functions *functions = calloc(1, sizeof(*functions));
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], name[NAME_MAX_BYTES + 1], type;
	uint64_t address;
	int err = functions && file ? 0 : -errno;

	while (!err && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %255s", &address, &type, name) != 3 || !address ||
		    !strchr("tTwW", type))
			continue;
		err = function_add(functions, name, address, 0);
	}
	if (file)
		fclose(file);
	if (err) {
		functions_free(functions);
		return err;
	}
	/* NOLINTNEXTLINE(clang-analyzer-*): errno was set, were it NULL */
	qsort(functions->list, functions->count, sizeof(*functions->list), function_compare);
	ends_set(functions);
	*out = functions;
	return 0;
}

void functions_free(struct functions *functions)
{
	if (!functions)
		return;
	free(functions->list);
	free(functions->names);
	free(functions);
}

const char *functions_find(const struct functions *functions, uint64_t address)
{
	size_t low = 0, high = functions->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions->list[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= functions->list[low - 1].end)
		return NULL;
	return functions->names + functions->list[low - 1].name;
}
