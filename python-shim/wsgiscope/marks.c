/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The marks: three exported functions that a tracer puts uprobes on, their USDT notes and
 * semaphores, the version. Owns all that belongs to the process rather than to an interpreter: the
 * semaphores (written by the kernel), the request counter, the fork generation.
 *
 * Must not know: Python objects.
 *
 * The functions are written in assembler so that their first instruction is the one-byte nop that
 * marks.h asks for, whatever the compiler's options, and so that nothing is inlined or cloned.
 * Each has a second, hidden name by which this library calls it: without the procedure linkage
 * table, and never another library's function of the same name. The exported name is what the
 * tracer looks up. The padding leaves no other code within 32 bytes of a mark.
 */
#include "marker.h"

#include <pthread.h>

#if defined(__x86_64__)
#define MARK_STRUCT "8@%rdi"
#define MARK_START  "8@%rdi 8@%rsi 8@%rdx -4@%ecx"
#elif defined(__aarch64__)
#define MARK_STRUCT "8@x0"
#define MARK_START  "8@x0 8@x1 8@x2 -4@x3"
#else
#error "wsgiscope: marks are known for x86-64 and aarch64 only"
#endif

/* clang-format off */
#define MARK(name, arguments)                                                                             \
	__asm__(".pushsection .text\n"                                                             \
		".p2align 5\n"                                                                     \
		".globl wsgiscope_" name "\n"                                                      \
		".type wsgiscope_" name ", %function\n"                                            \
		".hidden marker_" name "\n"                                                        \
		".globl marker_" name "\n"                                                         \
		".type marker_" name ", %function\n"                                               \
		"wsgiscope_" name ":\n"                                                            \
		"marker_" name ":\n"                                                               \
		"	nop\n"                                                                     \
		"	ret\n"                                                                     \
		".size wsgiscope_" name ", . - wsgiscope_" name "\n"                               \
		".size marker_" name ", . - marker_" name "\n"                                     \
		".p2align 5\n"                                                                     \
		".popsection\n"                                                                    \
		".pushsection .probes, \"aw\", %progbits\n"                                        \
		".balign 2\n"                                                                      \
		".hidden marker_" name "_semaphore\n"                                              \
		".globl marker_" name "_semaphore\n"                                               \
		".type marker_" name "_semaphore, %object\n"                                       \
		".size marker_" name "_semaphore, 2\n"                                             \
		"marker_" name "_semaphore:\n"                                                     \
		"	.2byte 0\n"                                                                \
		".popsection\n"                                                                    \
		".pushsection .note.stapsdt, \"\", %note\n"                                        \
		".balign 4\n"                                                                      \
		"	.4byte 992f - 991f, 994f - 993f, 3\n"                                      \
		"991:	.asciz \"stapsdt\"\n"                                                      \
		"992:	.balign 4\n"                                                               \
		"993:	.8byte marker_" name "\n"                                                  \
		"	.8byte _.stapsdt.base\n"                                                   \
		"	.8byte marker_" name "_semaphore\n"                                        \
		"	.asciz \"" WSGISCOPE_PROVIDER "\"\n"                                       \
		"	.asciz \"" name "\"\n"                                                     \
		"	.asciz \"" arguments "\"\n"                                            \
		"994:	.balign 4\n"                                                               \
		".popsection\n")

/* By its distance from this byte a tracer sees that prelink has moved the marks. */
__asm__(".pushsection .stapsdt.base, \"aG\", %progbits, .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base:\n"
	"	.space 1\n"
	".size _.stapsdt.base, 1\n"
	".popsection\n");

MARK("request_start", MARK_START);
MARK("request_block", MARK_STRUCT);
MARK("request_end", MARK_STRUCT);
/* clang-format on */

#define MARK_HIDDEN __attribute__((visibility("hidden")))

MARK_HIDDEN void marker_request_start(const struct wsgiscope_request *mark, unsigned long long id,
				      unsigned long long start_ns, int fd);
MARK_HIDDEN void marker_request_block(const struct wsgiscope_request *mark);
MARK_HIDDEN void marker_request_end(const struct wsgiscope_request *mark);

/* Raised and lowered by the kernel, one count per probe that is attached. */
MARK_HIDDEN extern volatile unsigned short marker_request_start_semaphore;
MARK_HIDDEN extern volatile unsigned short marker_request_block_semaphore;
MARK_HIDDEN extern volatile unsigned short marker_request_end_semaphore;

/* Read by the tracer from the file, before it attaches. */
__attribute__((visibility("default"))) extern const uint32_t wsgiscope_marks_version;
const uint32_t wsgiscope_marks_version = WSGISCOPE_MARKS_VERSION;

static uint64_t last_id;
static unsigned int fork_generation;
static int fork_handler_error;

static void fork_child(void)
{
	__atomic_add_fetch(&fork_generation, 1, __ATOMIC_RELAXED);
}

static void fork_watch(void)
{
	fork_handler_error = pthread_atfork(NULL, NULL, fork_child);
}

/* Idempotent, any thread, any interpreter. False if the process cannot watch for fork(). */
bool marks_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	return pthread_once(&once, fork_watch) == 0 && fork_handler_error == 0;
}

/* Whether a tracer wants requests. Who wants their ends only would get them without beginnings. */
bool marks_armed(void)
{
	return marker_request_start_semaphore;
}

/* Whether a tracer wants every block. */
bool marks_block_armed(void)
{
	return marker_request_block_semaphore;
}

/* A request's id: never 0, unique in the process. */
uint64_t marks_next_id(void)
{
	return __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
}

/* Which process this is: a forked child has another number than its parent. */
unsigned int marks_fork(void)
{
	return __atomic_load_n(&fork_generation, __ATOMIC_RELAXED);
}

void marks_request_start(const struct wsgiscope_request *mark)
{
	if (marker_request_start_semaphore)
		marker_request_start(mark, mark->id, mark->start_ns, mark->fd);
}

void marks_request_block(const struct wsgiscope_request *mark)
{
	if (marker_request_block_semaphore)
		marker_request_block(mark);
}

void marks_request_end(const struct wsgiscope_request *mark)
{
	if (marker_request_end_semaphore)
		marker_request_end(mark);
}
