/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For people: a line per request as it ends, and a footer. Columns are sized for what is usual and
 * give way to what is not. Everything that a worker said is escaped. Unseen is "-".
 *
 *	TIME         PID     METHOD STATUS    APP_MS   OUT_MS BLOCKS … PATH
 *	10:00:00.123 1       GET    200   ok …                       /test/issues
 */
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "escape.h"
#include "log.h"
#include "request.h"
#include "summary.h"
#include "words.h"

struct text_state {
	FILE *out; /* borrowed */
	struct summary *summary;
};

static void text_close(void *state)
{
	struct text_state *text = state;

	summary_free(text->summary);
	free(text);
}

/* At once, so that one sees that it runs before the first request ends. */
static void header_print(FILE *out)
{
	fprintf(out, "%-12s %7s %-6s %-7s %-1s %9s %8s %6s %8s %6s %8s %7s %-5s %8s %s\n", "TIME",
		"PID", "METHOD", "STATUS", "", "APP_MS", "OUT_MS", "BLOCKS", "BYTES", "WRITES",
		"W_BYTES", "W_MS", "SOCK", "FIRST_MS", "PATH");
}

static int text_open(const struct config *config, FILE *out, void **state)
{
	struct text_state *text = calloc(1, sizeof(*text));

	if (text)
		text->summary = summary_new();
	if (!text || !text->summary) {
		log_error("cannot set up the output: %s", strerror(ENOMEM));
		free(text);
		return -ENOMEM;
	}
	text->out = out;
	header_print(out);
	*state = text;
	return 0;
}

/* Local time of day with milliseconds. */
static void time_print(FILE *out, int64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm tm;

	localtime_r(&seconds, &tm);
	fprintf(out, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(time_ns % 1000000000 / 1000000));
}

static void count_print(FILE *out, int width, int64_t value)
{
	if (value == REQUEST_UNSEEN)
		fprintf(out, " %*s", width, "-");
	else
		fprintf(out, " %*" PRId64, width, value);
}

static void ms_print(FILE *out, int width, int64_t ns)
{
	if (ns == REQUEST_UNSEEN)
		fprintf(out, " %*s", width, "-");
	else
		fprintf(out, " %*.3f", width, (double)ns / 1e6);
}

/* Escaped, and filled up to width by what it takes on the screen (a character is one column). */
static void text_print(FILE *out, int width, struct request_text text)
{
	char *escaped = NULL;
	size_t bytes = 0;
	FILE *memory;

	if (!text.ptr)
		text = (struct request_text){"-", 1};
	else if (!text.bytes)
		text = (struct request_text){"\"\"", 2};
	if (escape_is_plain(text.ptr, text.bytes)) {
		fprintf(out, "%-*.*s", width, (int)text.bytes, text.ptr);
		return;
	}
	memory = open_memstream(&escaped, &bytes);
	if (!memory)
		return;
	escape_text(memory, text.ptr, text.bytes);
	if (!fclose(memory))
		fprintf(out, "%-*s", width, escaped);
	free(escaped);
}

/* "200", and "200>500" where the server told the client something else. */
static void status_print(FILE *out, const struct request *request)
{
	char text[32] = "-";
	int64_t given = request->status, sent = request->wire_status;

	if (given != REQUEST_UNSEEN && (sent == given || sent == REQUEST_UNSEEN))
		snprintf(text, sizeof(text), "%" PRId64, given);
	else if (given != REQUEST_UNSEEN)
		snprintf(text, sizeof(text), "%" PRId64 ">%" PRId64, given, sent);
	else if (sent != REQUEST_UNSEEN)
		snprintf(text, sizeof(text), "->%" PRId64, sent);
	fprintf(out, " %-7s", text);
}

static char outcome_mark(enum request_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_EXCEPTION:
		return '!';
	case OUTCOME_DISCONNECT:
		return '<';
	case OUTCOME_UNCLOSED:
		return '?';
	default:
		return ' ';
	}
}

#define STATES_SHOWN 3

