/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the addresses in samples are called: code objects and native symbols, by process. Bounded in
 * number and bytes. Knows nothing of samples and of how a name was read.
 */
#ifndef WSGISCOPE_CODE_TABLE_H
#define WSGISCOPE_CODE_TABLE_H

#include <stdint.h>

#include "decode.h"

/* Places (a process, an address) and bytes of what lies there; past either, codes are lost. */
#define CODE_TABLE_PLACES (1U << 19)
#define CODE_TABLE_BYTES  (128U << 20)

/* One code object; the same one in many forked workers is kept once. */
struct code {
	struct code *chain;
	uint32_t places; /* that lead here */
	uint32_t hash;
	enum event_code_kind kind;
	const char *failed;		/* static, as in event_code */
	struct request_text name, file; /* both owned; may hold anything */
	uint32_t first_line;
	uint32_t line_count;
	struct event_line lines[];
};

struct code_table;

struct code_table *code_table_new(void);	/* NULL: no memory */
void code_table_free(struct code_table *table); /* NULL is fine */

/* Keeps a code object of a process; one at the same place before it is forgotten, unless this one
 * has no name. 0; -ENOSPC: full, counted; -ENOMEM. */
int code_table_add(struct code_table *table, uint32_t pid, const struct event_code *code);

/*
 * What lies there, NULL: not known. A Python code object that is not known in this process, but at
 * the same address with the same fingerprint in another, is that one: the two were forked from one
 * that had it, and a worker that ends early has no time to tell its names. Lives until the table's
 * next change.
 */
const struct code *code_table_find(const struct code_table *table, uint32_t pid, uint64_t address,
				   uint32_t fingerprint);

/* Forgets a process that has ended or has become another program. */
void code_table_forget(struct code_table *table, uint32_t pid);

/* Code objects for which there was no room. */
uint64_t code_table_lost(const struct code_table *table);

/* The line of the instruction at an offset into the bytecode; 0: none, or not known. */
uint32_t code_line(const struct code *code, int32_t offset);

#endif
