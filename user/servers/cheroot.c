/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cheroot, CherryPy's server: a pool thread writes; the chunk terminator goes out after close().
 * Recognised when started as cheroot or python -m cheroot.
 */
#include "servers/cmdline.h"

static bool cheroot_match(const struct server_evidence *evidence)
{
	return cmdline_program_is(evidence, "cheroot");
}

const struct server server_cheroot = {
	.name = "cheroot",
	.flags = SERVER_WRITES_LATE,
	.path_rules = WIRE_PATH_KEEP_SLASH_CODE,
	.match = cheroot_match,
};
