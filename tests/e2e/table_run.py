# SPDX-License-Identifier: BSD-2-Clause
"""What the table of doc/servers.md is measured by: one start of a server, all its requests before
two tracers at once, one that hears the marker and one that sees only the sockets.

Knows nothing of what is true of a server: checks.py does."""
import collections
import re
import time

import client
from test_identity import system_calls
from tracer import Tracer

# A request of a label: what the client sent and got, what each tracer said, what the reference did.
Asked = collections.namedtuple("Asked", "request response marker wire oracle")

# Ways of matrix.py, a few requests each.
CASES = {
    "list": dict(way="list", count=3, size=100),
    "big": dict(way="list", count=2, size=200_000),
    "one": dict(way="chunks", count=1, size=100),
    "gen": dict(way="gen", count=5, size=100),
    "gen-many": dict(way="gen", count=300, size=16),
    "closing": dict(way="closing", count=3, size=100),
    "write": dict(way="write", count=3, size=100),
    "nothing": dict(way="nothing"),
    "not-found": dict(way="not_found", size=100),
    "raise-call": dict(way="raise_call"),
    "raise-later": dict(way="raise_later", count=2, size=100),
    "routed": dict(way="routed", count=2, size=100),
    "utf8": dict(way="list", extra="caf%C3%A9%E4%BD%A0"),
    "echo": dict(way="echo", method="POST", body=b"what the client sent\n" * 10),
    "nap": dict(way="slow", count=2, size=100),
    "file": dict(way="file"),
}
REPEAT = 3
# 16 MB in 4 blocks through a small receive buffer.
SLOW = dict(way="gen", count=4, size=4_000_000)
SLOW_RCVBUF = 16384
SLOW_PACE = (2_000_000, 0.04)
INTERLEAVED = 3
QUEUED_S = 0.25
BODY_PAUSE_S = 0.25


class Run:
    """asked: {label: [Asked]}. first: the marker's records of the first requests, up to one of
    which the writes are known. sent_by_sendfile: bytes of a file; None: not looked at."""

    def __init__(self, asked, first, sent_by_sendfile):
        self.asked = asked
        self.first = first
        self.sent_by_sendfile = sent_by_sendfile

    def of(self, *labels):
        return [each for label in labels for each in self.asked[label]]


def ask_slowly(server):
    request = client.Request(**SLOW)
    return request, client.fetch(server.address, request, SLOW_RCVBUF, SLOW_PACE)


def ask_body_late(server):
    """The client itself takes its time over the request's body."""
    request = client.Request("echo", method="POST", body=b"b" * 2000)
    data = request.encode()
    with client.connect(server.address) as sock:
        sent_ns = time.monotonic_ns()
        sock.sendall(data[:-1000])
        time.sleep(BODY_PAUSE_S)
        sock.sendall(data[-1000:])
        raw = client.receive_rest(sock)
    return request, client.Response(request, raw, sent_ns, time.monotonic_ns())


def ask_queued(server):
    """A front end says that it has had the request for a while, reckoned from now."""
    now_ns = time.monotonic_ns()
    start = time.time() - QUEUED_S
    request = client.Request("list", headers=[("X-Request-Start", "t=%.6f" % start)])
    response = client.fetch(server.address, request)
    response.sent_ns = now_ns
    return request, response


def ask_together(server):
    """As many at once as say so; they sleep between their blocks."""
    sent = [client.Request("stream", 4 + index, 100 + index) for index in range(INTERLEAVED)]
    return list(zip(sent, client.load(server.address, sent, threads=INTERLEAVED)))


def ask_case(server, label):
    """A server may leave the client waiting where the application raises, as Tornado 6.6 does: it
    has got nothing then."""
    request = client.Request(**CASES[label])
    sent_ns = time.monotonic_ns()
    try:
        return request, client.fetch(server.address, request,
                                     timeout=3 if label.startswith("raise") else 30)
    except TimeoutError:
        assert label.startswith("raise"), request.target
        return request, client.Response(request, b"", sent_ns, time.monotonic_ns())


def ask_all(server):
    """{label: [(request, response)]}"""
    asked = {label: [] for label in CASES}
    for _ in range(REPEAT):
        for label in CASES:
            asked[label].append(ask_case(server, label))
    asked["slow"] = [ask_slowly(server) for _ in range(2)]
    asked["body-late"] = [ask_body_late(server)]
    asked["queued"] = [ask_queued(server)]
    asked["together"] = ask_together(server)
    return asked


def of_workers(server, tracer):
    """{uid: record} of what runs the application: a router before it may have some, too."""
    return {record["path"].rsplit("/", 1)[-1]: record for record in tracer.records()
            if record["pid"] in server.serving and record["path"]}


def sent_by_sendfile(server):
    """Of a file, while the tracers look on."""
    calls = system_calls(server, "sendfile",
                         lambda: client.fetch(server.address, client.Request("file")))
    return sum(map(int, re.findall(r"sendfile.*\) = (\d+)", calls)))


def warm_up(server, marker):
    """Asks until a request's writes are known: the records."""
    records = []
    while len(records) < 20 and not (records and records[-1]["write_bytes"]):
        request = client.Request("list")
        client.fetch(server.address, request)
        records.append(marker.wait([request.uid])[request.uid])
    return records


def measure(server, sendfile=False):
    """Runs it all; a record that is not there is None. sendfile: look at system calls, too."""
    with Tracer("--mode", "marker", "-p", server.pid, wait=False) as marker, \
            Tracer("--mode", "wire", "-p", server.pid, wait=False) as wire:
        for tracer in (marker, wire):
            tracer.wait_for_attach()
        first = warm_up(server, marker)
        asked = ask_all(server)
        uids = [request.uid for pairs in asked.values() for request, _ in pairs]
        for tracer in (marker, wire):
            tracer.wait(uids, 6)
        reference = dict(zip(uids, server.oracle.wait(uids)))
        sent = sent_by_sendfile(server) if sendfile else None
        for tracer in (marker, wire):
            assert tracer.stop() == 0, tracer.stderr()
    said = [of_workers(server, tracer) for tracer in (marker, wire)]
    return Run({
        label: [Asked(request, response, said[0].get(request.uid), said[1].get(request.uid),
                      reference[request.uid]) for request, response in pairs]
        for label, pairs in asked.items()}, first, sent)
