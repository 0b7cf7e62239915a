// LINK: user/servers/*.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows of servers/ against the evidence that real processes give, and against what only looks
 * like it.
 */
#include <stdio.h>

#include <linux/types.h>

#include "unit.h"

#include "abi.h"
#include "servers/cmdline.h"
#include "servers/server.h"

#define LATE   SERVER_WRITES_LATE
#define HIDDEN SERVER_FD_HIDDEN

/* cmdline: arguments separated by '|', since a command line holds any other character. */
struct process {
	const char *comm, *cmdline;
	const char *mapped; /* base name of a mapped file, NULL: none that says anything */
	const char *server; /* expected; NULL: not known */
};

static const struct process processes[] = {
	/* gunicorn */
	{"gunicorn", "/usr/bin/python3|/usr/bin/gunicorn|-w|2|app:app", NULL, "gunicorn"},
	{"python3", "python3|-m|gunicorn|app:app", NULL, "gunicorn"},
	{"python3", "/venv/bin/python3.12|/venv/bin/gunicorn|app", NULL, "gunicorn"},
	{"gunicorn: worke", "gunicorn: worker [shop/app]", NULL, "gunicorn"},
	{"python3", "gunicorn: master [app]", NULL, "gunicorn"},
	{"python3", "python3|/usr/bin/gunicorn3|app", NULL, "gunicorn"},
	{"python3", "python3|-u|-X|dev|-W|ignore|-m|gunicorn|app", NULL, "gunicorn"},
	{"python3", "python3|-umgunicorn|app", NULL, "gunicorn"},
	{"python3", "python3|-m|gunicorn.app.wsgiapp|app", NULL, "gunicorn"},
	{"python3", "python3|gunicornish.py", NULL, NULL},
	{"python3", "python3|app.py|gunicorn", NULL, NULL},
	{"python3", "python3|-c|gunicorn", NULL, NULL},
	{"vi", "vi|gunicorn", NULL, NULL},
	/* uWSGI: whatever it calls itself */
	{"uwsgi", "uwsgi|--ini|app.ini", "uwsgi-core", "uwsgi"},
	{"shop worker", "shop worker 1", "uwsgi", "uwsgi"},
	{"python3", "python3|-c|import pyuwsgi", "pyuwsgi.cpython-311-x86_64-linux-gnu.so",
	 "uwsgi"},
	{"uwsgi", "uwsgi", "libuwsgi.so", NULL},
	/* mod_wsgi */
	{"apache2", "/usr/sbin/apache2|-k|start", "mod_wsgi.so-3.11", "mod_wsgi"},
	{"apache2", "(wsgi:gunicorn)|-k|start", "mod_wsgi.so", "mod_wsgi"},
	{"httpd", "httpd", "mod_wsgi-py311.cpython-311-x86_64-linux-gnu.so", "mod_wsgi"},
	{"apache2", "/usr/sbin/apache2|-k|start", "mod_ssl.so", NULL},
	/* waitress */
	{"waitress-serve", "/usr/bin/python3|/usr/bin/waitress-serve|--port=1|app:app", NULL,
	 "waitress"},
	{"python3", "python3|-m|waitress|app:app", NULL, "waitress"},
	{"python3", "python3|app.py|--server|waitress", NULL, NULL},
	/* development servers */
	{"flask", "/usr/bin/python3|/usr/bin/flask|--app|shop|run|-p|1", NULL, "werkzeug"},
	{"python3", "python3|-m|flask|run", NULL, "werkzeug"},
	{"python3", "python3|-m|flask|shell", NULL, NULL},
	{"python3", "python3|-m|werkzeug.serving|app:app", NULL, "werkzeug"},
	{"python3", "python3|manage.py|runserver|8000", NULL, "runserver"},
	{"python3", "python3|./manage.py|--settings=x|runserver", NULL, "runserver"},
	{"django-admin", "/usr/bin/python3|/usr/bin/django-admin|runserver", NULL, "runserver"},
	{"python3", "python3|-m|django|runserver", NULL, "runserver"},
	{"python3", "python3|manage.py|migrate", NULL, NULL},
	{"python3", "python3|runserver", NULL, NULL},
	{"python3", "python3|-m|wsgiref.simple_server", NULL, "wsgiref"},
	{"cheroot", "/usr/bin/python3|/usr/bin/cheroot|app", NULL, "cheroot"},
	{"python3", "python3|-m|cheroot|app", NULL, "cheroot"},
	/* not known */
	{"python3", "python3", NULL, NULL},
	{"python3", "python3|-m", NULL, NULL},
	{"python3", "python3|-X", NULL, NULL},
	{"python3", "python3|-", NULL, NULL},
	{"python3", "python3|--check-hash-based-pycs|gunicorn|app.py", NULL, NULL},
	{"python3", "", NULL, NULL},
	{"", "", NULL, NULL},
	{"python3", "|||", NULL, NULL},
	{"sh", "/", NULL, NULL},
};

