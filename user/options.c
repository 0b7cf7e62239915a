/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the way from an option table to getopt_long(), to struct config and to --help. Knows no
 * verb and no field of struct config but verbose.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "commands.h"
#include "config.h"
#include "log.h"
#include "nearest.h"

#define ROWS_MAX 32
/* What getopt_long() gives back for row i: past any letter. */
#define ROW_CODE 1000

static const struct option_row common_rows[] = {
	{.name = "verbose",
	 .letter = 'v',
	 .type = OPTION_COUNTER,
	 .offset = offsetof(struct config, verbose),
	 .help = "say more on stderr; twice: libbpf's talk too"},
	{.name = "help", .letter = 'h', .type = OPTION_FLAG, .help = "this text"},
};

/* A verb's rows and the common ones, as getopt_long() wants them. */
struct option_set {
	const struct option_command *command;
	const struct option_row *rows[ROWS_MAX];
	const char *names[ROWS_MAX];
	bool given[ROWS_MAX];
	size_t count;
	struct option longs[ROWS_MAX + 1];
	char shorts[2 * ROWS_MAX + 3];
};

static bool takes_argument(const struct option_row *row)
{
	return row->type != OPTION_FLAG && row->type != OPTION_COUNTER;
}

static void set_add(struct option_set *set, const struct option_row *row)
{
	size_t i = set->count, end = strlen(set->shorts);

	if (i >= ROWS_MAX)
		return;
	set->rows[i] = row;
	set->names[i] = row->name;
	set->longs[i] = (struct option){
		.name = row->name,
		.has_arg = takes_argument(row) ? required_argument : no_argument,
		.val = ROW_CODE + (int)i,
	};
	if (row->letter) {
		set->shorts[end++] = row->letter;
		if (takes_argument(row))
			set->shorts[end++] = ':';
		set->shorts[end] = '\0';
	}
	set->count++;
}

static void set_fill(struct option_set *set, const struct option_command *command)
{
	memset(set, 0, sizeof(*set));
	set->command = command;
	strcpy(set->shorts, ":"); /* a missing argument is told apart from an unknown option */
	for (const struct option_row *row = command->rows; row && row->name; row++)
		set_add(set, row);
	for (size_t i = 0; i < sizeof(common_rows) / sizeof(common_rows[0]); i++)
		set_add(set, &common_rows[i]);
}

/* The exit status. */
static int usage_print(const struct option_set *set)
{
	const struct option_command *command = set->command;

	printf("Usage: wsgiscope %s", command->verb);
	for (size_t i = 0; i < set->count; i++) {
		if (set->rows[i]->required)
			printf(" -%c %s", set->rows[i]->letter, set->rows[i]->argument);
	}
	printf(" [options]");
	if (command->operand)
		printf(command->operand_optional ? " [%s]" : " %s", command->operand);
	printf("\n%s\n\n", command->summary);
	for (size_t i = 0; i < set->count; i++) {
		const struct option_row *row = set->rows[i];
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", row->name, row->argument ? " " : "",
			 row->argument ? row->argument : "");
		if (row->letter)
			printf("  -%c, %-22s %s\n", row->letter, left, row->help);
		else
			printf("      %-22s %s\n", left, row->help);
	}
	if (!fflush(stdout))
		return EXIT_STATUS_DONE;
	log_error("cannot write to stdout: %s", strerror(errno));
	return EXIT_STATUS_FAILED;
}

/* 0, -EINVAL (no such number), -ERANGE. Only digits: no sign, no space, no base. */
static int parse_u64(const char *text, const char **end, uint64_t *out)
{
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	*end = text;
	*out = value;
	return 0;
}

static int parse_size(const char *text, uint64_t *out)
{
	const char *end;
	int error = parse_u64(text, &end, out);
	unsigned int shift = 0;

	if (error)
		return error;
	if (*end == 'k' || *end == 'K')
		shift = 10;
	else if (*end == 'M')
		shift = 20;
	if (shift)
		end++;
	if (*end)
		return -EINVAL;
	return __builtin_mul_overflow(*out, UINT64_C(1) << shift, out) ? -ERANGE : 0;
}

static int parse_whole(const char *text, uint64_t *out)
{
	const char *end;
	int error = parse_u64(text, &end, out);

	return error ? error : *end ? -EINVAL : 0;
}