_Static_assert(STATES_SHOWN <= REQUEST_STATES, "there are enough");

/* The state that took most of those not yet shown. */
static int state_next(const struct request *request, const bool shown[REQUEST_STATES])
{
	int most = 0;

	while (shown[most])
		most++;
	for (int i = most + 1; i < REQUEST_STATES; i++)
		if (!shown[i] && request->states_ns[i] > request->states_ns[most])
			most = i;
	return most;
}

/* The largest, as shares of the application time; less than half a per cent is not shown. */
static void states_print(FILE *out, const struct request *request)
{
	bool shown[REQUEST_STATES] = {false};
	int count;

	if (request->states_ns[REQUEST_CPU] == REQUEST_UNSEEN || request->application_ns <= 0)
		return;
	for (count = 0; count < STATES_SHOWN; count++) {
		int state = state_next(request, shown);
		double share =
			100 * (double)request->states_ns[state] / (double)request->application_ns;

		if (share < 0.5)
			break;
		fprintf(out, "%s%s %.0f%%", count ? " " : "  [", state_name(state), share);
		shown[state] = true;
	}
	if (count)
		fputc(']', out);
}

/* After the path: how it ended if not well, the exception, states, the queue time, the notes. */
static void tail_print(FILE *out, const struct request *request)
{
	const char *separator = "  (";

	if (request->outcome != OUTCOME_OK)
		fprintf(out, "  %s", outcome_name(request->outcome));
	if (request->exception.ptr) {
		fputc(' ', out);
		escape_text(out, request->exception.ptr, request->exception.bytes);
	}
	states_print(out, request);
	if (request->top_frame.ptr) {
		fputs("  in ", out);
		escape_text(out, request->top_frame.ptr, request->top_frame.bytes);
	}
	if (request->queue_ns != REQUEST_UNSEEN)
		fprintf(out, "  queued %.3f ms", (double)request->queue_ns / 1e6);
	for (const struct note_words *words = note_words; words->bit; words++) {
		if (!(request->notes & words->bit))
			continue;
		fprintf(out, "%s%s", separator, words->text);
		separator = "; ";
	}
	if (*separator == ';')
		fputc(')', out);
}

static int text_request(void *state, const struct request *request)
{
	struct text_state *text = state;
	FILE *out = text->out;
	const char *family = family_name(request->family);

	time_print(out, request->time_ns);
	fprintf(out, " %7u ", request->pid);
	text_print(out, 6, request->method);
	status_print(out, request);
	fprintf(out, " %c", outcome_mark(request->outcome));
	ms_print(out, 9, request->application_ns);
	ms_print(out, 8, request->output_ns);
	count_print(out, 6, request->blocks);
	count_print(out, 8, request->bytes);
	count_print(out, 6, request->write_calls);
	count_print(out, 8, request->write_bytes);
	ms_print(out, 7, request->write_ns);
	fprintf(out, " %-5s", family ? family : "-");
	ms_print(out, 8, request->first_byte_ns);
	fputc(' ', out);
	text_print(out, 0, request->path);
	tail_print(out, request);
	fputc('\n', out);
	return summary_add(text->summary, request);
}

static int text_block(void *state, const struct request_block *block)
{
	struct text_state *text = state;
	FILE *out = text->out;

	fputs("  ", out);
	time_print(out, block->time_ns);
	fprintf(out,
		" %7u block %" PRIu64 ": %" PRIu64 " bytes, made in %.3f ms, taken in %.3f ms\n",
		block->tid, block->index, block->bytes, (double)block->app_ns / 1e6,
		(double)block->output_ns / 1e6);
	return 0;
}

static int text_end(void *state, const struct request_totals *totals)
{
	struct text_state *text = state;

	fputc('\n', text->out);
	totals_print(text->out, "", totals);
	return summary_print(text->summary, text->out);
}

const struct sink sink_text = {
	.name = "text",
	.open = text_open,
	.on_request = text_request,
	.on_block = text_block,
	.on_end = text_end,
	.close = text_close,
};
