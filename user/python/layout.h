/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the frame walk and the reading of code objects need to know of a CPython, by version:
 * tables, and from 3.13 on the _Py_DebugOffsets that a runtime carries. Reads no process; 64 bit,
 * x86-64 and arm64.
 */
#ifndef WSGISCOPE_PYTHON_LAYOUT_H
#define WSGISCOPE_PYTHON_LAYOUT_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "pystack.h"

/* As many bytes from the start of _PyRuntime as _Py_DebugOffsets has at most. */
#define PYTHON_DEBUG_BYTES 768

/* How the line table of a code object is written. */
enum python_lines {
	LINES_LNOTAB,	 /* co_lnotab, up to 3.9 */
	LINES_RANGES,	 /* PEP 626, 3.10 */
	LINES_LOCATIONS, /* PEP 657, from 3.11 on */
};

/* Bytes from the start of the object that a name begins with. */
struct python_objects {
	uint32_t object_type;	  /* PyTypeObject * */
	uint32_t type_name;	  /* const char * */
	uint32_t text_length;	  /* str: characters, Py_ssize_t */
	uint32_t text_state;	  /* its kind and form, unsigned int */
	uint32_t text_kind_shift; /* bits in state below `kind`; compact and ascii follow it */
	uint32_t text_ascii;	  /* where the characters of a compact ASCII one begin */
	uint32_t text_data;	  /* those of any other compact one */
	uint32_t text_hash;	  /* Py_hash_t; 0: code objects have numbers of their own */
	uint32_t bytes_size;	  /* bytes: Py_ssize_t */
	uint32_t bytes_data;
	uint32_t code_file, code_name; /* str * */
	uint32_t code_qualname;	       /* the same, 0: has none */
	uint32_t code_lines;	       /* bytes * */
	uint32_t code_first_line;      /* int */
	uint32_t code_version;	       /* u32, which PYSTACK_F_MADE counts on; 0: not needed */
	enum python_lines lines;
};

/* Where a code object's best name is. */
static inline uint32_t python_code_name(const struct python_objects *at)
{
	return at->code_qualname ? at->code_qualname : at->code_name;
}

/* Addresses of types, the same for all interpreters of a process and its children. 0: not known. */
struct python_types {
	uint64_t code, text, bytes;
};

struct python_layout {
	struct pystack_layout walk;
	struct python_objects objects;
	struct python_types types; /* set by python_stack_try() */
};

/*
 * Fills *out for a Python of this version (PY_VERSION_HEX, 0: not known), whose _PyRuntime begins
 * with head, copied from the live process (what lies beyond its end may be zeros): debug offsets
 * there have the last word. 0, -ENOTSUP (a version that no table has), -EBADMSG (debug offsets
 * that make no sense).
 */
int python_layout_find(uint32_t version, const uint8_t head[PYTHON_DEBUG_BYTES],
		       struct python_layout *out);

#endif
