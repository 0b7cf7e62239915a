/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fuzz_elf begins with, as small as the linker makes it: a shared object with the marker's
 * notes and symbols and a Python 3.13 runtime's.
 */
	.macro mark name
	.pushsection .probes, "aw"
	.balign 2
\name\()_semaphore:
	.2byte 0
	.popsection
	.text
	.globl \name
\name:
	nop
	ret
	.pushsection .note.stapsdt, "", "note"
	.balign 4
	.4byte 8, 2f - 1f, 3
	.asciz "stapsdt"
1:	.8byte \name, _.stapsdt.base, \name\()_semaphore
	.asciz "wsgiscope"
	.asciz "\name"
	.asciz "8@%rdi"
2:	.balign 4
	.popsection
	.endm

	mark request_start
	mark request_end

	.section .stapsdt.base, "a"
_.stapsdt.base:
	.space 1

	.section .rodata
	.globl wsgiscope_marks_version, Py_Version
	.balign 8
Py_Version:
	.8byte 0x30d00f0
wsgiscope_marks_version:
	.4byte 1

	.data
	.globl _PyRuntime
_PyRuntime:
	.ascii "xdebugpy"
	.8byte 0x30d00f0

	.section .note.GNU-stack, "", %progbits
