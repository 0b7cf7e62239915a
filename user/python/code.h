/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A code object of a live process: its name, file and lines.
 */
#ifndef WSGISCOPE_PYTHON_CODE_H
#define WSGISCOPE_PYTHON_CODE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "python/layout.h"

struct python_code {
	uint32_t first_line;
	bool lines_cut; /* there are lines, but not all could be had: then there are none */
	size_t name_bytes, file_bytes, line_count;
	char name[REC_CODE_NAME_MAX]; /* UTF-8, qualified where the version has it; what is longer
				       * is cut and ends in "…" */
	char file[REC_CODE_FILE_MAX];
	struct rec_line lines[REC_CODE_LINES_MAX];
};

/*
 * Reads the code object at an address. fingerprint: what the kernel side made of it when it was
 * sampled, 0: could not. 0; -ESTALE: another one lies there by now; -EBADMSG: it is no code object;
 * -EFAULT: not mapped; -ESRCH: the process is gone; -errno.
 */
int python_code_read(pid_t pid, const struct python_layout *layout, uint64_t address,
		     uint32_t fingerprint, struct python_code *out);

/* The types of a code object and of what it points at, after it has been read without an error. 0;
 * -EFAULT; -ESRCH; -errno. */
int python_types_read(pid_t pid, const struct python_layout *layout, uint64_t code,
		      struct python_types *out);

/* Whether None lies there. 0; -EBADMSG: not; -EFAULT; -ESRCH; -errno. */
int python_none_check(pid_t pid, const struct python_layout *layout, uint64_t object);

/* The same as python_code_read() from a copy that the kernel side took of it; what the copy
 * lacks is asked of the process. 0, -ESTALE, -EBADMSG, -EFAULT, -ESRCH. */
int python_code_decode(const struct python_layout *layout, const struct rec_raw_code *raw,
		       struct python_code *out);

#endif
