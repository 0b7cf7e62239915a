/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: reading 64-bit little-endian ELF files: program and section headers, .dynsym, USDT notes.
 * The file may be crafted, and may shrink while it is read. So nothing is mapped (a truncated
 * mapping ends in SIGBUS): bounded pieces are copied with pread() and checked before they are used.
 * Must not know: processes, probes, what the symbols mean.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/elf.h> /* not <elf.h>: -Iuser would make that our own elf.h */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf.h"

/* More than any real file has; a crafted one must not make us allocate what it likes. */
#define SEGMENTS_MAX 128
#define SECTIONS_MAX 4096
#define NOTES_MAX    ((uint64_t)1 << 20)  /* bytes of .note.stapsdt */
#define SYMBOLS_MAX  ((uint64_t)64 << 20) /* bytes of .dynsym, and of .dynstr */
#define NAMES_MAX    ((uint64_t)1 << 20)  /* bytes of .shstrtab */

#define NOTE_STAPSDT_TYPE 3
#define NOTE_STAPSDT_NAME "stapsdt"

struct elf_file {
	int fd;		/* owned */
	uint64_t bytes; /* of the file when it was opened: a hint, pread() has the last word */
	unsigned int segment_count, section_count;
	Elf64_Phdr *segments;
	Elf64_Shdr *sections;
	char *section_names; /* owned; ends with a NUL that is not the file's */
	uint64_t section_names_bytes;
};

/* What a .note.stapsdt entry says, pointing into the notes that were read. */
struct stapsdt_note {
	uint64_t pc, base, semaphore;
	const char *provider, *name; /* NUL-terminated within the note */
};

/* All of bytes or nothing: 0, -ENODATA (the file ends before), -errno. */
static int file_read(const struct elf_file *elf, uint64_t offset, void *out, uint64_t bytes)
{
	char *to = out;

	if (offset > elf->bytes || bytes > elf->bytes - offset)
		return -ENODATA;
	while (bytes) {
		ssize_t got = pread(elf->fd, to, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -ENODATA;
		to += got;
		offset += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	return 0;
}

/*
 * As file_read(), into memory of its own that the caller frees, with a NUL put behind it. -EFBIG:
 * more than max bytes.
 */
static int file_read_new(const struct elf_file *elf, uint64_t offset, uint64_t bytes, uint64_t max,
			 void **out)
{
	char *copy;
	int err;

	if (bytes > max)
		return -EFBIG;
	/* Before the allocation: a length that the file does not have costs nothing. */
	if (offset > elf->bytes || bytes > elf->bytes - offset)
		return -ENODATA;
	copy = malloc(bytes + 1);
	if (!copy)
		return -ENOMEM;
	err = file_read(elf, offset, copy, bytes);
	if (err) {
		free(copy);
		return err;
	}
	copy[bytes] = '\0';
	*out = copy;
	return 0;
}

/* The header as this program can use it, or -ENOEXEC. */
static int header_check(const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return -ENOEXEC;
	if (header->e_machine != EM_X86_64 && header->e_machine != EM_AARCH64)
		return -ENOEXEC;
	if (header->e_phnum && header->e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	if (header->e_shnum && header->e_shentsize != sizeof(Elf64_Shdr))
		return -ENOEXEC;
	return 0;
}

static int section_names_read(struct elf_file *elf, unsigned int index)
{
	const Elf64_Shdr *section;
	void *names;
	int err;

	/* No names: sections cannot be found by name, which is no error. */
	if (index == SHN_UNDEF || index >= elf->section_count)
		return 0;
	section = &elf->sections[index];
	if (section->sh_type != SHT_STRTAB)
		return -ENOEXEC;
	err = file_read_new(elf, section->sh_offset, section->sh_size, NAMES_MAX, &names);
	if (err)
		return err;
	elf->section_names = names;
	elf->section_names_bytes = section->sh_size;
	return 0;
}

static int headers_read(struct elf_file *elf)
{
	Elf64_Ehdr header;
	void *table;
	int err;

	err = file_read(elf, 0, &header, sizeof(header));
	if (!err)
		err = header_check(&header);
	if (err)
		return err;
	err = file_read_new(elf, header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr),
			    SEGMENTS_MAX * sizeof(Elf64_Phdr), &table);
	if (err)
		return err;
	elf->segments = table;
	elf->segment_count = header.e_phnum;
	err = file_read_new(elf, header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr),
			    SECTIONS_MAX * sizeof(Elf64_Shdr), &table);
	if (err)
		return err;
	elf->sections = table;
	elf->section_count = header.e_shnum;
	return section_names_read(elf, header.e_shstrndx);
}

int elf_open(int fd, struct elf_file **out)
{
	struct elf_file *elf;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	elf = calloc(1, sizeof(*elf));
	if (!elf)
		return -ENOMEM;
	elf->bytes = (uint64_t)st.st_size;
	elf->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = elf->fd < 0 ? -errno : headers_read(elf);
	if (err) {
		elf_close(elf);
		/* Cut short, or with tables beyond all measure: not a file we can use. */
		return err == -ENODATA || err == -EFBIG ? -ENOEXEC : err;
	}
	*out = elf;
	return 0;
}

void elf_close(struct elf_file *elf)
{
	if (!elf)
		return;
	if (elf->fd >= 0)
		close(elf->fd);
	free(elf->segments);
	free(elf->sections);
	free(elf->section_names);
	free(elf);
}

/*
 * The first PT_LOAD with all of flags (PF_*) whose part in the file holds [vaddr, vaddr + bytes),
 * or NULL. What lies only in memory (.bss) has no place in the file.
 */
static const Elf64_Phdr *segment_find(const struct elf_file *elf, uint64_t vaddr, uint64_t bytes,
				      uint32_t flags)
{
	for (unsigned int i = 0; i < elf->segment_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];
		uint64_t into = vaddr - segment->p_vaddr;

		if (segment->p_type != PT_LOAD || (segment->p_flags & flags) != flags)
			continue;
		if (vaddr < segment->p_vaddr || into > segment->p_filesz)
			continue;
		if (bytes > segment->p_filesz - into)
			continue;
		/* The end in the file must be a number, and be there. */
		if (segment->p_offset > elf->bytes || into > elf->bytes - segment->p_offset ||
		    bytes > elf->bytes - segment->p_offset - into)
			continue;
		return segment;
	}
	return NULL;
}

