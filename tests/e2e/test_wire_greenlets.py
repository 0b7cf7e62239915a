# SPDX-License-Identifier: BSD-2-Clause
"""Many greenlets on one thread, by the wire: interleaved requests, each on its connection, never
mix. States only where a request had the thread for itself."""
import datetime
import os
import random
import threading

import pytest

import servers
from client import Connection, Request, fetch
from test_wire import check as check_record
from tracer import Tracer

CLIENTS = 8
EACH = 15  # requests


def command_gunicorn(server):
    return servers.command_gunicorn(server, "--worker-class", "gevent", "--workers", "1")


def command_script(name):
    path = os.path.join(servers.APPS, "greenlet-server.py")
    return lambda server: [servers.PYTHON, path, name, *server.bind.split(":")]


# like: whose facts of servers.KINDS hold.
COMMANDS = {"gunicorn-gevent": command_gunicorn, "gevent-pywsgi": command_script("gevent"),
            "eventlet-wsgi": command_script("eventlet")}
LIKE = {"gunicorn-gevent": "gunicorn-sync"}


class GreenletServer(servers.Server):
    def __init__(self, name):
        super().__init__(LIKE.get(name, "wsgiref"), "marked")
        self.kind = self.kind._replace(name=name, command=COMMANDS[name], workers=1)

    def workers(self):
        master = self.pid if self.kind.name in LIKE else None
        return [pid for pid in super().workers() if pid != master]


@pytest.fixture(scope="module", params=COMMANDS)
def server(request, wsgiscope):
    pytest.importorskip("gevent", reason="apt-get install python3-gevent")
    pytest.importorskip("eventlet", reason="apt-get install python3-eventlet")
    with GreenletServer(request.param) as running:
        yield running


class Client(threading.Thread):
    """Mixed requests, most on connections that are kept: they sleep, so that others run."""

    def __init__(self, address, seed):
        super().__init__()
        self.address = address
        self.chance = random.Random(seed)
        self.responses = []

    def next_request(self, keep):
        way, count, size, body = self.chance.choice([
            ("slow", 1, 100, None), ("stream", 4, 300, None), ("list", 2, 2000, None),
            ("chunks", 3, 50, None), ("echo", 1, 1, b"e" * self.chance.choice((10, 70_000)))])
        return Request(way, count, size, keep=keep, body=body, method="POST" if body else "GET")

    def run(self):
        while len(self.responses) < EACH:
            if self.chance.random() < 0.2:
                self.responses.append(fetch(self.address, self.next_request(False)))
                continue
            with Connection(self.address) as connection:
                for _ in range(self.chance.randint(1, 8)):
                    self.responses.append(connection.fetch(self.next_request(True)))


def run_clients(address):
    """What all clients got, one after the other."""
    clients = [Client(address, seed) for seed in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    responses = [response for each in clients for response in each.responses]
    assert len(responses) >= CLIENTS * EACH
    return responses


def check(record, response, server):
    check_record(record, response, server.kind._replace(record=record["server"]))
    assert record["pid"] in server.workers()
    assert record["outcome"] == "ok", record
    least = {"slow": 50, "stream": 12}.get(response.request.way, 0)
    # The client may have it all before the server is back from its last write.
    waited = (response.done_ns - response.sent_ns) / 1e6 + record["write_ms"]
    assert least - 1 < record["application_ms"] < waited + 1, (record, waited)


def span(record):
    """From when to when, in seconds."""
    start = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00")).timestamp()
    return start, start + record["application_ms"] / 1e3


def test_interleaved(server):
    with Tracer("-p", server.pid, "--mode", "wire") as tracer, \
            Tracer("-p", server.pid, "--mode", "marker") as marker:
        responses = run_clients(server.address)
        uids = [response.uid for response in responses]
        records, marked = tracer.wait(uids), marker.wait(uids)
        assert tracer.stop() == 0, tracer.stderr()
    assert records.keys() == marked.keys() == set(uids), tracer.stderr()
    assert len(tracer.records()) == len(responses), "split or merged"
    assert not tracer.losses(), tracer.stderr()
    starts = sorted(span(record)[0] for record in records.values())
    for response in responses:
        record, other = records[response.uid], marked[response.uid]
        check(record, response, server)
        for key in ("pid", "method", "path", "wire_status", "write_bytes"):
            assert other[key] is None or record[key] == other[key], (key, record, other)
        start, end = span(record)
        shared = [each for each in starts if start + 0.001 < each < end - 0.001]
        assert not shared or record["states_ms"] is None, (record, shared)
    mixed = [record for record in records.values() if "states_mixed" in record["notes"]]
    assert len(mixed) > len(responses) / 4, "nothing was interleaved"


def test_one_after_the_other(server):
    """Each has the thread for itself, states and all."""
    with Tracer("-p", server.pid, "--mode", "wire") as tracer:
        responses = [fetch(server.address, Request("slow", 1, 100)) for _ in range(5)]
        records = tracer.wait([response.uid for response in responses])
    for response in responses:
        record = records[response.uid]
        check(record, response, server)
        states = record["states_ms"]
        assert states, record
        assert abs(sum(ms or 0 for ms in states.values()) - record["application_ms"]) < 0.1
