/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines against a table: what is taken, what is refused, and with which words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "options.h"
#include "show_options.h"
#include "unit.h"

static const struct option_row rows[] = {
	ROW_PID,    ROW_DURATION,  ROW_COUNT,	      ROW_JSON,	  ROW_MIN_MS, ROW_PATH,
	ROW_BLOCKS, ROW_RING_SIZE, ROW_MAX_IN_FLIGHT, ROW_STATSD, {0},
};

static const struct option_command command = {.verb = "trace", .summary = "Shows.", .rows = rows};

static const struct option_row output_rows[] = {ROW_OUTPUT, {0}};

static const struct option_command with_required = {
	.verb = "record", .summary = "Writes.", .rows = output_rows};

static const struct option_command with_operand = {
	.verb = "replay",
	.summary = "Shows.",
	.operand = "FILE",
	.operand_offset = offsetof(struct config, input),
};

static const struct option_command with_optional_operand = {
	.verb = "flame",
	.summary = "Shows.",
	.operand = "FILE",
	.operand_offset = offsetof(struct config, input),
	.operand_optional = true,
};

#define ARGS_MAX 16

/* Parses words parted by spaces; what went to fd 1 or 2 meanwhile is put into said. */
static bool parse(const struct option_command *which, const char *line, struct config *config,
		  int *status, char *said, size_t said_bytes)
{
	static char words[256]; /* the config borrows from it */
	char *argv[ARGS_MAX + 2] = {(char *)which->verb}, *rest = words, *word;
	FILE *file = tmpfile();
	int argc = 1, old_out = dup(1), old_err = dup(2);
	bool go_on;

	assert_non_null(file);
	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&rest, " ")) && argc <= ARGS_MAX) {
		if (*line)
			argv[argc++] = word;
	}
	memset(config, 0, sizeof(*config));
	fflush(stdout);
	dup2(fileno(file), 1);
	dup2(fileno(file), 2);
	go_on = options_parse(which, argc, argv, config, status);
	fflush(stdout);
	dup2(old_out, 1);
	dup2(old_err, 2);
	close(old_out);
	close(old_err);
	rewind(file);
	said[fread(said, 1, said_bytes - 1, file)] = '\0';
	fclose(file);
	return go_on;
}

static void test_taken(void **state)
{
	struct config config;
	char said[4096];
	int status;

	assert_true(parse(&command,
			  "-p 12 --duration=1.5 -p 34 -n 7 --json --min-ms 0.25 --path /a* "
			  "--blocks",
			  &config, &status, said, sizeof(said)));
	assert_int_equal(status, EXIT_STATUS_DONE);
	assert_string_equal(said, "");
	assert_int_equal(config.pids.count, 2);
	assert_int_equal(config.pids.list[0], 12);
	assert_int_equal(config.pids.list[1], 34);
	assert_true(config.duration_s == 1.5);
	assert_int_equal(config.count, 7);
	assert_true(config.json && config.blocks);
	assert_true(config.min_ms == 0.25);
	assert_string_equal(config.path_glob, "/a*");
	assert_true(parse(&command, "-vv --ring-size 64k --max-in-flight 2k", &config, &status,
			  said, sizeof(said)));
	assert_int_equal(config.verbose, 2);
	assert_int_equal(config.ring_bytes, 65536);
	assert_int_equal(config.max_in_flight, 2048);
	assert_true(parse(&command, "--ring-size 1M", &config, &status, said, sizeof(said)));
	assert_int_equal(config.ring_bytes, 1 << 20);
	assert_true(parse(&command, "--statsd [::1]:8125", &config, &status, said, sizeof(said)));
	assert_string_equal(config.statsd, "[::1]:8125");
	assert_true(parse(&command, "", &config, &status, said, sizeof(said)));
}