static bool mapped_begins(const struct server_evidence *evidence, const char *prefix)
{
	const char *name = evidence->maps_context;

	return name && strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The evidence as worker.c makes it; text holds the command line. */
static struct server_evidence evidence_make(const struct process *process, char *text, size_t size)
{
	struct server_evidence evidence = {
		.comm = process->comm,
		.cmdline = text,
		.maps = mapped_begins,
		.maps_context = process->mapped,
	};
	int bytes = snprintf(text, size, "%s", process->cmdline);

	assert_in_range(bytes, 0, size - 2);
	for (int i = 0; i < bytes; i++)
		if (text[i] == '|')
			text[i] = '\0';
	evidence.cmdline_bytes = bytes ? (size_t)bytes + 1 : 0;
	text[evidence.cmdline_bytes] = '\0';
	return evidence;
}

static void test_recognised(void **state)
{
	char text[256];

	for (size_t i = 0; i < COUNT_OF(processes); i++) {
		struct server_evidence evidence = evidence_make(&processes[i], text, sizeof(text));
		const struct server *server = server_find(&evidence);
		const char *name = server ? server->name : "(none)";
		const char *expected = processes[i].server ? processes[i].server : "(none)";

		if (strcmp(name, expected) != 0)
			fail_msg("%s: %s, expected %s", processes[i].cmdline, name, expected);
	}
}

/* A command line that was cut: the last argument ends at the NUL behind the bytes. */
static void test_cut_cmdline(void **state)
{
	const char text[] = "python3\0-m\0guni";
	struct server_evidence evidence = {
		.comm = "python3",
		.cmdline = text,
		.cmdline_bytes = sizeof(text) - 1,
		.maps = mapped_begins,
	};

	assert_null(server_find(&evidence));
	assert_string_equal(cmdline_program(&evidence, NULL), "guni");
}

static void test_program(void **state)
{
	static const struct {
		const char *cmdline, *program, *first; /* argument */
	} lines[] = {
		{"/usr/bin/python3|-m|flask|run", "flask", "run"},
		{"python3.11|-Wd|-Xdev|-I|/srv/app.py|-m|x", "app.py", "-m"},
		{"python3|-mflask|run", "flask", "run"},
		{"python3|-c|code|arg", "python3", NULL},
		{"python3|-Xm|a.py", "a.py", NULL},
		{"pypy3|a.py|b", "a.py", "b"},
		{"/usr/sbin/apache2|-k|start", "apache2", "-k"},
		{"python3|-", "-", NULL},
	};
	const char *args;
	char text[256];

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct process process = {.comm = "", .cmdline = lines[i].cmdline};
		struct server_evidence evidence = evidence_make(&process, text, sizeof(text));

		assert_string_equal(cmdline_program(&evidence, &args), lines[i].program);
		if (lines[i].first)
			assert_string_equal(args, lines[i].first);
		else if (strcmp(lines[i].program, "python3") != 0)
			assert_null(args);
	}
}

static void test_flags(void **state)
{
	static const struct {
		const char *cmdline, *mapped;
		unsigned int flags;
	} rows[] = {
		{"python3|-m|gunicorn", NULL, 0},
		{"uwsgi", "uwsgi", 0},
		{"apache2", "mod_wsgi.so", LATE | HIDDEN},
		{"python3|-m|waitress", NULL, LATE},
		{"python3|-m|cheroot", NULL, LATE},
		{"python3|-m|flask|run", NULL, 0},
		{"python3|-m|wsgiref.simple_server", NULL, 0},
	};
	char text[256];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct process process = {
			.comm = "", .cmdline = rows[i].cmdline, .mapped = rows[i].mapped};
		struct server_evidence evidence = evidence_make(&process, text, sizeof(text));

		assert_int_equal(server_find(&evidence)->flags, rows[i].flags);
	}
}

static void test_apps(void **state)
{
	static const struct {
		const char *cmdline, *mapped, *app; /* NULL: none */
	} rows[] = {
		{"gunicorn: worker [shop]", NULL, "shop"},
		{"gunicorn: master [shop:make_app()[0]]", NULL, "shop:make_app()[0]"},
		{"gunicorn: worker []", NULL, NULL},
		{"gunicorn: worker [shop", NULL, NULL},
		{"python3|-m|gunicorn|[shop]", NULL, NULL},
		{"(wsgi:shop)|-k", "mod_wsgi.so", "shop"},
		{"(wsgi:shop", "mod_wsgi.so", NULL},
		{"apache2|(wsgi:shop)", "mod_wsgi.so", NULL},
	};
	char text[256], app[32];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct process process = {
			.comm = "", .cmdline = rows[i].cmdline, .mapped = rows[i].mapped};
		struct server_evidence evidence = evidence_make(&process, text, sizeof(text));
		const struct server *server = server_find(&evidence);

		assert_non_null(server);
		assert_int_equal(server->app(&evidence, app, sizeof(app)), rows[i].app != NULL);
		if (rows[i].app)
			assert_string_equal(app, rows[i].app);
	}
}

/* Too long for its place: none, rather than a part that another may have too. */
static void test_long_app(void **state)
{
	struct process process = {.comm = "", .cmdline = "gunicorn: worker [12345678]"};
	char text[256], app[9];
	struct server_evidence evidence = evidence_make(&process, text, sizeof(text));
	const struct server *server = server_find(&evidence);

	assert_true(server->app(&evidence, app, 9));
	assert_string_equal(app, "12345678");
	assert_false(server->app(&evidence, app, 8));
}

/* The name has to fit into the record with its NUL. */
static void test_names_fit(void **state)
{
	char text[256];

	for (size_t i = 0; i < COUNT_OF(processes); i++) {
		struct server_evidence evidence = evidence_make(&processes[i], text, sizeof(text));
		const struct server *server = server_find(&evidence);

		if (server)
			assert_in_range(strlen(server->name), 1, REC_SERVER_MAX - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recognised), cmocka_unit_test(test_cut_cmdline),
		cmocka_unit_test(test_program),	   cmocka_unit_test(test_flags),
		cmocka_unit_test(test_apps),	   cmocka_unit_test(test_long_app),
		cmocka_unit_test(test_names_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
