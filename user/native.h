/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies at an address of a process's or the kernel's code.
 */
#ifndef WSGISCOPE_NATIVE_H
#define WSGISCOPE_NATIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct native;

int native_new(struct native **out);	 /* 0 or -ENOMEM */
void native_free(struct native *native); /* NULL is fine */

struct native_place {
	bool is_code;	   /* executable memory */
	bool follows_call; /* the instruction before it is a call: a function can return there */
	const char *name;  /* of the function; NULL: the file does not say */
	const char *file;  /* "": of no file */
};

/* Borrowed until the next call. A process that is gone has no code. */
void native_find(struct native *native, pid_t pid, uint64_t address, struct native_place *out);

/* The same of the kernel's: always code, where the frames are the kernel's own word. */
void native_find_kernel(struct native *native, uint64_t address, struct native_place *out);

/* A process has become another program. */
void native_forget(struct native *native, pid_t pid);

#endif
