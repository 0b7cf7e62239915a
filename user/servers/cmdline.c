/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns: finding the program in "python3 -u -X dev -m gunicorn app" and its like.
 * Must not know: any one server.
 */
#include <ctype.h>
#include <string.h>

#include "servers/cmdline.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_interpreter(const char *name)
{
	return strncmp(name, "python", 6) == 0 || strncmp(name, "pypy", 4) == 0;
}

/* The text is terminated (server.h: one NUL behind cmdline_bytes), so the last argument ends. */
const char *cmdline_next(const struct server_evidence *evidence, const char *arg)
{
	const char *end = evidence->cmdline + evidence->cmdline_bytes;

	arg += strlen(arg) + 1;
	return arg < end ? arg : NULL;
}

enum option_kind {
	OPTION_PLAIN,
	OPTION_VALUE_NEXT, /* its value is the next argument */
	OPTION_MODULE,	   /* -mNAME or -um NAME: *value is NAME, or empty where it is the next */
	OPTION_TEXT,	   /* -c: the program is given as text */
};

/* What an option of the interpreter, or a cluster of them ("-uXdev", "-Im"), is. */
static enum option_kind option_kind_of(const char *option, const char **value)
{
	if (option[1] == '-')
		return strcmp(option, "--check-hash-based-pycs") ? OPTION_PLAIN : OPTION_VALUE_NEXT;
	for (const char *letter = option + 1; *letter; letter++) {
		switch (*letter) {
		case 'c':
			return OPTION_TEXT;
		case 'm':
			*value = letter + 1;
			return OPTION_MODULE;
		case 'W':
		case 'X':
			return letter[1] ? OPTION_PLAIN : OPTION_VALUE_NEXT;
		}
	}
	return OPTION_PLAIN;
}

/* The script or module among the interpreter's arguments. NULL: text, or an interactive session. */
static const char *script_find(const struct server_evidence *evidence, const char *interpreter,
			       const char **last)
{
	const char *arg = interpreter;
	const char *module;

	while ((arg = cmdline_next(evidence, arg))) {
		*last = arg;
		if (arg[0] != '-' || arg[1] == '\0')
			return base_name(arg);
		switch (option_kind_of(arg, &module)) {
		case OPTION_PLAIN:
			continue;
		case OPTION_TEXT:
			return NULL;
		case OPTION_MODULE:
			if (*module)
				return module;
			return *last = cmdline_next(evidence, arg);
		case OPTION_VALUE_NEXT:
			arg = cmdline_next(evidence, arg);
			if (!arg)
				return NULL;
		}
	}
	return NULL;
}

const char *cmdline_program(const struct server_evidence *evidence, const char **args)
{
	const char *last = evidence->cmdline;
	const char *program, *script;

	if (args)
		*args = NULL;
	if (!evidence->cmdline_bytes)
		return NULL;
	program = base_name(evidence->cmdline);
	if (is_interpreter(program)) {
		script = script_find(evidence, evidence->cmdline, &last);
		if (!script)
			return program;
		program = script;
	}
	if (args)
		*args = cmdline_next(evidence, last);
	return program;
}

bool cmdline_program_is(const struct server_evidence *evidence, const char *name)
{
	const char *program = cmdline_program(evidence, NULL);
	size_t bytes = strlen(name);

	if (!program || strncmp(program, name, bytes) != 0)
		return false;
	return program[bytes] == '\0' || strchr(".-", program[bytes]) ||
	       isdigit((unsigned char)program[bytes]);
}

bool cmdline_has_arg(const struct server_evidence *evidence, const char *arg)
{
	const char *at;

	for (cmdline_program(evidence, &at); at; at = cmdline_next(evidence, at))
		if (strcmp(at, arg) == 0)
			return true;
	return false;
}

bool cmdline_text_copy(const char *begin, const char *end, char *out, size_t size)
{
	size_t bytes = (size_t)(end - begin);

	if (!bytes || bytes >= size)
		return false;
	memcpy(out, begin, bytes);
	out[bytes] = '\0';
	return true;
}
