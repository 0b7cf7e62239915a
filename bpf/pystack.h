/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the frame walk is told of one CPython: version knowledge as data. Filled by
 * user/python/layout.c, checked on the live process by user/python/stack.c, read by
 * pystack.bpf.c. No code but the fingerprint, on which both sides must agree.
 */
#ifndef WSGISCOPE_PYSTACK_H
#define WSGISCOPE_PYSTACK_H

/* What is read at once; all offsets below lie inside, their last byte too. */
#define PYSTACK_THREAD_BYTES 192 /* of a PyThreadState */
#define PYSTACK_FRAME_BYTES  112 /* of a frame */

/* Of a code object: from the numbers in its middle to the pointers to its names and line table,
 * none of which changes after it has been made. */
#define PYSTACK_PRINT_WORDS 11
#define PYSTACK_PRINT_BYTES (8 * PYSTACK_PRINT_WORDS)

enum pystack_flags {
	/* thread_frame leads to a CFrame, whose cframe_frame is the frame (3.11, 3.12). */
	PYSTACK_F_CFRAME = 1 << 0,
	/* frame_instruction is an int, in units of instruction_bytes; else a pointer. */
	PYSTACK_F_INDEX = 1 << 1,
	/* Frames have an owner; those of PYSTACK_OWNER_SHIM on are the interpreter's own. */
	PYSTACK_F_OWNER = 1 << 2,
	/* A frame lies behind its caller's in memory, as long as there is room (3.11 on). */
	PYSTACK_F_CHUNKS = 1 << 3,
	/* interpreter_generation is a u32: the number that the next code object gets; 0: they have
	 * run out (3.13). */
	PYSTACK_F_MADE = 1 << 4,
	/* A thread may run a copy of the bytecode of its own (free-threaded, 3.14 on): where in it
	 * a frame stands does not say which line it is on. */
	PYSTACK_F_NO_LINES = 1 << 5,
};

#define PYSTACK_OWNER_SHIM 3 /* FRAME_OWNED_BY_CSTACK, from 3.14 also ..._BY_INTERPRETER */

/* Bytes from the start of the structure that a name begins with. */
struct pystack_layout {
	/* Address of None: what the interpreter's own frames have for code (from 3.13 on). One that
	 * is only being made may not say yet whose it is. 0: not known. */
	__u64 none;
	__u32 flags; /* enum pystack_flags */
	/* _PyRuntime: PyInterpreterState * of the newest; PyThreadState * of who holds the GIL,
	 * 0: each thread state says so itself. */
	__u32 runtime_interpreters;
	__u32 runtime_current;
	__u32 interpreter_next;
	__u32 interpreter_threads; /* PyThreadState *, the newest */
	/* u64: how many code objects it has freed; with PYSTACK_F_MADE made. 0: not counted. */
	__u32 interpreter_generation;
	__u16 thread_next;
	__u16 thread_interpreter; /* PyInterpreterState * */
	__u16 thread_self; /* what pystack.bpf.c has for the running thread: see self_of_thread() */
	__u16 thread_frame;
	__u16 cframe_frame;
	__u16 thread_status; /* u32 with thread_attached set in it while it holds the GIL */
	__u16 thread_attached;
	__u16 frame_code;
	__u16 frame_previous;
	__u16 frame_instruction;
	__u16 frame_owner;
	__u16 frame_bytes; /* to read: at most PYSTACK_FRAME_BYTES */
	__u16 instruction_bytes;
	__u16 code_print; /* where the PYSTACK_PRINT_BYTES begin */
	__u16 code_start; /* of the bytecode, where it lies in the code object itself */
	/* Inside the PYSTACK_PRINT_BYTES: str * of the name and the file, bytes * of the lines. */
	__u16 code_name;
	__u16 code_file;
	__u16 code_lines;
	/* Up to 3.11 a code object has no number of its own, and one that takes another's place may
	 * have all its members where the other had them: there the hash of a str * in those bytes,
	 * its plain name, counts too. 0: it does not. */
	__u16 code_hashed;
	__u16 text_hash; /* of a str: Py_hash_t */
	__u16 pad;
};

/* The CPython of a process. */
struct pystack_python {
	__u64 runtime; /* address of _PyRuntime, 0: there is none to walk */
	__u32 serial; /* another one for each program that is looked at; a child has its parent's */
	__u32 pad;
	struct pystack_layout layout;
};

/* Never 0. A sum of products, each word by an odd number of its own: fast, as none waits for
 * another (multilinear hashing: Lemire and Kaser, 2014). text_hash: see code_hashed; 0 without. */
static inline __attribute__((always_inline)) __u32
pystack_fingerprint(const __u64 words[PYSTACK_PRINT_WORDS], __u64 text_hash)
{
	__u64 hash = words[0] * 0x9e3779b97f4a7c15 + text_hash * 0xd1342543de82ef95;

	hash += words[1] * 0xbf58476d1ce4e5b9;
	hash += words[2] * 0x94d049bb133111eb;
	hash += words[3] * 0xd6e8feb86659fd93;
	hash += words[4] * 0xa0761d6478bd642f;
	hash += words[5] * 0xe7037ed1a0b428db;
	hash += words[6] * 0x8ebc6af09c88c6e3;
	hash += words[7] * 0x589965cc75374cc3;
	hash += words[8] * 0x1d8e4e27c47d124f;
	hash += words[9] * 0xeb44accab455d165;
	hash += words[10] * 0x9fb21c651e98df25;
	hash >>= 32;
	return hash ? (__u32)hash : 1;
}

#endif
