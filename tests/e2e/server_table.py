# SPDX-License-Identifier: BSD-2-Clause
"""What is true of each server: the table of doc/servers.md, which is made of it (`make
servers-doc`), and each of whose cells test_servers.py asserts. What a word means says its check in
table_checks.py."""
import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [path for path in (HERE, os.path.join(HERE, "apps")) if path not in sys.path]

import table_servers as start  # noqa: E402
from table_checks import CHECKS  # noqa: E402

# name: of the test. title: in the table. command: of the server. needs: the file or the Python
# module that is there where it is installed. cells: {column: word}. server: in the records. ways:
# of TableServer. why: what is not exact, and why. pypi: not Debian's, so not in CI.
Row = collections.namedtuple("Row", "name title command needs cells server ways why pypi")

EXACT = {**{column: "exact" for column in CHECKS}, "file": "none"}
GREENLETS = {"states": "alone", "body": "other"}
GUESSED = {"status": "guessed", "writes": "guessed", "first": "guessed", "queue": "header"}
FRONT = {"status": "front", "writes": "front", "slow": "front", "first": "front", "wire": "front",
         "wire bytes": "front"}
HUB = ("One thread waits in the hub for all greenlets: of what a request waits is known only that "
       "it waits.")
GUESS = ("Nothing leads from its environ to a descriptor, and one thread has several requests open "
         "at once.")
LOOP = "The loop reads all of a request before, and writes all of the answer after `close()`."
TURNS = LOOP + " It takes the blocks of several requests in turns, all on one thread."
# On another Python there is but PyPI's newest, which has a row of its own.
NEWEST_ONLY = ("gunicorn-sync", "gunicorn-gthread", "gunicorn-tornado", "waitress", "tornado",
               "flask", "werkzeug")
ROWS = []


def row(name, title, command, needs, server, why="", pypi=False, ways=(), **cells):
    words = {**EXACT, **{column.replace("_", " "): word for column, word in cells.items()}}
    ROWS.append(Row(name, title, command, needs, words, server, dict(ways), why, pypi))


gunicorn, uwsgi = start.gunicorn, start.uwsgi
GUNICORN, UWSGI, MOD_WSGI = start.GUNICORN, "/usr/bin/uwsgi", "/usr/lib/apache2/modules/mod_wsgi.so"
row("gunicorn-sync", "gunicorn", gunicorn(), GUNICORN, "gunicorn", file="sendfile")
row("gunicorn-gthread", "gunicorn `-k gthread`", gunicorn("-k", "gthread", "--threads", "4"),
    GUNICORN, "gunicorn", file="sendfile")
row("gunicorn-gevent", "gunicorn `-k gevent`", gunicorn("-k", "gevent"), "gevent", "gunicorn", HUB,
    **GREENLETS, file="wrapper")
row("gunicorn-eventlet", "gunicorn `-k eventlet`", gunicorn("-k", "eventlet"),
    "gunicorn.workers.geventlet", "gunicorn", HUB, **GREENLETS, file="wrapper")
row("gunicorn-tornado", "gunicorn `-k tornado`", gunicorn("-k", "tornado"), "tornado", "gunicorn",
    LOOP, body="before", wire_time="client")
row("uwsgi", "uWSGI `--http-socket`", uwsgi("--http-socket", "--threads", "4"), UWSGI, "uwsgi",
    file="sendfile")
row("uwsgi-lazy", "uWSGI `--lazy-apps --cheaper`",
    uwsgi("--http-socket", "--threads", "4", "--lazy-apps", "--processes", "2", "--cheaper", "1"),
    UWSGI, "uwsgi", file="sendfile")
row("uwsgi-offload", "uWSGI `--offload-threads`",
    uwsgi("--http-socket", "--threads", "4", "--offload-threads", "2"), UWSGI, "uwsgi",
    "A thread of uWSGI's own sends the file when the request has long ended; it is waited for.",
    file="sendfile")
