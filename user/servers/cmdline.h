/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a command line says is being run: shared by the rows of servers/. The text is the
 * process's own and may hold anything; it is only compared, never shown from here.
 */
#ifndef WSGISCOPE_SERVERS_CMDLINE_H
#define WSGISCOPE_SERVERS_CMDLINE_H

#include <stdbool.h>

#include "server.h"

/*
 * The program behind the interpreter: base name of the script ("gunicorn"), else the module of -m
 * ("waitress"), else the base name of argv[0]. Borrowed from the evidence, NULL: nothing there.
 * *args: the first argument after it, to be handed to cmdline_next(); may be NULL.
 */
const char *cmdline_program(const struct server_evidence *evidence, const char **args);

/* The argument behind this one, NULL: it was the last. */
const char *cmdline_next(const struct server_evidence *evidence, const char *arg);

/* The program is called so, or so with a dot, dash or digit and more ("gunicorn3", "flask.py"). */
bool cmdline_program_is(const struct server_evidence *evidence, const char *name);

/* One of the arguments after the program is exactly this. */
bool cmdline_has_arg(const struct server_evidence *evidence, const char *arg);

/* Copies what lies between two places of it, terminated. False: empty, or too long. */
bool cmdline_text_copy(const char *begin, const char *end, char *out, size_t size);

#endif