/* File offset of bytes at vaddr in a segment with these flags: 0 or -ENOENT. */
static int offset_find(const struct elf_file *elf, uint64_t vaddr, uint64_t bytes, uint32_t flags,
		       uint64_t *offset)
{
	const Elf64_Phdr *segment = segment_find(elf, vaddr, bytes, flags);

	if (!segment)
		return -ENOENT;
	*offset = vaddr - segment->p_vaddr + segment->p_offset;
	return 0;
}

int elf_vaddr_to_offset(const struct elf_file *elf, uint64_t vaddr, uint64_t *offset)
{
	return offset_find(elf, vaddr, 1, 0, offset);
}

int elf_code_vaddr(const struct elf_file *elf, uint64_t offset, uint64_t *vaddr)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (unsigned int i = 0; i < elf->segment_count; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];
		/* A segment that begins within a page is mapped from that page's start. */
		uint64_t begin = segment->p_offset & ~(page - 1);

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		if (offset < begin ||
		    offset - begin >= segment->p_offset - begin + segment->p_filesz)
			continue;
		*vaddr = segment->p_vaddr - segment->p_offset + offset;
		return 0;
	}
	return -ENOENT;
}

int elf_read_vaddr(const struct elf_file *elf, uint64_t vaddr, void *out, uint64_t bytes)
{
	uint64_t offset;
	int err = offset_find(elf, vaddr, bytes, 0, &offset);

	return err ? err : file_read(elf, offset, out, bytes);
}