row("uwsgi-gevent", "uWSGI `--gevent`",
    uwsgi("--http-socket", "--plugin", "gevent_python3", "--gevent", "10",
          "--gevent-monkey-patch"),
    "/usr/lib/uwsgi/plugins/gevent_python3_plugin.so", "uwsgi", HUB, **GREENLETS, file="sendfile")
row("uwsgi-router", "uWSGI `--http`", uwsgi("--http", "--threads", "4"), UWSGI, "uwsgi",
    "The worker writes to the router, which hands it on as it is; in the wire mode the router "
    "has a record, too.", file="sendfile", wire_bytes="front", wire_time="client")
row("uwsgi-nginx", "uWSGI `--socket` behind nginx",
    uwsgi("--socket", "--threads", "4", "--chmod-socket=666"), "/usr/sbin/nginx", "uwsgi",
    "nginx reads the request first, and writes to the client in its own words.",
    ways={"nginx": True}, **FRONT, queue="front", body="before", file="sendfile")
row("mod_wsgi-embedded", "mod_wsgi embedded", start.apache_embedded, MOD_WSGI, "mod_wsgi",
    "Its environ leads to no descriptor: the socket is the one that the thread has read last.",
    file="wrapper", queue="header", wire_time="client")
row("mod_wsgi-daemon", "mod_wsgi daemon", start.apache_daemon, MOD_WSGI, "mod_wsgi",
    "The daemon writes to httpd over a socket of the file system, which says it to the client in "
    "its own words; httpd has a record of the wire mode, too.", file="wrapper", queue="header",
    writes="front", slow="front", wire_bytes="front", wire_time="client")
row("waitress", "waitress", start.waitress(), start.WAITRESS, "waitress",
    "The main thread reads all of a request before a thread of the pool has it, and writes what "
    "the socket did not take at once.", body="before", file="wrapper", wire_time="client")
row("wsgiref", "wsgiref", start.unaware("wsgiref"), start.PYTHON, None, file="wrapper")
row("django", "Django `runserver`", start.django(), "django", None, file="wrapper")
row("flask", "`flask run --reload`", start.flask("--reload"), "flask", "werkzeug")
row("werkzeug", "Werkzeug", start.unaware("werkzeug"), "werkzeug", None)
row("cheroot", "cheroot", start.unaware("cheroot"), "cheroot", None)
row("cherrypy", "CherryPy", start.unaware("cherrypy"), "cherrypy", None)
row("gevent", "gevent.pywsgi", start.unaware("gevent"), "gevent", None, HUB, **GREENLETS)
row("eventlet", "eventlet.wsgi", start.unaware("eventlet"), "eventlet", None, HUB, **GREENLETS)
row("tornado", "Tornado `WSGIContainer`", start.unaware("tornado"), "tornado", None,
    LOOP, body="before", wire_time="client")
row("twisted", "Twisted `WSGIResource`", start.unaware("twisted"), "twisted", None,
    "The reactor's thread reads all of a request before, and writes; it does not close an iterable "
    "that has raised.", states="closed", body="before", wire_time="client")
row("pypi-gunicorn", "gunicorn, newest", gunicorn(program=start.pypi("gunicorn")),
    start.pypi("gunicorn"), "gunicorn", pypi=True, file="sendfile")
row("pypi-gunicorn-gthread", "gunicorn, newest, `-k gthread`",
    gunicorn("-k", "gthread", "--threads", "4", program=start.pypi("gunicorn")),
    start.pypi("gunicorn"), "gunicorn", pypi=True, file="sendfile")
row("pypi-gunicorn-tornado", "gunicorn, newest, `-k tornado`",
    gunicorn("-k", "tornado", program=start.pypi("gunicorn")), "tornado", "gunicorn", TURNS,
    pypi=True, states="alone", body="before", wire_time="client")
row("pypi-uwsgi", "uWSGI, newest", uwsgi("--http-socket", "--threads", "4",
                                         program=start.pypi("uwsgi")),
    start.pypi("uwsgi"), "uwsgi", pypi=True, file="sendfile")
