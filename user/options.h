/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines as tables: each verb says its options as rows over struct config, and the parser
 * and --help both come from them. Every verb has -v and -h without saying so.
 *
 *	static const struct option_row rows[] = {
 *		{.name = "pid", .letter = 'p', .type = OPTION_PID,
 *		 .offset = offsetof(struct config, pid), .argument = "PID",
 *		 .help = "a worker or a master, whose children are followed"},
 *		{0},
 *	};
 *	static const struct option_command command = {
 *		.verb = "ps", .summary = "lists the WSGI workers found", .rows = rows,
 *	};
 *	static const struct config defaults = {.pid = 0};
 *
 *	int cmd_ps(int argc, char **argv)
 *	{
 *		struct config config = defaults;
 *		int status;
 *
 *		if (!options_parse(&command, argc, argv, &config, &status))
 *			return status;
 */
#ifndef WSGISCOPE_OPTIONS_H
#define WSGISCOPE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct config;

enum option_type {
	OPTION_FLAG,	/* bool; takes no argument */
	OPTION_COUNTER, /* int, one more each time; takes no argument */
	OPTION_PID,	/* int, 1 and up */
	OPTION_PIDS,	/* struct config_pids, one more each time */
	OPTION_U64,	/* uint64_t */
	OPTION_SIZE,	/* uint32_t, with an optional k or M (1024s) */
	OPTION_POWER,	/* as OPTION_SIZE, and a power of two */
	OPTION_SECONDS, /* double */
	OPTION_MS,	/* double */
	OPTION_STRING,	/* const char *, borrowed from argv; not empty */
	OPTION_ADDRESS, /* the same, of the form HOST:PORT */
	OPTION_WORD,	/* unsigned int: which of the row's words */
};

struct option_row {
	const char *name; /* after "--" */
	char letter;	  /* after "-", 0: none */
	enum option_type type;
	size_t offset;	      /* into struct config */
	const char *argument; /* its name in --help, NULL where none is taken */
	const char *help;     /* one line */
	double min, max;      /* of a number; max 0: no bound but the type's */
	bool required;
	const char *const *words; /* ends with NULL */
};

struct option_command {
	const char *verb;
	const char *summary;	       /* one line, "does so and so" */
	const struct option_row *rows; /* ends with name NULL; NULL: none */
	const char *operand;   /* name of the one operand, which must be given; NULL: none */
	size_t operand_offset; /* of a const char * in struct config */
	bool operand_optional;
};

/*
 * Fills *config (which holds the defaults) and sets the log level from -v. True: go on. False:
 * *status is the exit status; the help asked for, or what is wrong, has been printed.
 */
bool options_parse(const struct option_command *command, int argc, char **argv,
		   struct config *config, int *status);

#endif
