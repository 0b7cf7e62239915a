# SPDX-License-Identifier: BSD-2-Clause
"""Workers that come, go and die: a master's PID covers its present and future workers from their
first request, and only them."""
import os
import signal
import subprocess
import threading

import pytest

import client
import marks
import procs
import servers
from tracer import Tracer


def fresh(kind="gunicorn-sync", variant="marked", **kwargs):
    from conftest import need_server
    need_server(kind)
    return servers.Server(kind, variant, **kwargs)


def ask(server, count):
    """So many requests; {uid: pid of the worker that answered}."""
    sent = [client.Request("pid") for _ in range(count)]
    return {each.uid: int(response.body)
            for each, response in zip(sent, client.load(server.address, sent, threads=2))}


def check_all_recorded(tracer, answered):
    records = tracer.wait(answered)
    missing = {uid: pid for uid, pid in answered.items() if uid not in records}
    assert not missing, "no record of %r\n%s" % (missing, tracer.stderr())
    assert {uid: record["pid"] for uid, record in records.items()} == answered


def ask_until_new(server, old):
    """Requests until a worker that is not in `old` has answered."""
    answered = {}

    def some():
        answered.update(ask(server, 8))
        return not set(answered.values()) <= set(old)

    assert procs.until(some, 20), "no new worker answered"
    return answered


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "preload"])
def test_new_worker_after_term(wsgiscope, options):
    """preload: the marker is in the master too, and its raised semaphores are forked with it."""
    with fresh(options=options) as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(old[0], signal.SIGTERM)
        assert not procs.wait_gone(old[:1], 10)
        check_all_recorded(tracer, ask_until_new(server, old))


def test_more_and_fewer_workers(wsgiscope):
    with fresh() as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(server.pid, signal.SIGTTIN)
        assert procs.until(lambda: len(server.workers()) == 3, 10)
        check_all_recorded(tracer, ask_until_new(server, old))
        os.kill(server.pid, signal.SIGTTOU)
        assert procs.until(lambda: len(server.workers()) == 2, 10)
        check_all_recorded(tracer, ask(server, 4))


def test_reload(wsgiscope):
    """HUP: all workers are new."""
    with fresh() as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(server.pid, signal.SIGHUP)
        assert not procs.wait_gone(old, 15)
        assert procs.until(lambda: len(server.workers()) == 2, 10)
        check_all_recorded(tracer, ask(server, 8))


def test_recycled_workers(wsgiscope):
    """max_requests: worker after worker, each covered from its first request."""
    with fresh(options=["--max-requests", "3"]) as server, Tracer("-p", server.pid) as tracer:
        answered = {}
        for _ in range(6):
            answered.update(ask(server, 4))
        assert len(set(answered.values())) > 4
        check_all_recorded(tracer, answered)


@pytest.mark.parametrize("options", [[], ["--lazy-apps"]], ids=["", "lazy"])
def test_uwsgi_reexecutes_itself(wsgiscope, options):
    """HUP: the uWSGI master calls execve on itself, same PID, and forks again."""
    with fresh("uwsgi", options=options) as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(server.pid, signal.SIGHUP)
        assert not procs.wait_gone(old, 15)
        assert procs.until(lambda: len(server.workers()) == 2, 10)
        assert procs.until(lambda: all(marks.raised(pid) for pid in server.workers()), 5), (
            "the new workers are not attached")
        check_all_recorded(tracer, ask(server, 8))


@pytest.mark.parametrize("kind", ["mod_wsgi-embedded", "mod_wsgi-daemon"])
def test_apache_graceful_restart(wsgiscope, kind):
    """USR1: Apache replaces all its children and daemons, and loads its modules anew."""
    with fresh(kind) as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(server.pid, signal.SIGUSR1)
        assert not procs.wait_gone(old, 15)
        # As many as before, or for a while fewer: Apache starts what its spare threads ask for.
        assert procs.until(server.workers, 10)
        assert procs.until(lambda: all(marks.raised(pid) for pid in server.workers()), 5), (
            "the new workers are not attached")
        check_all_recorded(tracer, ask(server, 8))