/* Decimal digits with an optional fraction: what strtod() takes beyond that is refused. */
static int parse_double(const char *text, double *out)
{
	if (!*text || strspn(text, "0123456789.") != strlen(text) || !strcmp(text, ".") ||
	    (strchr(text, '.') && strchr(strchr(text, '.') + 1, '.')))
		return -EINVAL;
	*out = strtod(text, NULL);
	return isfinite(*out) ? 0 : -ERANGE;
}

static const char *type_name(enum option_type type)
{
	switch (type) {
	case OPTION_PID:
	case OPTION_PIDS:
		return "a process number";
	case OPTION_U64:
		return "a whole number";
	case OPTION_POWER:
		return "a power of two such as 65536, 512k or 8M";
	case OPTION_SIZE:
		return "a size such as 4096, 512k or 8M";
	case OPTION_SECONDS:
		return "a number of seconds";
	case OPTION_MS:
		return "a number of milliseconds";
	case OPTION_ADDRESS:
		return "HOST:PORT or [IPv6]:PORT";
	default:
		return "a text that is not empty";
	}
}

/* What a row's number may lie between; its type bounds it where the row does not. */
static double row_max(const struct option_row *row)
{
	if (row->max > 0)
		return row->max;
	switch (row->type) {
	case OPTION_PID:
	case OPTION_PIDS:
		return INT32_MAX;
	case OPTION_SIZE:
	case OPTION_POWER:
		return UINT32_MAX;
	case OPTION_SECONDS:
	case OPTION_MS:
		return 1e9;
	default:
		return (double)UINT64_MAX;
	}
}

static double row_min(const struct option_row *row)
{
	bool process = row->type == OPTION_PID || row->type == OPTION_PIDS;

	return process && row->min < 1 ? 1 : row->min;
}

static int number_parse(const struct option_row *row, const char *text, uint64_t *whole,
			double *real)
{
	int error;

	if (row->type == OPTION_SECONDS || row->type == OPTION_MS) {
		error = parse_double(text, real);
	} else {
		bool size = row->type == OPTION_SIZE || row->type == OPTION_POWER;

		error = size ? parse_size(text, whole) : parse_whole(text, whole);
		if (!error && row->type == OPTION_POWER && (*whole & (*whole - 1)))
			error = -EINVAL;
		*real = (double)*whole;
	}
	if (error)
		return error;
	return *real < row_min(row) || *real > row_max(row) ? -ERANGE : 0;
}

static bool value_refuse(const struct option_row *row, const char *text, int error)
{
	if (error == -ERANGE)
		log_error("--%s %s: out of range: it must lie between %.15g and %.15g", row->name,
			  text, row_min(row), row_max(row));
	else
		log_error("--%s: '%s' is not %s", row->name, text, type_name(row->type));
	return false;
}

static bool pid_add(const struct option_row *row, struct config_pids *pids, int pid)
{
	if (pids->count == CONFIG_PIDS_MAX) {
		log_error("--%s is given more than %d times", row->name, CONFIG_PIDS_MAX);
		return false;
	}
	pids->list[pids->count++] = pid;
	return true;
}

/* The place of a word among those of a row; -EINVAL: it is none, which has been said. */
static int word_find(const struct option_row *row, const char *text)
{
	char list[128] = "";
	size_t used = 0;

	for (int i = 0; row->words[i]; i++) {
		if (!strcmp(row->words[i], text))
			return i;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 row->words[i]);
		if (used >= sizeof(list))
			used = sizeof(list) - 1;
	}
	log_error("--%s: '%s' is none of %s", row->name, text, list);
	return -EINVAL;
}

static bool word_store(const struct option_row *row, const char *text, unsigned int *field)
{
	int found = word_find(row, text);

	if (found < 0)
		return false;
	*field = (unsigned int)found;
	return true;
}

