/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every unit test includes: cmocka with the headers that it wants before it.
 */
#ifndef WSGISCOPE_TESTS_UNIT_H
#define WSGISCOPE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of the address sanitizer, with which every unit test is built; gcc has no header for it. */
size_t __sanitizer_get_current_allocated_bytes(void);

/* Loud, and a failure where CI=true: there nothing may be missing. */
#define unit_skip(why)                                                                             \
	do {                                                                                       \
		const char *ci = getenv("CI");                                                     \
                                                                                                   \
		print_message("skipped: %s: %s\n", __func__, why);                                 \
		if (ci && !strcmp(ci, "true"))                                                     \
			fail_msg("a skip is a failure where CI=true");                             \
		skip();                                                                            \
	} while (0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
