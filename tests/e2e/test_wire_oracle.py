# SPDX-License-Identifier: BSD-2-Clause
"""Wire mode and a test set that nobody here wrote: the heads of h11's own tests (Debian:
python3-h11), sent to real workers. What the client saw is what wire mode says; where the server
called the application, the path is that which the application got."""
import datetime
import json
import os
import re
import subprocess
import sys
import time

import pytest

import client
from conversation import answers, converse
from servers import ROOT, Server
from tracer import Tracer

WIRE = os.path.join(ROOT, "tests/wire")
KINDS = ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "waitress", "mod_wsgi-embedded", "wsgiref"]

# Targets that servers make paths of in their own ways.
TARGETS = [
    b"/a%20b/caf%C3%A9?q=/x#y", b"//a//b", b"/a/./b/../c", b"/a/../../b/..", b"/%2e%2e/a/%2E",
    b"http://host/abs/path?q", b"http://host:80//abs", b"*", b"/a#frag?q", b"/a?q#frag",
    b"/%zz/%4/%", b"/%41%zz", b"/a+b;c=d,e", b"/\xc3\xa9\xff", b"/%25%32%35", b"/a%00b", b"/a%2Fb",
    b"/" + b"long/" * 60, b"/" + b"%41" * 100, b"/...", b"/.a/..b", b"/a%0d%0ab", b"/a?",
    b"/caf%C3%A9" * 20,
]


@pytest.fixture(scope="session")
def h11_cases():
    """What h11's tests have it read."""
    pytest.importorskip("h11")
    run = subprocess.run([sys.executable, os.path.join(WIRE, "h11_cases.py")],
                         capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def messages(cases, kind):
    """What h11 read to its end, with the body that it is to have, and what it refused."""
    for case in cases:
        data = bytes.fromhex(case["bytes"])
        if case["kind"] != kind or case["verdict"] == "more":
            continue
        if case["verdict"] == "read":
            data = data[:case["used"]]
            if case.get("framing") == "chunked":
                data += b"0\r\n\r\n"
            elif case.get("framing") == "content-length":
                data += b"b" * case["length"]
        yield data


class Exchange:
    """One connection: what the client sent and got, and when. told: the records of that time."""

    def __init__(self, server, data):
        self.data = data
        time.sleep(0.01)  # so that no two are of one time
        self.begun = time.time()
        # As to GET: some answer HEAD with a body.
        self.raw, _ = converse(server.address, [data], ["GET"], quiet=0.3)
        self.ended = time.time()
        self.told = []

    def statuses(self):
        """Of all that was answered to what may have been several requests."""
        status_line = re.compile(rb"^HTTP/1\.[01] ([2-5]\d\d)[ \r]", re.M)
        return [int(status) for status in status_line.findall(self.raw)]


def seconds_of(record):
    stamp = datetime.datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return stamp.replace(tzinfo=datetime.timezone.utc).timestamp()


def records_of(tracer, server):
    """All records, in the order of their times, once the last request's is there."""
    last = client.Request("list", 1, 10)
    client.fetch(server.address, last)
    assert last.uid in tracer.wait([last.uid])
    assert tracer.stop() == 0, tracer.stderr()
    return [record for record in sorted(tracer.records(), key=lambda record: record["time"])
            if last.uid not in record["path"]]


@pytest.mark.parametrize("kind", KINDS)
def test_requests(kind, h11_cases, pool, wsgiscope):
    """What was answered is told, with its status and all its bytes."""
    server = pool(kind, "plain")
    with Tracer("--mode", "wire", "-p", server.pid) as tracer:
        exchanges = [Exchange(server, data)
                     for data in dict.fromkeys(messages(h11_cases, "R"))]
        records = records_of(tracer, server)
    for record in records:
        found = [each for each in exchanges
                 if each.begun - 0.002 <= seconds_of(record) <= each.ended + 0.002]
        assert len(found) == 1, record
        found[0].told.append(record)
    foreign = tracer.lost_requests()
    for each in exchanges:
        told = [record["wire_status"] for record in each.told if record["wire_status"]]
        written = sum(record["write_bytes"] or 0 for record in each.told)
        if each.raw and not each.told and foreign:
            foreign -= 1
            continue
        assert told == each.statuses(), (each.data, each.raw, each.told)
        assert written == len(each.raw), (each.data, each.raw, each.told)
    assert sum(bool(each.told) for each in exchanges) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_paths(kind, pool, wsgiscope):
    """Every request of which the application was told: the same method and path in both modes."""
    server = pool(kind, "marked")
    sent = [b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            for target in TARGETS]
    if kind == "uwsgi":  # makes a NUL of a code that is none, and eats what follows
        sent = [data for data in sent if b"%zz" not in data]
    with Tracer("--mode", "wire", "-p", server.pid) as one, \
            Tracer("--mode", "marker", "-p", server.pid) as other:
        for data in sent:
            converse(server.address, [data], quiet=0.3)
        marker, wire = records_of(other, server), records_of(one, server)
    assert len(marker) >= 10
    paths = [(record["method"], record["path"]) for record in wire]
    at = 0
    for record in marker:
        expected = record["method"], record["path"]
        assert expected in paths[at:], (expected, paths[at:])
        at += paths[at:].index(expected) + 1


def test_responses(h11_cases, wsgiscope):
    """The response heads of h11's tests, written by a worker of gunicorn as they are."""
    sent = []
    with Server("gunicorn-sync", "plain") as server:
        with Tracer("--mode", "wire", "-p", server.pid) as tracer:
            for raw in messages(h11_cases, "A"):
                request = client.Request("raw", headers=[("X-Raw", raw.hex())])
                got, _ = converse(server.address, [request.encode()], quiet=0.4)
                sent.append((request, raw, got))
            records = tracer.wait([request.uid for request, _, _ in sent])
            assert tracer.stop() == 0, tracer.stderr()
    assert len(sent) > 10
    for request, raw, got in sent:
        assert got == raw, (got, raw)
        record, found = records[request.uid], answers(raw, ["GET"])
        assert record["write_bytes"] == len(raw), (record, raw)
        if found:
            assert record["wire_status"] == found[0].status, (record, raw)
