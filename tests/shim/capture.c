/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tracer without a kernel: makes each mark jump here and keeps a copy of what it points at.
 *
 * Must not know: CPython. A mark may fire with an exception set or in any interpreter, so nothing
 * here may call Python.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "marks.h"

#define CAPTURE_MAX   4096
#define CAPTURE_TEXTS 8
#define CAPTURE_TEXT  512

struct capture {
	unsigned int kind; /* 0 start, 1 block, 2 end */
	unsigned int pid;
	unsigned long long now_ns;
	struct wsgiscope_request mark;
	unsigned char texts[CAPTURE_TEXTS][CAPTURE_TEXT];
};

struct capture capture_log[CAPTURE_MAX];
unsigned int capture_count;
const unsigned int capture_size = sizeof(struct capture);

static void capture_text(unsigned char *to, const struct wsgiscope_str *from)
{
	unsigned int width = from->kind == WSGISCOPE_STR_UTF8 ? 1 : from->kind;
	unsigned int size = from->len * width;

	if (from->kind)
		memcpy(to, (const void *)(uintptr_t)from->ptr,
		       size < CAPTURE_TEXT ? size : CAPTURE_TEXT);
}

static void capture_mark(unsigned int kind, const struct wsgiscope_request *mark)
{
	unsigned int i = __atomic_fetch_add(&capture_count, 1, __ATOMIC_RELAXED);
	const struct wsgiscope_str *texts = &mark->method;
	struct timespec now;
	struct capture *to;

	if (i >= CAPTURE_MAX)
		return;
	to = &capture_log[i];
	clock_gettime(CLOCK_MONOTONIC, &now);
	to->kind = kind;
	to->pid = (unsigned int)getpid();
	to->now_ns = (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec;
	to->mark = *mark;
	for (int t = 0; t < CAPTURE_TEXTS; t++)
		capture_text(to->texts[t], &texts[t]);
}

void capture_start(const struct wsgiscope_request *mark)
{
	capture_mark(0, mark);
}

void capture_block(const struct wsgiscope_request *mark)
{
	capture_mark(1, mark);
}

void capture_end(const struct wsgiscope_request *mark)
{
	capture_mark(2, mark);
}

/*
 * Turns what follows the mark's nop, which has 32 bytes to itself, into a jump to target. The nop
 * stays, so that a real tracer may attach to the same mark. 0, or -1.
 */
int capture_install(unsigned char *mark, void (*target)(const struct wsgiscope_request *))
{
#if defined(__x86_64__)
	/* jmp *(%rip) */
	static const unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0};
	unsigned char *at = mark + 1;
#elif defined(__aarch64__)
	/* nop, which aligns the address; ldr x16, .+8; br x16 */
	static const unsigned char jump[] = {0x1f, 0x20, 0x03, 0xd5, 0x50, 0,
					     0,	   0x58, 0,    0x02, 0x1f, 0xd6};
	unsigned char *at = mark + 4;
#endif
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)mark & ~(size - 1));

	if (mprotect(page, size, PROT_READ | PROT_WRITE | PROT_EXEC))
		return -1;
	memcpy(at, jump, sizeof(jump));
	memcpy(at + sizeof(jump), &target, sizeof(target));
	__builtin___clear_cache((char *)mark, (char *)mark + 32);
	return mprotect(page, size, PROT_READ | PROT_EXEC);
}
