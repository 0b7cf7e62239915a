/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The replay verb alone, so that a build with sanitizers needs neither libbpf nor the skeleton.
 */
#include "commands.h"

int main(int argc, char **argv)
{
	return argc < 2 ? EXIT_STATUS_USAGE : cmd_replay(argc - 1, argv + 1);
}
