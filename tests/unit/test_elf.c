// LINK: user/elf.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf.c against a shared object that the compiler made (probes, symbols of every kind) and against
 * many broken copies of it. Owns the object for the time of the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "elf.h"

#define ROOM ((size_t)1 << 20)

static const char source[] =
	"#define PROBE(provider, name) \\\n"
	"\t__attribute__((section(\".probes\"))) unsigned short name##_semaphore; \\\n"
	"\tvoid name(void *argument) \\\n"
	"\t{ \\\n"
	"\t\t__asm__ volatile(\"990: nop\\n\" \\\n"
	"\t\t\".pushsection .note.stapsdt,\\\"\\\",\\\"note\\\"\\n.balign 4\\n\" \\\n"
	"\t\t\".4byte 992f-991f,994f-993f,3\\n991: .asciz \\\"stapsdt\\\"\\n992: .balign 4\\n\" "
	"\\\n"
	"\t\t\"993: .8byte 990b\\n.8byte _.stapsdt.base\\n.8byte \" #name \"_semaphore\\n\" \\\n"
	"\t\t\".asciz \\\"\" #provider \"\\\"\\n.asciz \\\"\" #name \"\\\"\\n.asciz "
	"\\\"8@x\\\"\\n\" \\\n"
	"\t\t\"994: .balign 4\\n.popsection\\n.ifndef _.stapsdt.base\\n\" \\\n"
	"\t\t\".pushsection .stapsdt.base,\\\"aG\\\",\\\"progbits\\\",.stapsdt.base,comdat\\n\" "
	"\\\n"
	"\t\t\".weak _.stapsdt.base\\n.hidden _.stapsdt.base\\n_.stapsdt.base: .space 1\\n\" \\\n"
	"\t\t\".size _.stapsdt.base, 1\\n.popsection\\n.endif\\n\" : : \"r\"(argument)); \\\n"
	"\t}\n"
	"PROBE(first, one)\n"
	"PROBE(first, two)\n"
	"PROBE(second, three)\n"
	"const unsigned int version_symbol = 0x12345678;\n"
	"char zeroes_symbol[64];\n"
	"__thread int thread_symbol = 5;\n"
	"extern int puts(const char *);\n"
	"int calls_symbol(void) { return puts(\"\") + thread_symbol; }\n";

static struct {
	unsigned char *good; /* the object */
	size_t bytes;
	unsigned char *copy; /* to be broken */
	int fd;		     /* a memfd that takes the copies */
} object;

static int object_build(void **state)
{
	char directory[] = "/tmp/test_elf.XXXXXX";
	char path[64], command[256];
	FILE *file;

	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/object.c", directory);
	file = fopen(path, "w");
	if (!file || fputs(source, file) < 0 || fclose(file))
		return -1;
	snprintf(command, sizeof(command), "${CC:-cc} -O2 -shared -fPIC -o %s/object.so %s",
		 directory, path);
	if (system(command))
		return -1;
	snprintf(path, sizeof(path), "%s/object.so", directory);
	file = fopen(path, "r");
	object.good = malloc(ROOM);
	object.copy = malloc(ROOM);
	object.fd = memfd_create("object", MFD_CLOEXEC);
	if (!file || !object.good || !object.copy || object.fd < 0)
		return -1;
	object.bytes = fread(object.good, 1, ROOM, file);
	fclose(file);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command) || object.bytes < 1000 || object.bytes == ROOM ? -1 : 0;
}

static int object_free(void **state)
{
	free(object.good);
	free(object.copy);
	return close(object.fd);
}

static void copy_reset(void)
{
	memcpy(object.copy, object.good, object.bytes);
}

/* Opens the first bytes of the copy. */
static int copy_open(size_t bytes, struct elf_file **elf)
{
	assert_int_equal(ftruncate(object.fd, 0), 0);
	assert_int_equal(pwrite(object.fd, object.copy, bytes, 0), (ssize_t)bytes);
	return elf_open(object.fd, elf);
}

static struct elf_file *copy_opened(void)
{
	struct elf_file *elf = NULL;

	assert_int_equal(copy_open(object.bytes, &elf), 0);
	return elf;
}

static Elf64_Ehdr *copy_header(void)
{
	return (Elf64_Ehdr *)object.copy;
}

/* The section of that name in the copy, found without elf.c. */
static Elf64_Shdr *copy_section(const char *name)
{
	Elf64_Shdr *sections = (Elf64_Shdr *)(object.copy + copy_header()->e_shoff);
	const char *names = (char *)object.copy + sections[copy_header()->e_shstrndx].sh_offset;

	for (int i = 0; i < copy_header()->e_shnum; i++)
		if (strcmp(names + sections[i].sh_name, name) == 0)
			return &sections[i];
	fail_msg("no section %s", name);
	return NULL;
}