/* One more than there is room for. */
static void test_many_pids(void **state)
{
	struct config config = {.pids.count = CONFIG_PIDS_MAX - 1};
	char *argv[] = {"trace", "-p", "7", "-p", "8"};
	int status;

	assert_false(options_parse(&command, 5, argv, &config, &status));
	assert_int_equal(status, EXIT_STATUS_USAGE);
	assert_int_equal(config.pids.count, CONFIG_PIDS_MAX);
	assert_int_equal(config.pids.list[CONFIG_PIDS_MAX - 1], 7);
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{"--jsn", "unknown option '--jsn': did you mean '--json'?"},
		{"--zzzzzzzz", "unknown option '--zzzzzzzz': see wsgiscope trace --help"},
		{"-x", "unknown option '-x'"},
		{"--json=1", "option '--json' takes no value"},
		{"-p", "option '--pid' needs a process number: --pid PID"},
		{"-p 0", "--pid 0: out of range: it must lie between 1 and 2147483647"},
		{"-p 2147483648", "out of range"},
		{"-p 99999999999999999999999", "out of range"},
		{"-p 12x", "--pid: '12x' is not a process number"},
		{"-p -1", "--pid: '-1' is not a process number"},
		{"-p 0x10", "is not a process number"},
		{"-n 1.5", "--count: '1.5' is not a whole number"},
		{"-n 0", "out of range"},
		{"-d 1e3", "--duration: '1e3' is not a number of seconds"},
		{"-d nan", "is not a number of seconds"},
		{"-d inf", "is not a number of seconds"},
		{"-d -1", "is not a number of seconds"},
		{"-d 1.2.3", "is not a number of seconds"},
		{"-d .", "is not a number of seconds"},
		{"-d 0", "out of range"},
		{"-d 999999999999", "out of range"},
		{"--ring-size 5000", "is not a power of two"},
		{"--ring-size 4G", "is not a power of two"},
		{"--ring-size 1024", "out of range: it must lie between 4096 and 1073741824"},
		{"--ring-size 99999999999999999M", "out of range"},
		{"--max-in-flight 1", "out of range"},
		{"--path=", "--path: '' is not a text that is not empty"},
		{"--statsd=", "--statsd: '' is not HOST:PORT or [IPv6]:PORT"},
		{"--statsd localhost", "--statsd: 'localhost' is not HOST:PORT or [IPv6]:PORT"},
		{"--statsd ::1:8125", "is not HOST:PORT"},
		{"--statsd localhost:70000", "is not HOST:PORT"},
		{"surplus", "'surplus' is one argument too many"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct config config;
		char said[4096];
		int status;

		assert_false(parse(&command, cases[i].line, &config, &status, said, sizeof(said)));
		assert_int_equal(status, EXIT_STATUS_USAGE);
		if (!strstr(said, cases[i].said) || strchr(said, '\n') != strrchr(said, '\n'))
			fail_msg("%s: said %s", cases[i].line, said);
	}
}

static void test_help(void **state)
{
	struct config config;
	char said[4096];
	int status;

	assert_false(parse(&command, "-h", &config, &status, said, sizeof(said)));
	assert_int_equal(status, EXIT_STATUS_DONE);
	assert_non_null(strstr(said, "Usage: wsgiscope trace [options]\n"));
	for (const struct option_row *row = rows; row->name; row++) {
		assert_non_null(strstr(said, row->name));
		assert_non_null(strstr(said, row->help));
	}
	assert_non_null(strstr(said, "  -v, --verbose"));
	assert_non_null(strstr(said, "  -h, --help"));
}

static void test_required(void **state)
{
	struct config config;
	char said[4096];
	int status;

	assert_false(parse(&with_required, "-v", &config, &status, said, sizeof(said)));
	assert_int_equal(status, EXIT_STATUS_USAGE);
	assert_non_null(strstr(said, "record needs -o FILE"));
	assert_true(parse(&with_required, "-o x", &config, &status, said, sizeof(said)));
	assert_string_equal(config.output, "x");
}

static void test_operand(void **state)
{
	struct config config;
	char said[4096];
	int status;

	assert_false(parse(&with_operand, "-v", &config, &status, said, sizeof(said)));
	assert_non_null(strstr(said, "replay needs a FILE"));
	assert_true(parse(&with_operand, "x.rec -v", &config, &status, said, sizeof(said)));
	assert_string_equal(config.input, "x.rec");
	assert_int_equal(config.verbose, 1);
	assert_true(parse(&with_operand, "-- --odd", &config, &status, said, sizeof(said)));
	assert_string_equal(config.input, "--odd");
	assert_false(parse(&with_operand, "a b", &config, &status, said, sizeof(said)));
	config.input = NULL;
	assert_true(parse(&with_optional_operand, "", &config, &status, said, sizeof(said)));
	assert_null(config.input);
	assert_true(parse(&with_optional_operand, "x", &config, &status, said, sizeof(said)));
	assert_string_equal(config.input, "x");
	assert_false(parse(&with_optional_operand, "a b", &config, &status, said, sizeof(said)));
	assert_non_null(strstr(said, "'b' is one argument too many"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),	 cmocka_unit_test(test_many_pids),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_help),
		cmocka_unit_test(test_required), cmocka_unit_test(test_operand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
