/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program with one fault of each kind that the sanitizers are for, so that `make sanitize` can
 * show that it would notice: faulty overflow | overrun | leak | race.
 */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int shared;
static char *volatile memory; /* so that no compiler does without it */

static void *increment(void *unused)
{
	shared++;
	return unused;
}

static int race(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, increment, NULL))
			return 2;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *fault = argc == 2 ? argv[1] : "";
	volatile int number = INT_MAX;

	memory = malloc(8);
	if (!memory)
		return 2;
	if (strcmp(fault, "race") == 0)
		return race();
	if (strcmp(fault, "overflow") == 0)
		number += argc;
	if (strcmp(fault, "overrun") == 0)
		memory[6 + argc] = 1;
	if (strcmp(fault, "leak") != 0)
		free(memory);
	memory = NULL;
	return 0;
}