def test_worker_killed_in_a_request(wsgiscope):
    """No end mark ever comes: the record says unclosed."""
    with fresh() as server, Tracer("-p", server.pid) as tracer:
        request = client.Request("hang", 1, 100)
        with client.connect(server.address) as sock:
            sock.sendall(request.encode())
            assert sock.recv(100)
            pid = busy_worker(server)
            os.kill(pid, signal.SIGKILL)
            record = tracer.wait([request.uid])[request.uid]
        assert record["outcome"] == "unclosed"
        assert record["pid"] == pid
        assert record["wire_status"] == 200 and record["write_bytes"] >= 100


def busy_worker(server):
    """The worker that does not answer: the other one answers all requests."""
    answered = set(ask(server, 12).values())
    return next(pid for pid in server.workers() if pid not in answered)


def test_one_worker_only(wsgiscope):
    with fresh() as server:
        chosen, other = server.workers()
        with Tracer("-p", chosen) as tracer:
            assert marks.raised(chosen)
            assert not marks.raised(other)
            answered = {}
            while len(set(answered.values())) < 2:
                answered.update(ask(server, 8))
            expected = {uid: pid for uid, pid in answered.items() if pid == chosen}
            check_all_recorded(tracer, expected)
            assert tracer.stop() == 0
            assert {record["pid"] for record in tracer.records()} == {chosen}


def test_another_server_does_not_pay(wsgiscope):
    with fresh() as server, fresh("waitress") as other:
        assert not marks.raised(other.pid)
        with Tracer("-p", server.pid) as tracer:
            ask(other, 4)
            check_all_recorded(tracer, ask(server, 4))
            assert not marks.raised(other.pid)
            assert tracer.stop() == 0
            pids = {record["pid"] for record in tracer.records()}
            assert pids <= set(server.workers())


def test_all_servers(wsgiscope):
    """Without -p: every marked worker of the host, also of a server that starts later."""
    with fresh() as server, Tracer() as tracer:
        check_all_recorded(tracer, ask(server, 4))
        with fresh("waitress") as other:
            assert procs.until(lambda: marks.raised(other.pid), 5)
            check_all_recorded(tracer, ask(other, 4))
            check_all_recorded(tracer, ask(server, 4))


def test_two_tracers_at_once(wsgiscope):
    with fresh() as server:
        worker = server.workers()[0]
        with Tracer("-p", worker) as first, Tracer("-p", server.pid) as second:
            answered = {}
            while len(set(answered.values())) < 2:
                answered.update(ask(server, 8))
            check_all_recorded(second, answered)
            check_all_recorded(first, {uid: pid for uid, pid in answered.items()
                                       if pid == worker})
            assert first.stop() == 0
            check_all_recorded(second, ask(server, 4))
        assert not marks.raised(worker)


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "uwsgi", "mod_wsgi-daemon"])
def test_server_stops_while_traced(kind, wsgiscope):
    """The whole server ends under the tracer; the tracer stays calm, and no worker hangs."""
    with fresh(kind) as server, Tracer("-p", server.pid) as tracer:
        answered = ask(server, 4)
        stopper = threading.Thread(target=server.process.terminate)
        stopper.start()
        stopper.join()
        server.process.wait(15)
        check_all_recorded(tracer, answered)
        if tracer.process.poll() is None:
            assert tracer.stop() == 0, tracer.stderr()
        assert tracer.process.returncode == 0
        assert not tracer.left_behind()


@pytest.mark.parametrize("slots", [10240, 1000000])
def test_worker_serves_as_soon_as_it_is_forked(wsgiscope, marker, slots):
    """A request is one record, even where it has begun before the tracer has heard of its process;
    and while it goes through a table of so many."""
    environ = dict(os.environ, PYTHONPATH=marker)
    with subprocess.Popen([servers.PYTHON, os.path.join(servers.APPS, "forker.py")], env=environ,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert procs.until(lambda: list(procs.mappings(process.pid, "_marker")), 10)
            with Tracer("-p", process.pid, "--max-in-flight", slots) as tracer:
                process.stdin.write("1500 0.05\n")
                process.stdin.flush()
                served = process.stdout.readline().split()
                procs.until(lambda: len(tracer.records()) >= len(served), 8)
                assert tracer.stop() == 0
                records = tracer.records()
        finally:
            process.stdin.close()
    assert sorted(record["path"] for record in records) == sorted(served)
    assert {record["outcome"] for record in records} == {"ok"}
