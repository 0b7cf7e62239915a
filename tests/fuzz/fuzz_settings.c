/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: any bytes up to the first NUL as a settings file; if it is one, each line behind the
 * NUL as the path, the route, the application and the Accept header of a request under it. What
 * was counted must be what was given.
 */
#include <stdlib.h>
#include <string.h>

#include "aggregate.h"
#include "aggregate_series.h"
#include "exposition.h"
#include "log.h"
#include "path_group.h"
#include "settings.h"
#include "text_buffer.h"

static struct request request_of(const char *line, size_t bytes, uint64_t index)
{
	static char group[PATH_GROUP_BYTES];
	struct request_text text = {line, bytes};
	struct request request = {
		.method = {line, bytes ? 1 : 0},
		.path = text,
		.path_group = {group, path_group(line, bytes, group)},
		.outcome = (enum request_outcome)(index % 4),
		.exception = text,
		.traceparent = text,
		.status = 200 + (int64_t)(bytes % 300),
		.wire_status = REQUEST_UNSEEN,
		.application_ns = (int64_t)bytes * 1000003,
		.output_ns = REQUEST_UNSEEN,
		.bytes = (int64_t)bytes,
		.queue_ns = (int64_t)index,
		.queue_source = index % 2 ? "socket" : "x-request-start",
	};

	if (index % 3 == 1)
		request.route = text;
	if (index % 3 == 2)
		request.app = text;
	return request;
}

static void accept_read(const char *line, size_t bytes)
{
	char *accept = strndup(line, bytes);

	if (!accept)
		abort();
	exposition_choose(accept);
	free(accept);
}

static void check(const struct aggregate *aggregate, uint64_t given)
{
	static struct text_buffer page;
	const struct aggregate_moment moment = {.now_ns = 1};
	uint64_t sum = 0;

	for (size_t i = 0; i < aggregate_sets(aggregate); i++)
		sum += aggregate_set(aggregate, i)->requests;
	if (sum != given)
		abort();
	for (int format = EXPOSITION_PROMETHEUS; format <= EXPOSITION_OPENMETRICS; format++) {
		text_buffer_clear(&page);
		if (exposition_write(aggregate, &moment, (enum exposition_format)format, &page))
			abort();
	}
}

static void requests_run(const struct settings *settings, const char *at, const char *end)
{
	struct aggregate *aggregate;
	uint64_t given = 0;

	if (aggregate_new(settings, &aggregate))
		abort();
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t bytes = (size_t)((newline ? newline : end) - at);
		struct request request = request_of(at, bytes, given++);

		aggregate_request(aggregate, &request);
		accept_read(at, bytes);
		at += bytes + 1;
	}
	check(aggregate, given);
	aggregate_free(aggregate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *text = (const char *)data, *nul = memchr(text, 0, bytes);
	size_t settings_bytes = nul ? (size_t)(nul - text) : bytes;
	struct settings *settings = NULL;

	log_level_set(LOG_LEVEL_NONE);
	if (settings_parse("fuzz", text, settings_bytes, &settings))
		return 0;
	if (nul)
		requests_run(settings, nul + 1, text + bytes);
	settings_free(settings);
	return 0;
}
