/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line each, safe for a terminal; levels; repeated warnings.
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"
#include "unit.h"

static FILE *file;
static int old_stderr;

static int setup(void **state)
{
	file = tmpfile();
	old_stderr = dup(STDERR_FILENO);
	log_level_set(LOG_LEVEL_INFO);
	return !file || dup2(fileno(file), STDERR_FILENO) < 0;
}

static int teardown(void **state)
{
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	return fclose(file);
}

static void check_said(const char *expected)
{
	char said[8192];

	rewind(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	assert_string_equal(said, expected);
}

static void libbpf_say(enum libbpf_print_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_libbpf(level, format, args);
	va_end(args);
}

static void test_levels(void **state)
{
	log_error("e %d", 1);
	log_warn("w");
	log_info("i");
	log_debug("not shown");
	libbpf_say(LIBBPF_WARN, "not shown\n");
	log_level_set(log_level_of(1));
	log_debug("d");
	libbpf_say(LIBBPF_WARN, "libbpf: %s\n", "w");
	libbpf_say(LIBBPF_DEBUG, "not shown\n");
	log_level_set(log_level_of(2));
	libbpf_say(LIBBPF_DEBUG, "all\n");
	log_level_set(LOG_LEVEL_NONE);
	log_error("not shown");
	check_said("wsgiscope: e 1\nwsgiscope: warning: w\nwsgiscope: i\nwsgiscope: debug: d\n"
		   "wsgiscope: debug: libbpf: w\nwsgiscope: debug: all\n");
}

/* The verifier's log: its end says why a program was refused. */
static void test_many_lines(void **state)
{
	char text[8192] = "prog 'x': -- BEGIN PROG LOAD LOG --\n", expected[8192];
	size_t used = strlen(text), wanted;

	for (int i = 1; i <= 150; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%d: insn\n", i);
	log_level_set(log_level_of(1));
	libbpf_say(LIBBPF_WARN, "libbpf: %s\n-- END --\n", text);
	wanted = (size_t)snprintf(expected, sizeof(expected),
				  "wsgiscope: debug: libbpf: prog 'x': "
				  "-- BEGIN PROG LOAD LOG --\nwsgiscope: debug: (53 lines before "
				  "this are left out)\n");
	for (int i = 54; i <= 150; i++)
		wanted += (size_t)snprintf(expected + wanted, sizeof(expected) - wanted,
					   "wsgiscope: debug: %d: insn\n", i);
	snprintf(expected + wanted, sizeof(expected) - wanted, "wsgiscope: debug: -- END --\n");
	check_said(expected);
}

static void test_terminal(void **state)
{
	log_error("name \x1b[31m\nwsgiscope: forged\x7f \xc3\xa9");
	check_said("wsgiscope: name \\x1b[31m\\x0awsgiscope: forged\\x7f \xc3\xa9\n");
}

static void test_repeats(void **state)
{
	for (int i = 0; i < 5; i++)
		log_warn("again");
	log_info("other");
	log_warn("again, but not the same");
	log_warn("again, but not the same");
	log_end();
	log_end();
	check_said("wsgiscope: warning: again\n"
		   "wsgiscope: warning: (the last warning 4 more times)\nwsgiscope: other\n"
		   "wsgiscope: warning: again, but not the same\n"
		   "wsgiscope: warning: (the last warning 1 more times)\n");
}

static void test_long(void **state)
{
	static char text[100000], said[8192];
	size_t bytes;

	memset(text, '\x01', sizeof(text) - 1);
	log_error("%s", text);
	rewind(file);
	bytes = fread(said, 1, sizeof(said), file);
	assert_in_range(bytes, 1000, 4200);
	assert_int_equal(said[bytes - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
