/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One JSON object a line for each request, keys stable and always all there; what was not seen is
 * null. Times are milliseconds with as many decimals (3 to 6) as a nanosecond needs. The totals
 * are talk here: stdout is for requests.
 */
#include "sink.h"

#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

#include "config.h"
#include "escape.h"
#include "request.h"
#include "words.h"

static int json_open(const struct config *config, FILE *out, void **state)
{
	*state = out; /* borrowed: there is nothing else to keep */
	return 0;
}

static void put_text(FILE *out, const char *key, struct request_text text)
{
	fprintf(out, ",\"%s\":", key);
	if (!text.ptr) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	escape_json(out, text.ptr, text.bytes);
	fputc('"', out);
}

/* name: one of our own words, or NULL. */
static void put_word(FILE *out, const char *key, const char *name)
{
	if (name)
		fprintf(out, ",\"%s\":\"%s\"", key, name);
	else
		fprintf(out, ",\"%s\":null", key);
}

static void put_count(FILE *out, const char *key, int64_t value)
{
	if (value == REQUEST_UNSEEN)
		put_word(out, key, NULL);
	else
		fprintf(out, ",\"%s\":%" PRId64, key, value);
}

/* Whole nanoseconds as milliseconds, exactly, without a double in between. */
static void put_member_ms(FILE *out, const char *separator, const char *key, int64_t ns)
{
	unsigned int part;

	if (ns == REQUEST_UNSEEN) {
		fprintf(out, "%s\"%s\":null", separator, key);
		return;
	}
	part = (unsigned int)(ns % 1000000);
	fprintf(out, "%s\"%s\":%" PRId64 ".%03u", separator, key, ns / 1000000, part / 1000);
	if (part % 1000 == 0)
		return;
	if (part % 100 == 0)
		fprintf(out, "%u", part / 100 % 10);
	else if (part % 10 == 0)
		fprintf(out, "%02u", part / 10 % 100);
	else
		fprintf(out, "%03u", part % 1000);
}

static void put_ms(FILE *out, const char *key, int64_t ns)
{
	put_member_ms(out, ",", key, ns);
}

/* time_ns >= 0: the year is between 1970 and 2262. */
static void put_time(FILE *out, const char *key, int64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "\"%s\":\"%s.%06" PRId64 "Z\"", key, text, time_ns % 1000000000 / 1000);
}

static void put_states(FILE *out, const struct request *request)
{
	if (request->states_ns[REQUEST_CPU] == REQUEST_UNSEEN) {
		put_word(out, "states_ms", NULL);
	} else {
		fputs(",\"states_ms\":{", out);
		for (int i = 0; i < REQUEST_STATES; i++)
			put_member_ms(out, i ? "," : "", state_name(i), request->states_ns[i]);
		fputc('}', out);
	}
	put_ms(out, "socket_read_client_ms", request->client_read_ns);
	put_text(out, "socket_read_peer", request->peer);
	put_ms(out, "socket_read_peer_ms", request->peer_ns);
	put_ms(out, "gc_ms", request->gc_ns);
	put_count(out, "gc_count", request->gc_count);
}

static void put_notes(FILE *out, uint32_t notes)
{
	bool first = true;

	fputs(",\"notes\":[", out);
	for (const struct note_words *words = note_words; words->bit; words++) {
		if (!(notes & words->bit))
			continue;
		fprintf(out, "%s\"%s\"", first ? "" : ",", words->name);
		first = false;
	}
	fputc(']', out);
}

static int json_request(void *state, const struct request *request)
{
	FILE *out = state;

	fputc('{', out);
	put_time(out, "time", request->time_ns);
	fprintf(out, ",\"pid\":%u,\"tid\":%u", request->pid, request->tid);
	put_word(out, "server", request->server);
	put_word(out, "mode", mode_name(request->mode));
	fprintf(out, ",\"id\":%" PRIu64, request->id);
	put_text(out, "method", request->method);
	put_text(out, "path", request->path);
	put_text(out, "route", request->route);
	put_text(out, "path_group", request->path_group);
	/* The name given to mark(); what the server is called or where it listens is not that. */
	put_text(out, "app",
		 request->app_source == APP_MARK ? request->app : (struct request_text){0});
	put_count(out, "status", request->status);
	put_count(out, "wire_status", request->wire_status);
	put_word(out, "outcome", outcome_name(request->outcome));
	put_text(out, "exception", request->exception);
	put_ms(out, "application_ms", request->application_ns);
	put_ms(out, "output_ms", request->output_ns);
	put_count(out, "blocks", request->blocks);
	put_count(out, "bytes", request->bytes);
	put_count(out, "request_bytes", request->request_bytes);
	put_count(out, "write_calls", request->write_calls);
	put_count(out, "write_bytes", request->write_bytes);
	put_ms(out, "write_ms", request->write_ns);
	put_word(out, "socket", family_name(request->family));
	put_ms(out, "first_byte_ms", request->first_byte_ns);
	put_ms(out, "queue_ms", request->queue_ns);
	put_word(out, "queue_source", request->queue_source);
	put_states(out, request);
	put_text(out, "top_frame", request->top_frame);
	put_notes(out, request->notes);
	fputs("}\n", out);
	return 0;
}

static int json_block(void *state, const struct request_block *block)
{
	FILE *out = state;

	fprintf(out, "{\"block\":%" PRIu64 ",", block->index);
	put_time(out, "time", block->time_ns);
	fprintf(out, ",\"pid\":%u,\"tid\":%u,\"id\":%" PRIu64 ",\"bytes\":%" PRIu64, block->pid,
		block->tid, block->id, block->bytes);
	put_ms(out, "application_ms", (int64_t)block->app_ns);
	put_ms(out, "output_ms", (int64_t)block->output_ns);
	fputs("}\n", out);
	return 0;
}

static int json_end(void *state, const struct request_totals *totals)
{
	return totals_say(totals);
}

static void json_close(void *state)
{
}

const struct sink sink_json = {
	.name = "json",
	.open = json_open,
	.on_request = json_request,
	.on_block = json_block,
	.on_end = json_end,
	.close = json_close,
};
