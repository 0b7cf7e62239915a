/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stacklog PID HZ SECONDS [off-cpu|wall] [native]: the live source alone, its samples and code
 * objects as JSON lines, so that tests judge what the kernel side took before anything is made of
 * it. Ends by itself or by SIGINT.
 */
#include <linux/types.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#include "config.h"
#include "log.h"
#include "source.h"

static volatile sig_atomic_t ending;

static void end_ask(int number)
{
	(void)number;
	ending = 1;
}

static void text_print(const char *name, const char *text, unsigned int bytes)
{
	printf(",\"%s\":\"", name);
	for (unsigned int i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == '"' || c == '\\')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void code_print(const struct rec_code *code)
{
	const struct rec_line *lines = (const void *)(code + 1);
	const char *name = (const char *)(lines + code->lines);

	printf("{\"kind\":\"code\",\"pid\":%u,\"code\":%llu,\"print\":%u,\"first\":%u,\"type\":%u,"
	       "\"failed\":%u",
	       code->h.tgid, code->code, code->fingerprint, code->first_line, code->kind,
	       code->failed);
	text_print("name", name, code->name_bytes);
	text_print("file", name + code->name_bytes, code->file_bytes);
	printf(",\"lines\":[");
	for (unsigned int i = 0; i < code->lines; i++)
		printf("%s[%u,%u]", i ? "," : "", lines[i].offset, lines[i].line);
	printf("]}\n");
}

static void frames_print(const char *name, const struct rec_frame *frame, unsigned int count)
{
	printf(",\"%s\":[", name);
	for (unsigned int i = 0; i < count; i++)
		printf("%s[%llu,%u,%d]", i ? "," : "", frame[i].code, frame[i].fingerprint,
		       frame[i].offset);
	putchar(']');
}

static void sample_print(const struct rec_sample *sample)
{
	printf("{\"kind\":\"sample\",\"pid\":%u,\"tid\":%u,\"time\":%llu,\"id\":%llu,"
	       "\"weight\":%llu,\"what\":%u,\"state\":%u,\"error\":%u,\"flags\":%u,\"port\":%u",
	       sample->h.tgid, sample->h.tid, sample->h.time_ns, sample->id, sample->weight_ns,
	       sample->what, sample->state, sample->error, sample->flags, sample->peer.port);
	frames_print("python", sample->frames, sample->python);
	frames_print("native", sample->frames + sample->python, sample->native);
	frames_print("kernel", sample->frames + sample->python + sample->native, sample->kernel);
	printf("}\n");
}

static void counters_print(const struct rec_counters *counters)
{
	printf("{\"kind\":\"counters\",\"samples\":%llu,\"ring_full\":%llu,"
	       "\"wait_unsampled\":%llu,\"code_lost\":%llu,\"code_stale\":%llu}\n",
	       counters->events[EVENT_SAMPLE], counters->drops[DROP_RING_FULL],
	       counters->drops[DROP_WAIT_UNSAMPLED], counters->drops[DROP_CODE_LOST],
	       counters->drops[DROP_CODE_STALE]);
}

static int record_print(void *context, const void *record, size_t bytes)
{
	const struct rec_header *header = record;
	const struct rec_request *request = record;

	switch (header->kind) {
	case REC_CODE:
		code_print(record);
		break;
	case REC_SAMPLE:
		sample_print(record);
		break;
	case REC_COUNTERS:
		counters_print(record);
		break;
	case REC_REQUEST:
		printf("{\"kind\":\"request\",\"pid\":%u,\"id\":%llu,\"ns\":%llu}\n", header->tgid,
		       request->id, request->end_ns - request->start_ns);
		break;
	}
	return 0;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run(struct source *source, double seconds)
{
	const double end = now_s() + seconds;
	double tick = now_s();
	int err = 0;

	while (err >= 0 && !ending && now_s() < end) {
		struct pollfd ready = {.fd = source->ops->fd(source), .events = POLLIN};

		poll(&ready, 1, 100);
		err = source->ops->dispatch(source, record_print, NULL);
		if (err >= 0 && now_s() > tick + 0.1) {
			err = source->ops->tick(source, record_print, NULL);
			tick = now_s();
		}
	}
	return err < 0 ? err : source->ops->finish(source, record_print, NULL);
}

int main(int argc, char **argv)
{
	struct config config = {
		.samples = true, .ring_bytes = 1 << 22, .max_in_flight = 8192, .samples_all = true};
	struct source *source;
	int err;

	if (argc < 4)
		return 2;
	config.pids = (struct config_pids){.count = 1, .list = {atoi(argv[1])}};
	config.sample_hz = (uint32_t)atoi(argv[2]);
	for (int i = 4; i < argc; i++) {
		config.off_cpu |= !strcmp(argv[i], "off-cpu");
		config.wall |= !strcmp(argv[i], "wall");
		config.native |= !strcmp(argv[i], "native");
	}
	log_level_set(log_level_of(getenv("STACKLOG_VERBOSE") ? 2 : 0));
	signal(SIGINT, end_ask);
	if (source_ring_open(&config, &source))
		return 1;
	err = run(source, atof(argv[3]));
	source->ops->close(source);
	return err ? 1 : 0;
}
