# SPDX-License-Identifier: BSD-2-Clause
"""A traced program is never changed: with the tracer absent, there, coming and going, or killed
during the load, every client gets the bytes that the unmarked application gives, the workers
live on, log no new error, and nothing stays in the kernel."""
import collections
import re
import signal
import threading
import time

import pytest

import client
import procs
import servers
from cases import CASES, requests
from tracer import Tracer

pytestmark = pytest.mark.unnoticed

REPEAT = 2
SENT_ROUNDS = 3

# Its bytes name the worker or depend on it.
COMPARED = list(CASES)


def errors(log):
    """What a log says went wrong, comparable between two servers: the exceptions and what looks
    like the end of a process. Threads may write into each other's lines, so not whole lines."""
    found = collections.Counter()
    for line in log.splitlines():
        match = re.search(r"([A-Z]\w*(?:Error|Exception)|Boom): .*|\bBoom\b.*|.*(segfault|CRITICAL|"
                          r"Segmentation|core dumped|exit signal|:emerg|:crit|died|[Uu]nhandled "
                          r"object|Fatal Python|SystemExit).*", line)
        if match:
            text = re.sub(r"^(\[[^]]*\] )+|\[(pid|remote|client) [^]]*\] |\(pid=\d+\)", "",
                          match.group(0))
            found[re.sub(r"/u[0-9a-f]{15}|0x[0-9a-f]+|\d+", "#", text)] += 1
    return found


class Reference:
    """The unmarked application's answers on one server, and what the server logged for them."""

    def __init__(self, kind):
        with servers.Server(kind, "plain") as server:
            before = len(server.log())
            sent = requests(1)
            self.responses = {label: client.fetch(server.address, each)
                              for label, each in sent}
            time.sleep(0.1)
            self.errors = errors(server.log()[before:])
        self.kind = servers.KINDS[kind]

    def check(self, label, response):
        chunks = not self.kind.framing
        assert response.normal(chunks) == self.responses[label].normal(chunks), (
            "%s on %s differs" % (label, self.kind.name))

    def check_log(self, log, rounds):
        """No line more than `rounds` times what the unmarked application causes."""
        new = {line: count for line, count in errors(log).items()
               if count > rounds * self.errors[line]}
        assert not new, new


@pytest.fixture(scope="module", params=servers.KINDS)
def reference(request):
    from conftest import need_server
    need_server(request.param)
    return Reference(request.param)


@pytest.fixture
def server(reference, pool, marker):
    return pool(reference.kind.name, "marked")


class Watch:
    """Around a load: the same workers before and after, and the log's new part."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.workers = self.server.workers()
        self.start = len(self.server.log())
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.server.workers() == self.workers

    def log(self):
        return self.server.log()[self.start:]


def send(server, reference, rounds):
    """All ways, `rounds` times, by four clients; every answer compared."""
    sent = requests(rounds, COMPARED)
    responses = client.load(server.address, [each for _, each in sent])
    for (label, _), response in zip(sent, responses):
        reference.check(label, response)
    return sent


def send_during(server, reference, act):
    """Load while act() does something to a tracer; the rounds sent and act()'s result."""
    done = threading.Event()
    rounds = []
    failures = []

    def work():
        try:
            while not done.is_set() or not rounds:
                send(server, reference, 1)
                rounds.append(1)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        act()
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]
    return len(rounds)


def test_absent(server, reference):
    with Watch(server) as watch:
        send(server, reference, REPEAT)
    reference.check_log(watch.log(), REPEAT)


def test_attached_before(server, reference, wsgiscope):
    with Watch(server) as watch, Tracer("-p", server.pid) as tracer:
        sent = send(server, reference, REPEAT)
        records = tracer.wait([each.uid for _, each in sent])
        assert tracer.stop() == 0, tracer.stderr()
        assert len(records) + tracer.lost_requests() == len(sent)
        assert not tracer.left_behind()
    reference.check_log(watch.log(), REPEAT)


def test_attached_and_detached_during(server, reference, wsgiscope):
    def act():
        for _ in range(2):
            with Tracer("-p", server.pid) as tracer:
                assert procs.until(tracer.records, 10), "no record during the load"
                assert tracer.stop() == 0, tracer.stderr()
                assert not tracer.left_behind()

    with Watch(server) as watch:
        rounds = send_during(server, reference, act)
    reference.check_log(watch.log(), rounds)


def test_killed_during(server, reference, wsgiscope):
    def act():
        with Tracer("-p", server.pid) as tracer:
            assert procs.until(tracer.records, 10), "no record during the load"
            assert tracer.stop(signal.SIGKILL) == -signal.SIGKILL
            assert not tracer.left_behind(), "left by a killed tracer"

    with Watch(server) as watch:
        rounds = send_during(server, reference, act)
        send(server, reference, 1)
    reference.check_log(watch.log(), rounds + 1)


@pytest.mark.alone  # a tracer of all processes raises them
def test_semaphores_are_down(server, reference, wsgiscope):
    """After all that no worker thinks it is traced: it calls straight through."""
    import marks
    assert procs.until(lambda: not any(marks.raised(pid) for pid in server.workers()), 5)
