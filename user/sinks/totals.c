/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The totals as talk, for what puts something else on stdout; and a sink that says nothing but
 * them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "sink.h"
#include "words.h"

int totals_say(const struct request_totals *totals)
{
	char *text = NULL, *line, *rest;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		return -ENOMEM;
	totals_print(memory, "", totals);
	if (fclose(memory)) {
		free(text);
		return -ENOMEM;
	}
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_info("%s", line);
	free(text);
	return 0;
}

static int totals_open(const struct config *config, FILE *out, void **state)
{
	*state = out; /* borrowed: there is nothing to keep */
	return 0;
}

static int totals_request(void *state, const struct request *request)
{
	return 0;
}

static int totals_end(void *state, const struct request_totals *totals)
{
	return totals_say(totals);
}

static void totals_close(void *state)
{
}

const struct sink sink_totals = {
	.name = "totals",
	.open = totals_open,
	.on_request = totals_request,
	.on_end = totals_end,
	.close = totals_close,
};
