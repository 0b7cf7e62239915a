# SPDX-License-Identifier: BSD-2-Clause
"""Tracers that come and go, and tracers that are killed, while servers are under load: no request
is lost or changed, no worker dies, and of a thousand tracers nothing is left in the kernel. Some
are there at once: most of what one takes is the kernel's waiting until nobody runs its programs.

STORM_ATTACHES (20) and STORM_KILLS (8) say how many, over all servers; `make attach-storm` has
1,000 and 200."""
import concurrent.futures
import os
import signal
import threading
import time

import pytest

import client
import kernel
import marks
import procs
from test_hostile_tracers import MIX, mix, untraced
from tracer import Tracer, loaded_programs, probes

pytestmark = pytest.mark.unnoticed

ATTACHES = int(os.environ.get("STORM_ATTACHES", "20"))
KILLS = int(os.environ.get("STORM_KILLS", "8"))
AT_ONCE = 5
PAUSE_S = 0.02
PINS = "/sys/fs/bpf"
SERVERS = ["gunicorn-gthread", "uwsgi", "waitress", "mod_wsgi-daemon"]


class Load:
    """Mixed requests at a server, from two clients, until close(). Its answers are those that came
    before any tracer; .done is how many did."""

    def __init__(self, server):
        self.server = server
        self.chunks = not server.kind.framing
        self.expected = untraced(server, self.chunks)
        self.wrong, self.done = [], 0
        self.closing = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.closing.wait(PAUSE_S):
            for request in mix(len(MIX)):
                way = request.target.split("/")[1]
                try:
                    answer = client.fetch(self.server.address, request).normal(self.chunks)
                except OSError as error:
                    answer = error
                if answer != self.expected[way]:
                    self.wrong.append((request.target, answer))
                self.done += 1

    def close(self):
        self.closing.set()
        for thread in self.threads:
            thread.join()


class Remains:
    """What tracers have put into the kernel, and what of it is still there."""

    def __init__(self):
        self.pids, self.programs, self.maps = [], set(), set()
        self.pins = self.pinned()
        self.lock = threading.Lock()

    @staticmethod
    def pinned():
        return {os.path.join(folder, name) for folder, _, names in os.walk(PINS)
                for name in names if "wsgiscope" in name}

    def note(self, tracer):
        maps = kernel.map_ids(tracer.pid)
        with self.lock:
            self.pids.append(tracer.pid)
            self.programs |= tracer.programs
            self.maps |= maps

    def left(self):
        found = {"probes": set().union(*map(probes, self.pids)),
                 "programs": self.programs & loaded_programs(),
                 "maps": self.maps & kernel.all_maps(), "pins": self.pinned() - self.pins}
        return {name: what for name, what in found.items() if what}

    def check(self):
        """What the kernel takes apart only when nobody runs it any more may take its time."""
        assert self.pids and self.programs and self.maps
        procs.until(lambda: not self.left(), 60, 0.5)
        assert not self.left()


@pytest.fixture(params=SERVERS)
def stormy(pool, wsgiscope, request):
    """A server under load; afterwards it is as it was, and has answered everything."""
    server = pool(request.param)
    workers = server.workers()
    load = Load(server)
    try:
        yield server, load
    finally:
        load.close()
    assert not load.wrong, (len(load.wrong), load.done, load.wrong[:3])
    assert server.workers() == workers
    assert procs.until(lambda: not any(map(marks.raised, workers)), 5)


def during(load, count):
    """Until so many more requests were answered."""
    wanted = load.done + count
    assert procs.until(lambda: load.done >= wanted, 60, 0.002)


def repeat(function, count):
    """So often, some at once; what one of them raises is raised, and no further one begun."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for each in [pool.submit(function, index) for index in range(count)]:
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def test_they_come_and_go(stormy):
    server, load = stormy
    remains = Remains()

    def one(index):
        with Tracer("-p", server.pid, wait=False) as tracer:
            tracer.wait_for_attach()
            remains.note(tracer)
            during(load, 4)
            assert tracer.stop(seconds=30) == 0, tracer.stderr()
            shown = [record["path"] for record in tracer.records()]
            assert shown and len(shown) == len(set(shown)), tracer.stderr()
            assert tracer.lost_requests() == tracer.losses().get("in_flight", 0)

    repeat(one, ATTACHES // len(SERVERS))
    remains.check()


def test_they_are_killed(stormy):
    """At any moment, from the first on; what they left in the kernel is taken away, though nobody
    of theirs has had a chance to."""
    server, load = stormy
    remains = Remains()

    def one(index):
        with Tracer("-p", server.pid, wait=False) as tracer:
            if index % 2:
                remains.pids.append(tracer.pid)
                time.sleep(index % 40 * 0.01)
            else:
                tracer.wait_for_attach()
                remains.note(tracer)
                during(load, index % 5)
            assert tracer.stop(signal.SIGKILL, 30) == -signal.SIGKILL

    repeat(one, -(-KILLS // len(SERVERS)))
    remains.check()
