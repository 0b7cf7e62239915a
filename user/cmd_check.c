/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wsgiscope check: runs the checks and shows them, one a line. Owns the output and the exit
 * status; must not know what is checked.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "check.h"
#include "commands.h"
#include "config.h"
#include "escape.h"
#include "log.h"
#include "options.h"
#include "tracefs.h"

static const struct option_row rows[] = {
	{.name = "pid",
	 .letter = 'p',
	 .type = OPTION_PID,
	 .offset = offsetof(struct config, pid),
	 .argument = "PID",
	 .help = "also check this worker, or this master and its descendants"},
	{.name = "json",
	 .type = OPTION_FLAG,
	 .offset = offsetof(struct config, json),
	 .help = "one JSON object a line"},
	{0},
};

static const struct option_command command = {
	.verb = "check",
	.summary = "Says what this kernel, these privileges and a process support.",
	.rows = rows,
};

static const char *const level_names_text[] = {
	[CHECK_OK] = "ok",
	[CHECK_WARN] = "warn",
	[CHECK_FAIL] = "FAIL",
};

static const char *const level_names_json[] = {
	[CHECK_OK] = "ok",
	[CHECK_WARN] = "warn",
	[CHECK_FAIL] = "fail",
};

void check_set(struct check_result *result, enum check_level level, const char *advice,
	       const char *format, ...)
{
	va_list args;

	result->level = level;
	result->advice = advice;
	va_start(args, format);
	vsnprintf(result->detail, sizeof(result->detail), format, args);
	va_end(args);
}

static void result_print_text(FILE *out, const char *name, const struct check_result *result)
{
	fprintf(out, "%-4s  %-20s ", level_names_text[result->level], name);
	escape_sentence(out, result->detail);
	if (result->advice)
		fprintf(out, "; %s", result->advice);
	putc('\n', out);
}

static void result_print_json(FILE *out, const char *name, const struct check_result *result)
{
	fprintf(out, "{\"check\":\"%s\",\"result\":\"%s\",\"detail\":\"", name,
		level_names_json[result->level]);
	escape_json(out, result->detail, strlen(result->detail));
	fputs("\",\"advice\":", out);
	if (result->advice) {
		putc('"', out);
		escape_json(out, result->advice, strlen(result->advice));
		fputs("\"}\n", out);
	} else {
		fputs("null}\n", out);
	}
}

/* Runs a table, shows each result. How many failed. */
static int checks_run(const struct check *check, struct check_context *context, bool json)
{
	int failed = 0;

	for (; check->name; check++) {
		struct check_result result = {.level = CHECK_FAIL};

		check->run(context, &result);
		failed += result.level == CHECK_FAIL;
		(json ? result_print_json : result_print_text)(stdout, check->name, &result);
	}
	return failed;
}

int cmd_check(int argc, char **argv)
{
	struct config config = {0};
	struct check_context context = {0};
	int status, failed;

	if (!options_parse(&command, argc, argv, &config, &status))
		return status;
	libbpf_set_print(log_libbpf);
	context.pid = config.pid;
	failed = checks_run(check_kernel, &context, config.json);
	if (config.pid)
		failed += checks_run(check_process, &context, config.json);
	tracefs_close(context.tracefs);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("writing the checks: %s", strerror(errno));
		return EXIT_STATUS_FAILED;
	}
	return failed ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}
