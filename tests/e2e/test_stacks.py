# SPDX-License-Identifier: BSD-2-Clause
"""Stacks as the kernel side takes them, before anything is made of them, on real servers: what an
application says of itself (tests/stacks/truth_app.py) against samples and code objects."""
import collections
import os
import signal
import subprocess
import sys
import time

import pytest

import procs
import servers
from conftest import need_server

STACKS = os.path.join(servers.ROOT, "tests/stacks")
sys.path.insert(0, STACKS)

import truth  # noqa: E402

pytestmark = pytest.mark.alone

KINDS = ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "mod_wsgi-embedded", "mod_wsgi-daemon"]
HZ, SECONDS = 999, 4
POINTS = 4  # at some 3,000 samples; tests/pythons/check_stacks.py asks for 2 at 20,000


class TruthServer(servers.Server):
    """prefix: a command that runs the server's command."""

    def __init__(self, kind, options=(), prefix=()):
        super().__init__(kind, options=options)
        command = self.kind.command
        self.kind = self.kind._replace(
            command=lambda server: [*prefix, *self.adapt(command(server))])
        self.environ["PYTHONPATH"] += ":" + STACKS

    def adapt(self, command):
        """The same server with the other application."""
        config = os.path.join(self.directory, "httpd.conf")
        if os.path.exists(config):
            with open(config, encoding="ascii") as stream:
                text = stream.read()
            with open(config, "w", encoding="ascii") as stream:
                stream.write(text.replace(os.path.join(servers.APPS, "matrix.py"),
                                          os.path.join(STACKS, "truth_app.py"))
                             .replace(servers.APPS, STACKS)
                             .replace("python-path=", "python-path=%s:" % STACKS)
                             .replace("WSGIPythonPath ", "WSGIPythonPath %s:" % STACKS))
        return [part.replace("matrix:", "truth_app:") for part in command]


@pytest.fixture(scope="module")
def stacklog(wsgiscope):
    program = os.path.join(os.path.dirname(wsgiscope), "tests/stacks/stacklog")
    if not os.path.exists(program):
        pytest.skip("%s is not built (make stacklog)" % program)
    return program


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    need_server(request.param)
    with TruthServer(request.param) as running:
        yield running


def test_truth(server, stacklog):
    """Shares of time, names and lines."""
    log, answers = truth.measure(stacklog, server.address, server.pid, HZ, SECONDS, clients=2)
    faults = list(truth.faults(log, answers, POINTS))
    assert not faults, "%d faults:\n%s" % (len(faults), "\n".join(faults[:10]))


def test_waits(server, stacklog):
    """How long requests waited, in which function, for what."""
    log, answers = truth.measure(stacklog, server.address, server.pid, HZ, SECONDS / 2,
                                 ["off-cpu"], ways="waits")
    assert not [s for s in log.samples if s["what"] == truth.SAMPLE_CPU]
    found = truth.waits_of(log)
    walls = collections.Counter()
    for answer in answers:
        walls[answer["way"]] += answer["wall_ns"] / 1e6
    by_state = collections.Counter()
    for (function, state, _), ms in found.items():
        by_state[function, state] += ms
    for way, state in (("wait_sleep", "sleep"), ("wait_lock", "lock"),
                       ("wait_socket", "socket_read")):
        waited = by_state[way, state]
        # The rest is running, and what it takes to come to the wait.
        assert 0.7 * walls[way] < waited < 1.01 * walls[way], (way, walls, by_state)
    ports = {answer.get("port") for answer in answers}
    told = [(key, ms) for key, ms in found.items() if key[0] == "wait_socket" and
            key[1] == "socket_read"]
    assert sum(ms for key, ms in told if key[2] in ports) > 0.9 * sum(ms for _, ms in told)


def test_wall_is_all(server, stacklog):
    """What runs and what waits adds up to the requests' time."""
    log, _ = truth.measure(stacklog, server.address, server.pid, HZ, SECONDS / 2, ["wall"],
                           ways="waits")
    taken = sum(sample["weight"] for sample in log.samples if sample["id"])
    whole = sum(row["ns"] for row in log.requests)
    assert abs(taken - whole) < 0.05 * whole, (taken / 1e6, whole / 1e6)


def test_nothing_is_left(server, stacklog):
    """No clock ticks on when nobody listens, and the worker goes on."""
    log, _ = truth.measure(stacklog, server.address, server.pid, 99, 1, ["wall", "native"])
    assert log.samples
    assert truth.ask(server.address, "/none/x")
    assert all(procs.alive(pid) for pid in server.workers())


def test_short_lived_workers(wsgiscope, stacklog):
    """Workers that end after a few requests take hardly a name with them."""
    need_server("gunicorn-sync")
    with TruthServer("gunicorn-sync", ["--max-requests", "5"]) as server:
        log, answers = truth.measure(stacklog, server.address, server.pid, HZ, SECONDS, clients=2)
    samples = truth.in_requests(log)
    assert len({sample["pid"] for sample in samples}) > 5
    assert not log.counters["ring_full"]
    unknown = sum(None in log.stack(sample) for sample in samples)
    assert unknown <= 0.002 * len(samples), (unknown, len(samples), log.counters)
    # What is lost is counted.
    assert log.counters["code_lost"] or not unknown
    assert not list(truth.line_faults(log, answers))


def test_freed_code(stacklog):
    """Code that is made and freed all the time, at the same places, is named as what it was."""
    log, spans = truth.hammer(stacklog, [servers.PYTHON], HZ, SECONDS, 0.002)
    found = truth.hammer_frames(log, spans)
    assert found["right"] > 500, found
    assert not found["wrong"] and not found["line"] and not found["unknown"], (found, log.counters)


NAP = """
import sys, time
def nap(seconds):
    time.sleep(seconds)
nap(0.01)
print("ready", flush=True)
sys.stdin.readline()
nap(0.01)
nap(600)
"""


def test_a_wait_that_goes_on(stacklog):
    """A wait whose end the run does not see has its time until then."""
    napper = subprocess.Popen([servers.PYTHON, "-c", NAP], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert napper.stdout.readline() == "ready\n"
        process = truth.stacklog(stacklog, napper.pid, 99, 60, "off-cpu")
        begin = time.monotonic()
        napper.stdin.write("\n")
        napper.stdin.flush()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        whole_ms = (time.monotonic() - begin) * 1e3
    finally:
        napper.kill()
        napper.communicate()
    log = truth.Log(out.splitlines())
    naps = [(truth.STATES[sample["state"]], sample["weight"] / 1e6) for sample in log.samples
            if "nap" in [frame and frame[0] for frame in log.stack(sample)]]
    sleeps = sorted(ms for state, ms in naps if state == "sleep")
    assert len(sleeps) == 2, naps
    assert 9 < sleeps[0] < 500 and 500 < sleeps[1] <= whole_ms - 10, (naps, whole_ms)


def test_another_namespace(wsgiscope, stacklog):
    """A server in PID and mount namespaces of its own."""
    need_server("gunicorn-gthread")
    prefix = [servers.UNSHARE, "--pid", "--fork", "--kill-child", "--mount-proc"]
    with TruthServer("gunicorn-gthread", prefix=prefix) as server:
        log, answers = truth.measure(stacklog, server.address, server.pid, HZ, SECONDS)
    faults = list(truth.faults(log, answers, POINTS))
    assert not faults, "%d faults:\n%s" % (len(faults), "\n".join(faults[:10]))
