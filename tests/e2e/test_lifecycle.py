# SPDX-License-Identifier: BSD-2-Clause
"""Servers that replace their workers in ways of their own, traced by the process that was there at
first: those that come are covered from their first request. TERM, HUP, max-requests and graceful
restarts are in test_workers.py and test_later_workers.py."""
import os
import shutil
import signal

import pytest

import client
import procs
import programs
import servers
from test_workers import ask, ask_until_new, check_all_recorded, fresh
from tracer import Tracer


def children(pid):
    return [each for each in procs.tree(pid) if procs.parent(each) == pid]


def wait_for_new_master(server, old):
    """USR2: gunicorn forks and executes itself; the child is the new master, with workers."""
    def found():
        masters = [pid for pid in children(server.pid) if pid not in old and children(pid)]
        return masters and len(children(masters[0])) == 2 and all(
            procs.maps(pid, "_marker") for pid in children(masters[0])) and masters[0]

    master = procs.until(found, 20)
    assert master, server.log()
    return master


def test_gunicorn_usr2(wsgiscope):
    """Two masters side by side; then the old one goes, and the new one is nobody's child."""
    with fresh() as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(server.pid, signal.SIGUSR2)
        master = wait_for_new_master(server, old)
        try:
            check_all_recorded(tracer, ask_until_new(server, old))
            os.kill(server.pid, signal.SIGTERM)
            server.process.wait(15)
            assert not procs.wait_gone(old, 10)
            answered = ask(server, 8)
            assert set(answered.values()) <= set(children(master))
            check_all_recorded(tracer, answered)
            assert tracer.stop() == 0 and not tracer.lost_requests(), tracer.stderr()
        finally:
            os.kill(master, signal.SIGTERM)
            assert not procs.wait_gone([master], 10)


def test_uwsgi_cheaper(wsgiscope):
    """Workers that come with the load, and go without it."""
    options = ["--processes", "3", "--threads", "1", "--cheaper", "1", "--cheaper-initial", "1",
               "--cheaper-step", "1", "--cheaper-overload", "1"]
    server = fresh("uwsgi", options=options)
    server.kind = server.kind._replace(workers=1)
    with server, Tracer("-p", server.pid) as tracer:
        answered = {}

        def load():
            sent = [client.Request("slow", 1, 10) for _ in range(12)]
            sent += [client.Request("pid") for _ in range(12)]
            responses = client.load(server.address, sent, threads=6)
            answered.update({each.uid: response for each, response in zip(sent, responses)})
            return len({response.body for response in answered.values()
                        if response.request.way == "pid"}) > 1

        assert procs.until(load, 20), "no second worker came"
        records = tracer.wait(answered)
        assert records.keys() == answered.keys(), tracer.stderr()
        for uid, response in answered.items():
            if response.request.way == "pid":
                assert records[uid]["pid"] == int(response.body)


WERKZEUG = """
import sys
from werkzeug.serving import run_simple
import matrix
run_simple("127.0.0.1", int(sys.argv[1]), matrix.application, use_reloader=True, threaded=True)
"""
RELOADED = {"flask": ["flask", "--app", "reloaded_site", "run", "--reload", "-p", "PORT"],
            "django": ["reloaded_site", "runserver", "127.0.0.1:PORT"],
            "werkzeug": ["reloaded_site", "PORT"]}


def write_site(folder, kind):
    """A module that its reloader watches: Flask's imports ours, Django's is a copy of it."""
    path = folder / "reloaded_site.py"
    if kind == "flask":
        path.write_text("from flask_matrix import app\n")
    elif kind == "werkzeug":
        path.write_text(WERKZEUG)
    else:
        shutil.copy(os.path.join(servers.APPS, "django_site.py"), path)
        path.write_text(path.read_text().replace("django_site", "reloaded_site"))
    return path


@pytest.mark.parametrize("kind", RELOADED)
def test_reloader(wsgiscope, folder, kind):
    """The child that serves ends when a file is changed, and the parent starts another."""
    pytest.importorskip(kind, reason="apt-get install python3-" + kind)
    path = write_site(folder, kind)
    env = programs.environ(str(folder), servers.HERE, servers.marker_path(), E2E_APP="marked",
                           DJANGO_APPLICATION="matrix.application")
    with programs.Program([servers.PYTHON, "-m", *RELOADED[kind]], env, folder) as program:
        program.wait_ready()
        with Tracer("-p", program.pid) as tracer:
            first = ask_program(program, tracer)
            os.utime(path, (2_000_000_000, 2_000_000_000))
            second = procs.until(lambda: another(program, first), 20)
            assert second, program.stderr()
            assert ask_program(program, tracer) == second
            assert tracer.stop() == 0, tracer.stderr()


def ask_program(program, tracer):
    """The process that answers, which the record names, too."""
    request = client.Request("pid")
    pid = int(client.fetch(("127.0.0.1", program.port), request).body)
    record = tracer.wait([request.uid]).get(request.uid)
    assert record and record["pid"] == pid, (record, tracer.stderr())
    return pid


def another(program, first):
    try:
        pid = int(client.fetch(("127.0.0.1", program.port), client.Request("pid"), timeout=5).body)
    except (OSError, ValueError):
        return None
    return pid if pid != first else None
