// LINK: user/interpreter_flags.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which commands and scripts start Python without the hook.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interpreter_flags.h"
#include "unit.h"

static char directory[] = "/tmp/test_flags.XXXXXX";

static const struct {
	char *argv[8];
	char flag;
} commands[] = {
	{{"python3", "-m", "gunicorn"}, 0},
	{{"python3", "-E", "serve.py"}, 'E'},
	{{"/usr/bin/python3.11", "-I", "-m", "x"}, 'I'},
	{{"python3", "-sS", "x.py"}, 'S'},
	{{"python3", "-uE", "x.py"}, 'E'},
	{{"python3", "x.py", "-I"}, 0},	    /* the script's own */
	{{"python3", "-m", "x", "-E"}, 0},  /* the module's own */
	{{"python3", "-mx", "-E"}, 0},	    /* the same */
	{{"python3", "-c", "-I", "-S"}, 0}, /* text */
	{{"python3", "-X", "-E", "x"}, 0},  /* -X's value */
	{{"python3", "-XI", "x"}, 0},	    /* the same */
	{{"python3", "-W", "ignore", "-I"}, 'I'},
	{{"python3", "--check-hash-based-pycs", "-E", "-S"}, 'S'},
	{{"python3", "--", "-I"}, 0},
	{{"python3", "-", "-I"}, 0},
	{{"python3"}, 0},
	{{"pypy3", "-E"}, 'E'},
};

static void test_commands(void **state)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (interpreter_flag_find(commands[i].argv[0], commands[i].argv) !=
		    commands[i].flag)
			fail_msg("command %zu", i);
}

static const struct {
	const char *text;
	char flag;
} scripts[] = {
	{"#!/usr/bin/python3 -I\n", 'I'},
	{"#! /usr/bin/python3 -sE\nimport x\n", 'E'},
	{"#!/usr/bin/python3\n-I\n", 0},
	{"#!/usr/bin/env python3\n", 0},
	{"#!/usr/bin/env -S python3 -I\n", 'I'},
	{"#!/usr/bin/env -S A=b python3 -S\n", 'S'},
	{"#!/bin/sh -E\n", 0},
	{"#!\n", 0},
	{"#!", 0},
	{"#!/usr/bin/env\n", 0},
	{"", 0},
	{"\x7f"
	 "ELF",
	 0},
	{"#!/usr/bin/python3 -I", 'I'}, /* no newline at all */
};

static void test_scripts(void **state)
{
	char path[64], *argv[] = {path, "-I", NULL};

	snprintf(path, sizeof(path), "%s/serve", directory);
	for (size_t i = 0; i < COUNT_OF(scripts); i++) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(scripts[i].text, file);
		fclose(file);
		if (interpreter_flag_find(path, argv) != scripts[i].flag)
			fail_msg("script %zu", i);
	}
	unlink(path);
	assert_int_equal(interpreter_flag_find(path, argv), 0);
}

/* A first line longer than Linux reads, and one of words only. */
static void test_long_line(void **state)
{
	char path[64], *argv[] = {path, NULL};
	FILE *file;

	snprintf(path, sizeof(path), "%s/long", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("#!/usr/bin/python3", file);
	for (int i = 0; i < 400; i++)
		fputs(" -u", file);
	fputs(" -I\n", file);
	fclose(file);
	assert_int_equal(interpreter_flag_find(path, argv), 0);
	unlink(path);
}

static void test_program_find(void **state)
{
	char path[128], found[64];

	snprintf(path, sizeof(path), "%s/tool", directory);
	fclose(fopen(path, "w"));
	assert_int_equal(setenv("PATH", directory, 1), 0);
	assert_int_equal(program_find("tool", found, sizeof(found)), -EACCES);
	chmod(path, 0755);
	assert_int_equal(program_find("tool", found, sizeof(found)), 0);
	assert_string_equal(found, path);
	assert_int_equal(program_find(path, found, sizeof(found)), 0);
	assert_int_equal(program_find("", found, sizeof(found)), -ENOENT);
	assert_int_equal(program_find("none", found, sizeof(found)), -ENOENT);
	assert_int_equal(program_find("/none/at/all", found, sizeof(found)), -ENOENT);
	assert_int_equal(program_find(path, found, 4), -ENAMETOOLONG);
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(setenv("PATH", "/nowhere::", 1), 0); /* empty: here */
	assert_int_equal(program_find("tool", found, sizeof(found)), 0);
	assert_string_equal(found, "./tool");
	unlink(path);
}

static int directory_make(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int directory_remove(void **state)
{
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_program_find),
	};

	return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