static const Elf64_Shdr *section_find_name(const struct elf_file *elf, const char *name)
{
	for (unsigned int i = 1; i < elf->section_count; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_name >= elf->section_names_bytes)
			continue;
		/* Ends at the latest at the NUL behind the names. */
		if (strcmp(elf->section_names + section->sh_name, name) == 0)
			return section;
	}
	return NULL;
}

static const Elf64_Shdr *section_find_type(const struct elf_file *elf, uint32_t type)
{
	for (unsigned int i = 1; i < elf->section_count; i++)
		if (elf->sections[i].sh_type == type)
			return &elf->sections[i];
	return NULL;
}

/* A defined symbol with an address in memory: not one of another file, not thread-local. */
static bool symbol_is_address(const Elf64_Sym *symbol)
{
	return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS &&
	       ELF64_ST_TYPE(symbol->st_info) != STT_TLS;
}

static int symbol_search(const Elf64_Sym *symbols, uint64_t count, const char *names,
			 uint64_t names_bytes, const char *name, uint64_t *vaddr, uint64_t *size)
{
	size_t bytes = strlen(name) + 1;

	for (uint64_t i = 1; i < count; i++) {
		const Elf64_Sym *symbol = &symbols[i];

		if (symbol->st_name >= names_bytes || names_bytes - symbol->st_name < bytes)
			continue;
		if (!symbol_is_address(symbol))
			continue;
		if (memcmp(names + symbol->st_name, name, bytes) != 0)
			continue;
		*vaddr = symbol->st_value;
		*size = symbol->st_size;
		return 0;
	}
	return -ENOENT;
}

/* A symbol table and its names, read as a whole; symbols_free() them. */
struct symbol_table {
	void *symbols, *names;
	uint64_t count, names_bytes;
};

static void symbols_free(struct symbol_table *table)
{
	free(table->symbols);
	free(table->names);
	*table = (struct symbol_table){0};
}

/* 0, -ENOENT (there is none of this type), -EBADMSG, -EFBIG, -errno. */
static int symbols_read(const struct elf_file *elf, uint32_t type, struct symbol_table *out)
{
	const Elf64_Shdr *table = section_find_type(elf, type);
	const Elf64_Shdr *strings;
	int err;

	*out = (struct symbol_table){0};
	if (!table)
		return -ENOENT;
	if (table->sh_link >= elf->section_count || table->sh_entsize != sizeof(Elf64_Sym))
		return -EBADMSG;
	strings = &elf->sections[table->sh_link];
	if (strings->sh_type != SHT_STRTAB)
		return -EBADMSG;
	out->count = table->sh_size / sizeof(Elf64_Sym);
	out->names_bytes = strings->sh_size;
	err = file_read_new(elf, table->sh_offset, table->sh_size, SYMBOLS_MAX, &out->symbols);
	if (!err)
		err = file_read_new(elf, strings->sh_offset, strings->sh_size, SYMBOLS_MAX,
				    &out->names);
	if (err)
		symbols_free(out);
	return err == -ENODATA ? -EBADMSG : err;
}

int elf_find_symbol(const struct elf_file *elf, const char *name, uint64_t *vaddr, uint64_t *size)
{
	struct symbol_table table;
	int err = symbols_read(elf, SHT_DYNSYM, &table);

	if (err)
		return err;
	err = symbol_search(table.symbols, table.count, table.names, table.names_bytes, name, vaddr,
			    size);
	symbols_free(&table);
	return err;
}

int elf_functions_each(const struct elf_file *elf, elf_function_fn fn, void *context)
{
	static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
	struct symbol_table table;
	int err = 0;

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]) && !err; t++) {
		err = symbols_read(elf, types[t], &table);
		if (err == -ENOENT) {
			err = 0;
			continue;
		}
		for (uint64_t i = 1; !err && i < table.count; i++) {
			const Elf64_Sym *symbol = (const Elf64_Sym *)table.symbols + i;

			if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_size &&
			    symbol_is_address(symbol) && symbol->st_name < table.names_bytes)
				err = fn(context, (char *)table.names + symbol->st_name,
					 symbol->st_value, symbol->st_size);
		}
		symbols_free(&table);
	}
	return err;
}

