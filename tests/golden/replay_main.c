/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs that read recordings, alone, so that a build with sanitizers needs neither libbpf nor
 * the skeleton.
 */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "source.h"

/* There is no kernel side in this build. */
int source_ring_open(const struct config *config, struct source **out)
{
	log_error("this build has recordings only");
	return -ENOTSUP;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "replay"))
		return cmd_replay(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "flame"))
		return cmd_flame(argc - 1, argv + 1);
	return EXIT_STATUS_USAGE;
}
