# SPDX-License-Identifier: BSD-2-Clause
"""Tracers in trouble: a ring that is too small, no room for what is in flight, a
standstill of its own, another tracer. What it shows and what it says it lost are all that a client
counted; the worker's answers are those of an untraced one."""
import os
import signal
import threading
import time

import pytest

import client
import procs
from daemon import Daemon
from test_hostile_workers import check_sum
from test_workers import fresh
from tracer import Tracer

MIX = ["list", "gen", "closing", "write", "not-found", "raise-first", "chunks", "sized"]


def mix(count):
    return [client.Request(MIX[index % len(MIX)], 2, 200) for index in range(count)]


def untraced(server, chunks=True):
    """{way: its normal response}; chunks False: without them, where the server cuts as it comes."""
    sent = mix(len(MIX))
    return {each.target.split("/")[1]: answer.normal(chunks)
            for each, answer in zip(sent, client.load(server.address, sent))}


def ask(server, expected, count, threads=4):
    """The uids of so many requests, all answered as if nobody looked."""
    sent = mix(count)
    for each, answer in zip(sent, client.load(server.address, sent, threads)):
        assert answer.normal() == expected[each.target.split("/")[1]], each.target
    return {each.uid for each in sent}


@pytest.fixture(scope="module")
def server(pool, wsgiscope):
    return pool("gunicorn-gthread")


@pytest.fixture(scope="module")
def expected(server):
    return untraced(server)


@pytest.mark.parametrize("size", ["4096", "16k"])
def test_tiny_ring(server, expected, size):
    """Room for six records, of which the tracer takes none while it stands still; then it goes on,
    and loses nothing more."""
    with Tracer("-p", server.pid, "--ring-size", size) as tracer:
        os.kill(tracer.pid, signal.SIGSTOP)
        try:
            uids = ask(server, expected, 120)
        finally:
            os.kill(tracer.pid, signal.SIGCONT)
        later = client.Request("list")
        assert procs.until(lambda: not ring_waits(tracer), 5)
        client.fetch(server.address, later)
        assert tracer.wait([later.uid])
        check_sum(tracer, uids | {later.uid})
        assert size != "4096" or tracer.losses()["ring_full"] > 0


def ring_waits(tracer):
    """It is still reading what came while it stood still."""
    before = len(tracer.records())
    time.sleep(0.3)
    return len(tracer.records()) != before


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_stopped_under_load(server, expected, seconds):
    """What the ring has no room for is counted; the worker waits for nobody."""
    with Tracer("-p", server.pid, "--ring-size", "64k") as tracer:
        os.kill(tracer.pid, signal.SIGSTOP)
        uids = set()
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                uids |= ask(server, expected, 80)
        finally:
            os.kill(tracer.pid, signal.SIGCONT)
        uids |= ask(server, expected, 40)
        assert procs.until(lambda: not ring_waits(tracer), 5)
        check_sum(tracer, uids)


def test_stopped_daemon_with_a_roomy_ring(server, expected):
    """Nothing is lost where the ring holds it all."""
    with Daemon("-p", server.pid) as daemon:
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            uids = ask(server, expected, 400)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert daemon.wait_total(len(uids), "wsgi_requests_total") == len(uids)
        assert daemon.total("wsgiscope_dropped_total") == 0


def test_no_room_in_flight(wsgiscope):
    """More at once than may be in flight: the rest is shown from its end, none is lost or shown
    twice; what has not ended with the trace is counted."""
    with fresh("waitress", options=["--threads=40"]) as server, \
            Tracer("-p", server.pid, "--max-in-flight", "16") as tracer:
        slow = [client.Request("slow") for _ in range(120)]
        answers = client.load(server.address, slow, threads=40)
        assert {answer.status for answer in answers} == {200}
        held = [client.Request("hang", 1, 100) for _ in range(24)]
        socks = [client.connect(server.address) for _ in held]
        try:
            for sock, request in zip(socks, held):
                sock.sendall(request.encode())
                assert sock.recv(100)
            procs.until(lambda: len(tracer.records()) >= len(slow), 5)
            check_sum(tracer, {each.uid for each in slow + held})
            assert tracer.losses()["no_start"] > 0
            assert tracer.losses()["in_flight"] == len(held)
        finally:
            for sock in socks:
                sock.close()
            os.kill(server.pid, signal.SIGKILL)  # the hanging threads would keep it for a minute


def test_two_at_once(server, expected):
    """Two tracers and a daemon on one server, that come and go under load: each counts all that
    was asked while it was there."""
    with Daemon("-p", server.pid) as daemon:
        uids = ask(server, expected, 40)
        with Tracer("-p", server.pid) as first:
            mine = ask(server, expected, 80)
            with Tracer("-p", server.pid) as second:
                both = ask(server, expected, 80)
                check_sum(second, both)
            last = ask(server, expected, 40)
            check_sum(first, mine | both | last)
        everything = uids | mine | both | last
        counted = daemon.wait_total(len(everything), "wsgi_requests_total")
        assert counted + daemon.total("wsgiscope_dropped_total") == len(everything)


def test_they_come_and_go_in_requests(server, expected):
    """A tracer begins and ends in the middle of requests: of each it has one record, or one loss,
    or it saw nothing of it."""
    stop = threading.Event()
    uids = set()

    def load():
        while not stop.is_set():
            uids.update(ask(server, expected, 16, threads=2))

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for _ in range(3):
            with Tracer("-p", server.pid, "-d", "0.4") as tracer:
                assert tracer.process.wait(10) == 0
                shown = [record["path"].rsplit("/", 1)[-1] for record in tracer.records()]
                assert len(shown) == len(set(shown))
                assert not tracer.left_behind()
    finally:
        stop.set()
        loader.join()
    assert uids