row("pypi-mod_wsgi", "mod_wsgi, newest, `mod_wsgi-express`", start.mod_wsgi_express,
    start.pypi("mod_wsgi-express"), "mod_wsgi", "As Debian's daemons.", pypi=True, file="wrapper",
    queue="header", writes="front", slow="front", wire_bytes="front", wire_time="client")
row("pypi-waitress", "waitress, newest", start.waitress(start.pypi("waitress-serve")),
    start.pypi("waitress-serve"), "waitress", "As Debian's.", pypi=True, body="before",
    file="wrapper", wire_time="client")
row("pypi-tornado", "Tornado, newest, `WSGIContainer`",
    start.unaware("tornado", start.pypi("python")), "tornado", None, TURNS, pypi=True,
    states="alone", body="before", wire_time="client")
row("pypi-flask", "Flask, newest, `flask run --reload`",
    start.flask("--reload", python=start.pypi("python")), "flask", "werkzeug", "As Werkzeug's.",
    pypi=True, wire_time="unread")
row("pypi-werkzeug", "Werkzeug, newest", start.unaware("werkzeug", start.pypi("python")),
    "werkzeug", None, "It counts as the application's time, since `close()` ends that.", pypi=True,
    wire_time="unread")
row("pypi-bjoern", "bjoern", start.unaware("bjoern", start.pypi("python")), "bjoern", None,
    GUESS, pypi=True, application="taken", states="alone", body="before", **GUESSED,
    file="sendfile", wire_time="client")
row("pypi-granian", "granian", start.granian, start.pypi("granian"), None,
    "A thread of its runtime, which is not Python's, reads and writes: nothing leads from there to "
    "the application's thread. The wire mode sees it whole.", pypi=True, body="lock", status="–",
    writes="–", slow="–", first="–", queue="header", wire_time="client")

BY_NAME = {each.name: each for each in ROWS}

# --- the page ------------------------------------------------------------------------------------

PAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "doc/servers.md")
BEGIN, END = "<!-- made by tests/e2e/server_table.py -->\n", "<!-- end -->\n"
COLUMNS = {
    "application": "what the application did", "states": "its states",
    "body": "a request body that comes late", "file": "`wsgi.file_wrapper`",
    "status": "wire status", "writes": "write calls, bytes, time", "slow": "a slow client",
    "first": "first byte", "queue": "queue time", "wire": "wire mode: method, path, status",
    "wire bytes": "wire mode: bytes", "wire time": "wire mode: time",
}


def lines_of_table():
    yield "| server | %s |" % " | ".join(CHECKS)
    yield "|---|%s" % ("---|" * len(CHECKS))
    for each in ROWS:
        cells = " | ".join(each.cells[column] for column in CHECKS)
        yield "| %s%s | %s |" % (each.title, " ᴾ" if each.pypi else "", cells)


def lines_of_words():
    for column, words in CHECKS.items():
        yield "- **%s**: %s" % (column, COLUMNS[column])
        for word, check in words.items():
            if any(each.cells[column] == word for each in ROWS):
                yield "  - *%s*: %s" % (word, re.sub(r"\s+", " ", check.__doc__.strip()))


def lines_of_reasons():
    for each in ROWS:
        if each.why:
            yield "- **%s**: %s" % (each.title, each.why)


def made():
    """What of the page is made of the data."""
    parts = [lines_of_table(), ["ᴾ From PyPI: checked by `make matrix`, not in CI."],
             ["### What the words mean"], lines_of_words(), ["### Why"], lines_of_reasons()]
    return "\n".join("\n".join(part) + "\n" for part in parts)


def page(text):
    """The page with that part made anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + made() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    with open(PAGE, encoding="utf-8") as stream:
        text = page(stream.read())
    with open(PAGE, "w", encoding="utf-8") as stream:
        stream.write(text)
