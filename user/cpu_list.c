/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Must not know what anybody does on a CPU.
 */
#include "cpu_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONLINE_PATH "/sys/devices/system/cpu/online"

/* A number at *at, which goes behind it. -1: there is none. */
static long number_take(const char **at)
{
	char *end;
	long number;

	if (**at < '0' || **at > '9')
		return -1;
	errno = 0;
	number = strtol(*at, &end, 10);
	*at = end;
	return errno ? -1 : number;
}

int cpu_list_parse(const char *list, bool *in, int cpus)
{
	const char *at = list;

	memset(in, 0, (size_t)cpus * sizeof(*in));
	while (*at && *at != '\n') {
		long first = number_take(&at), last = first;

		if (*at == '-') {
			at++;
			last = number_take(&at);
		}
		if (first < 0 || last < first || (*at && !strchr(",\n", *at)))
			return -EBADMSG;
		for (long cpu = first; cpu <= last && cpu < cpus; cpu++)
			in[cpu] = true;
		at += *at == ',';
	}
	return 0;
}

int cpu_list_online(bool *in, int cpus)
{
	FILE *file = fopen(ONLINE_PATH, "re");
	char *list = NULL;
	size_t room = 0;
	int err;

	if (!file)
		return -errno;
	err = getline(&list, &room, file) < 0 ? -EBADMSG : cpu_list_parse(list, in, cpus);
	free(list);
	fclose(file);
	return err;
}