/* Asks everything; whatever is answered with 0 must lie in the file. Answers how many were 0. */
static int queries_check(const struct elf_file *elf, size_t file_bytes)
{
	static const char *const symbols[] = {"one", "version_symbol", "zeroes_symbol", "absent"};
	struct elf_probe probe;
	uint64_t vaddr, size, offset;
	uint32_t value;
	int found = 0;

	if (!elf_find_usdt(elf, "first", "two", &probe)) {
		assert_in_range(probe.offset, 0, file_bytes - 1);
		assert_in_range(probe.semaphore_offset, 0, file_bytes - 2);
		found++;
	}
	for (size_t i = 0; i < COUNT_OF(symbols); i++) {
		if (elf_find_symbol(elf, symbols[i], &vaddr, &size))
			continue;
		found++;
		if (!elf_vaddr_to_offset(elf, vaddr, &offset))
			assert_in_range(offset, 0, file_bytes - 1);
		if (!elf_read_vaddr(elf, vaddr, &value, sizeof(value)))
			found++;
	}
	return found;
}

static void test_probes(void **state)
{
	static const struct {
		const char *provider, *name, *semaphore;
	} probes[] = {
		{"first", "one", "one_semaphore"},
		{"first", "two", "two_semaphore"},
		{"second", "three", "three_semaphore"},
	};
	struct elf_probe probe;
	struct elf_file *elf;
	uint64_t vaddr, size, offset;

	copy_reset();
	elf = copy_opened();
	for (size_t i = 0; i < COUNT_OF(probes); i++) {
		assert_int_equal(elf_find_usdt(elf, probes[i].provider, probes[i].name, &probe), 0);
		assert_int_equal(elf_find_symbol(elf, probes[i].name, &vaddr, &size), 0);
		assert_int_equal(elf_vaddr_to_offset(elf, vaddr, &offset), 0);
		assert_in_range(probe.offset, offset, offset + size - 1);
		assert_int_equal(elf_find_symbol(elf, probes[i].semaphore, &vaddr, &size), 0);
		assert_int_equal(size, 2);
		assert_int_equal(elf_vaddr_to_offset(elf, vaddr, &offset), 0);
		assert_int_equal(probe.semaphore_offset, offset);
#ifdef __x86_64__
		assert_int_equal(object.copy[probe.offset], 0x90);
#endif
	}
	assert_int_equal(elf_find_usdt(elf, "second", "one", &probe), -ENOENT);
	assert_int_equal(elf_find_usdt(elf, "first", "on", &probe), -ENOENT);
	assert_int_equal(elf_find_usdt(elf, "", "", &probe), -ENOENT);
	elf_close(elf);
}