static bool value_store(const struct option_row *row, const char *text, struct config *config)
{
	char *field = (char *)config + row->offset;
	uint64_t whole = 0;
	double real = 0;
	int error = 0;

	if (row->type == OPTION_STRING)
		error = *text ? 0 : -EINVAL;
	else if (row->type == OPTION_ADDRESS)
		error = address_is_sound(text) ? 0 : -EINVAL;
	else if (takes_argument(row) && row->type != OPTION_WORD)
		error = number_parse(row, text, &whole, &real);
	if (error)
		return value_refuse(row, text, error);
	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		break;
	case OPTION_COUNTER:
		++*(int *)field;
		break;
	case OPTION_PID:
		*(int *)field = (int)whole;
		break;
	case OPTION_PIDS:
		return pid_add(row, (struct config_pids *)field, (int)whole);
	case OPTION_U64:
		*(uint64_t *)field = whole;
		break;
	case OPTION_SIZE:
	case OPTION_POWER:
		*(uint32_t *)field = (uint32_t)whole;
		break;
	case OPTION_SECONDS:
	case OPTION_MS:
		*(double *)field = real;
		break;
	case OPTION_STRING:
	case OPTION_ADDRESS:
		*(const char **)field = text;
		break;
	case OPTION_WORD:
		return word_store(row, text, (unsigned int *)field);
	}
	return true;
}

/* getopt_long() gave '?': an option that is not, or is too short to be told, or has a value. */
static void unknown_print(const struct option_set *set, char **argv)
{
	const char *verb = set->command->verb;
	char name[64];
	const char *typed, *nearest;

	if (optopt >= ROW_CODE) {
		log_error("option '--%s' takes no value", set->rows[optopt - ROW_CODE]->name);
		return;
	}
	if (optopt) {
		log_error("unknown option '-%c': see wsgiscope %s --help", optopt, verb);
		return;
	}
	typed = argv[optind - 1];
	typed += typed[0] == '-' && typed[1] == '-' ? 2 : 0;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(typed, "="), typed);
	nearest = nearest_name(name, set->names, set->count);
	if (nearest)
		log_error("unknown option '--%s': did you mean '--%s'?", name, nearest);
	else
		log_error("unknown option '--%s': see wsgiscope %s --help", name, verb);
}

/* The row that getopt_long()'s code stands for, or NULL. */
static size_t row_find(const struct option_set *set, int code)
{
	if (code >= ROW_CODE)
		return (size_t)(code - ROW_CODE);
	for (size_t i = 0; i < set->count; i++) {
		if (set->rows[i]->letter == code)
			return i;
	}
	return set->count;
}

/* What is missing or too much once all options are read. */
static bool rest_check(const struct option_set *set, int argc, char **argv, struct config *config)
{
	const struct option_command *command = set->command;

	for (size_t i = 0; i < set->count; i++) {
		const struct option_row *row = set->rows[i];

		if (row->required && !set->given[i]) {
			log_error("%s needs -%c %s: %s", command->verb, row->letter, row->argument,
				  row->help);
			return false;
		}
	}
	if (command->operand && optind >= argc && !command->operand_optional) {
		log_error("%s needs a %s: see wsgiscope %s --help", command->verb, command->operand,
			  command->verb);
		return false;
	}
	if (command->operand && optind < argc)
		*(const char **)((char *)config + command->operand_offset) = argv[optind++];
	if (optind < argc) {
		log_error("%s: '%s' is one argument too many", command->verb, argv[optind]);
		return false;
	}
	return true;
}

bool options_parse(const struct option_command *command, int argc, char **argv,
		   struct config *config, int *status)
{
	struct option_set set;
	int code;

	set_fill(&set, command);
	*status = EXIT_STATUS_USAGE;
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while ((code = getopt_long(argc, argv, set.shorts, set.longs, NULL)) != -1) {
		size_t i;

		if (code == '?') {
			unknown_print(&set, argv);
			return false;
		}
		i = row_find(&set, code == ':' ? optopt : code);
		if (i >= set.count)
			return false;
		if (code == ':') {
			log_error("option '--%s' needs %s: --%s %s", set.names[i],
				  type_name(set.rows[i]->type), set.names[i],
				  set.rows[i]->argument);
			return false;
		}
		if (!strcmp(set.names[i], "help")) {
			*status = usage_print(&set);
			return false;
		}
		if (!value_store(set.rows[i], optarg, config))
			return false;
		set.given[i] = true;
	}
	if (!rest_check(&set, argc, argv, config))
		return false;
	log_level_set(log_level_of(config->verbose));
	*status = EXIT_STATUS_DONE;
	return true;
}