/*
 * The description of a stapsdt note: three addresses, then three strings that each end with a NUL
 * inside the description: provider, name, arguments. False: it makes no sense.
 */
static bool note_parse(const char *desc, uint64_t bytes, struct stapsdt_note *out)
{
	uint64_t addresses[3];
	const char *end = desc + bytes;
	const char *stop;

	if (bytes < sizeof(addresses))
		return false;
	memcpy(addresses, desc, sizeof(addresses));
	out->pc = addresses[0];
	out->base = addresses[1];
	out->semaphore = addresses[2];
	out->provider = desc + sizeof(addresses);
	stop = memchr(out->provider, '\0', (size_t)(end - out->provider));
	if (!stop)
		return false;
	out->name = stop + 1;
	stop = memchr(out->name, '\0', (size_t)(end - out->name));
	if (!stop)
		return false;
	return memchr(stop + 1, '\0', (size_t)(end - (stop + 1))) != NULL;
}

/* Rounds a 32-bit length up to what notes are padded to; in 64 bits, so that it cannot wrap. */
static uint64_t note_pad(uint64_t bytes)
{
	return (bytes + 3) & ~(uint64_t)3;
}

/* The first stapsdt note provider:name among notes. 0, -ENOENT, -EBADMSG. */
static int note_search(const char *notes, uint64_t bytes, const char *provider, const char *name,
		       struct stapsdt_note *out)
{
	uint64_t at = 0;

	while (bytes - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name_bytes, desc_bytes, desc_at, next;
		Elf64_Nhdr header;

		memcpy(&header, notes + at, sizeof(header));
		name_bytes = header.n_namesz;
		desc_bytes = header.n_descsz;
		desc_at = at + sizeof(header) + note_pad(name_bytes);
		if (desc_at > bytes || desc_bytes > bytes - desc_at)
			return -EBADMSG;
		next = desc_at + note_pad(desc_bytes);
		if (header.n_type == NOTE_STAPSDT_TYPE && name_bytes == sizeof(NOTE_STAPSDT_NAME) &&
		    memcmp(notes + at + sizeof(header), NOTE_STAPSDT_NAME, name_bytes) == 0) {
			if (!note_parse(notes + desc_at, desc_bytes, out))
				return -EBADMSG;
			if (strcmp(out->provider, provider) == 0 && strcmp(out->name, name) == 0)
				return 0;
		}
		if (next >= bytes)
			return -ENOENT;
		at = next;
	}
	return at == bytes ? -ENOENT : -EBADMSG;
}

/*
 * The addresses in a note are those at link time. Where prelink or another tool has moved the
 * file since, .stapsdt.base has moved with it, and its distance from the note's idea of it is what
 * to add to both addresses.
 */
static int note_to_probe(const struct elf_file *elf, struct stapsdt_note *note,
			 struct elf_probe *out)
{
	const Elf64_Shdr *base = section_find_name(elf, ".stapsdt.base");
	uint64_t moved = base ? base->sh_addr - note->base : 0;

	if (offset_find(elf, note->pc + moved, 1, PF_X, &out->offset))
		return -EBADMSG;
	out->semaphore_offset = 0;
	if (note->semaphore && offset_find(elf, note->semaphore + moved, sizeof(uint16_t), PF_W,
					   &out->semaphore_offset))
		return -EBADMSG;
	return 0;
}

int elf_find_usdt(const struct elf_file *elf, const char *provider, const char *name,
		  struct elf_probe *out)
{
	const Elf64_Shdr *section = section_find_name(elf, ".note.stapsdt");
	struct stapsdt_note note;
	void *notes;
	int err;

	if (!section)
		return -ENOENT;
	if (section->sh_type != SHT_NOTE)
		return -EBADMSG;
	err = file_read_new(elf, section->sh_offset, section->sh_size, NOTES_MAX, &notes);
	if (err)
		return err == -ENODATA ? -EBADMSG : err;
	err = note_search(notes, section->sh_size, provider, name, &note);
	if (!err)
		err = note_to_probe(elf, &note, out);
	free(notes);
	return err;
}