static void test_symbols(void **state)
{
	uint64_t vaddr, size;
	struct elf_file *elf;
	char wide[64];
	uint32_t value;

	copy_reset();
	elf = copy_opened();
	assert_int_equal(elf_find_symbol(elf, "version_symbol", &vaddr, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(elf_read_vaddr(elf, vaddr, &value, sizeof(value)), 0);
	assert_int_equal(value, 0x12345678);
	/* Has an address, but no bytes in the file. */
	assert_int_equal(elf_find_symbol(elf, "zeroes_symbol", &vaddr, &size), 0);
	assert_int_equal(size, 64);
	assert_int_equal(elf_read_vaddr(elf, vaddr, wide, sizeof(wide)), -ENOENT);
	/* Of another file; an offset into thread-local storage; not there; empty. */
	assert_int_equal(elf_find_symbol(elf, "puts", &vaddr, &size), -ENOENT);
	assert_int_equal(elf_find_symbol(elf, "thread_symbol", &vaddr, &size), -ENOENT);
	assert_int_equal(elf_find_symbol(elf, "version_symbo", &vaddr, &size), -ENOENT);
	assert_int_equal(elf_find_symbol(elf, "", &vaddr, &size), -ENOENT);
	assert_int_equal(elf_read_vaddr(elf, UINT64_MAX, &value, sizeof(value)), -ENOENT);
	assert_int_equal(elf_read_vaddr(elf, 0, &value, UINT64_MAX), -ENOENT);
	elf_close(elf);
}

/* Only what the segment has in the file, though the file goes on behind it. */
static void test_read_ends_with_segment(void **state)
{
	const Elf64_Phdr *segment;
	struct elf_file *elf;
	uint64_t last;
	char bytes[2];

	copy_reset();
	segment = (Elf64_Phdr *)(object.copy + copy_header()->e_phoff);
	for (int i = 0; segment->p_type != PT_LOAD || !(segment->p_flags & PF_X); i++, segment++)
		assert_true(i < copy_header()->e_phnum);
	last = segment->p_vaddr + segment->p_filesz - 1;
	elf = copy_opened();
	assert_int_equal(elf_read_vaddr(elf, last, bytes, 1), 0);
	assert_int_equal(elf_read_vaddr(elf, last, bytes, 2), -ENOENT);
	assert_int_equal(elf_read_vaddr(elf, last + 1, bytes, 1), -ENOENT);
	elf_close(elf);
}

/* The caller's descriptor is its own: closed, or moved about, the file stays readable. */
static void test_descriptor_is_borrowed(void **state)
{
	struct elf_file *elf;
	int fd;

	copy_reset();
	elf_close(copy_opened());
	fd = dup(object.fd);
	assert_int_equal(elf_open(fd, &elf), 0);
	assert_int_equal(close(fd), 0);
	/* The probe, three addresses, and bytes at two of them. */
	assert_int_equal(queries_check(elf, object.bytes), 6);
	elf_close(elf);
	elf_close(NULL);
}

/* A tool moved the file after linking: the base moved with it, the addresses in notes did not. */
static void test_probe_of_moved_file(void **state)
{
	const uint64_t distance = 0x1230000;
	struct elf_probe before, after;
	struct elf_file *elf;
	Elf64_Shdr *notes;

	copy_reset();
	elf = copy_opened();
	assert_int_equal(elf_find_usdt(elf, "first", "two", &before), 0);
	elf_close(elf);
	notes = copy_section(".note.stapsdt");
	for (size_t at = 0; at < notes->sh_size;) {
		Elf64_Nhdr *note = (Elf64_Nhdr *)(object.copy + notes->sh_offset + at);
		char *desc = (char *)(note + 1) + 8;
		uint64_t addresses[3]; /* not aligned in the file */

		memcpy(addresses, desc, sizeof(addresses));
		for (int i = 0; i < 3; i++)
			addresses[i] -= distance;
		memcpy(desc, addresses, sizeof(addresses));
		at += sizeof(*note) + 8 + ((note->n_descsz + 3) & ~3u);
	}
	elf = copy_opened();
	assert_int_equal(elf_find_usdt(elf, "first", "two", &after), 0);
	assert_int_equal(after.offset, before.offset);
	assert_int_equal(after.semaphore_offset, before.semaphore_offset);
	elf_close(elf);
}

static void test_refuses_other_files(void **state)
{
	struct elf_file *elf;
	int pipes[2], fd;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(elf_open(pipes[0], &elf), -ENOEXEC);
	close(pipes[0]);
	close(pipes[1]);
	fd = open("/tmp", O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_open(fd, &elf), -ENOEXEC);
	close(fd);
	assert_int_equal(elf_open(-1, &elf), -EBADF);
	copy_reset();
	assert_int_equal(copy_open(0, &elf), -ENOEXEC);
	assert_int_equal(copy_open(63, &elf), -ENOEXEC);
	copy_header()->e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(copy_open(object.bytes, &elf), -ENOEXEC);
	copy_reset();
	copy_header()->e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(copy_open(object.bytes, &elf), -ENOEXEC);
	copy_reset();
	copy_header()->e_machine = EM_PPC64;
	assert_int_equal(copy_open(object.bytes, &elf), -ENOEXEC);
	copy_reset();
	copy_header()->e_type = ET_REL;
	assert_int_equal(copy_open(object.bytes, &elf), -ENOEXEC);
}

/* Wherever it ends: refused, or what is found is right. */
static void test_truncated(void **state)
{
	struct elf_file *elf;

	copy_reset();
	for (size_t bytes = 0; bytes < object.bytes; bytes += 11) {
		int err = copy_open(bytes, &elf);

		if (err) {
			assert_int_equal(err, -ENOEXEC);
			continue;
		}
		queries_check(elf, bytes);
		elf_close(elf);
	}
}

/* It shrinks after it has been opened: no signal, an error. */
static void test_shrinks_while_open(void **state)
{
	uint64_t vaddr, size, code;
	struct elf_probe probe;
	struct elf_file *elf;

	copy_reset();
	elf = copy_opened();
	assert_int_equal(elf_find_symbol(elf, "one", &code, &size), 0);
	assert_int_equal(ftruncate(object.fd, 100), 0);
	assert_int_equal(elf_find_symbol(elf, "one", &vaddr, &size), -EBADMSG);
	assert_int_equal(elf_find_usdt(elf, "first", "one", &probe), -EBADMSG);
	assert_int_equal(elf_read_vaddr(elf, code, &vaddr, 1), -ENODATA);
	elf_close(elf);
}

/* Puts hostile numbers into every 8-byte and every 4-byte field of a table, in turn. */
static void table_break(size_t from, size_t bytes)
{
	const uint64_t values[] = {0,
				   1,
				   object.bytes - 1,
				   object.bytes,
				   UINT64_MAX,
				   INT64_MAX,
				   UINT64_C(1) << 63,
				   UINT32_MAX,
				   UINT64_MAX - 7};
	struct elf_file *elf;

	for (size_t at = from; at + 8 <= from + bytes; at += 4) {
		for (size_t i = 0; i < COUNT_OF(values); i++) {
			copy_reset();
			memcpy(object.copy + at, &values[i], at % 8 ? 4 : 8);
			if (copy_open(object.bytes, &elf))
				continue;
			queries_check(elf, object.bytes);
			elf_close(elf);
		}
	}
	copy_reset();
}

static void test_hostile_tables(void **state)
{
	const Elf64_Shdr *notes;

	copy_reset();
	table_break(0, sizeof(Elf64_Ehdr));
	table_break(copy_header()->e_phoff, copy_header()->e_phnum * sizeof(Elf64_Phdr));
	table_break(copy_header()->e_shoff, copy_header()->e_shnum * sizeof(Elf64_Shdr));
	notes = copy_section(".note.stapsdt");
	table_break(notes->sh_offset, notes->sh_size);
}

/* Sets up a copy in which only the first note is broken, by way of its bytes. */
static unsigned char *note_broken(void)
{
	copy_reset();
	return object.copy + copy_section(".note.stapsdt")->sh_offset;
}

static void note_expect(int expected)
{
	struct elf_probe probe;
	struct elf_file *elf = copy_opened();

	assert_int_equal(elf_find_usdt(elf, "first", "one", &probe), expected);
	elf_close(elf);
}

static void test_hostile_notes(void **state)
{
	Elf64_Nhdr *note = (Elf64_Nhdr *)note_broken();
	size_t desc = sizeof(*note) + 8;
	uint32_t desc_bytes = note->n_descsz;

	memset((char *)note + desc + 24, 'x', desc_bytes - 24); /* no string ends */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	((char *)note)[desc + desc_bytes - 1] = 'x'; /* the arguments do not end */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	note->n_descsz = 23; /* shorter than three addresses */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	note->n_descsz = 0x7fffffff;
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	note->n_descsz = (uint32_t)copy_section(".note.stapsdt")->sh_size; /* beyond the end */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	note->n_namesz = 0xfffffffd; /* wraps around when it is padded */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	((char *)(note + 1))[7] = 'x'; /* "stapsdtx", no NUL: someone else's note */
	note_expect(-ENOENT);
	note = (Elf64_Nhdr *)note_broken();
	note->n_type = 4;
	note_expect(-ENOENT);
	note = (Elf64_Nhdr *)note_broken();
	memset((char *)note + desc, 0xff, 8); /* the place is outside of all code */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	memset((char *)note + desc + 16, 0x7f, 8); /* so is the semaphore, outside of all data */
	note_expect(-EBADMSG);
	note = (Elf64_Nhdr *)note_broken();
	memset((char *)note + desc + 16, 0, 8); /* none */
	note_expect(0);
}

/* Code is where the probe must be, writable data where its semaphore: not the other way round. */
static void test_probe_wants_code_and_data(void **state)
{
	const size_t addresses = sizeof(Elf64_Nhdr) + 8;
	unsigned char *note = note_broken();

	memcpy(note + addresses + 16, note + addresses, 8);
	note_expect(-EBADMSG);
	note = note_broken();
	memcpy(note + addresses, note + addresses + 16, 8);
	note_expect(-EBADMSG);
}

/* Sizes that the (sparse) file really has are bounded too. */
static void test_large_tables(void **state)
{
	const off_t large = (off_t)200 << 20;
	struct elf_probe probe;
	uint64_t vaddr, size;
	struct elf_file *elf;

	copy_reset();
	copy_section(".note.stapsdt")->sh_size = 2 << 20;
	copy_section(".dynsym")->sh_size = 65 << 20;
	assert_int_equal(pwrite(object.fd, object.copy, object.bytes, 0), (ssize_t)object.bytes);
	assert_int_equal(ftruncate(object.fd, large), 0);
	assert_int_equal(elf_open(object.fd, &elf), 0);
	assert_int_equal(elf_find_usdt(elf, "first", "one", &probe), -EFBIG);
	assert_int_equal(elf_find_symbol(elf, "one", &vaddr, &size), -EFBIG);
	elf_close(elf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_read_ends_with_segment),
		cmocka_unit_test(test_descriptor_is_borrowed),
		cmocka_unit_test(test_probe_of_moved_file),
		cmocka_unit_test(test_refuses_other_files),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_shrinks_while_open),
		cmocka_unit_test(test_hostile_tables),
		cmocka_unit_test(test_hostile_notes),
		cmocka_unit_test(test_probe_wants_code_and_data),
		cmocka_unit_test(test_large_tables),
	};

	return cmocka_run_group_tests(tests, object_build, object_free);
}
