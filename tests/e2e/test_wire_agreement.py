# SPDX-License-Identifier: BSD-2-Clause
"""The wire against the marker, on the same workers at the same time; and both against what the
client counted, under a load of mixed keep-alive requests: none lost, split or merged."""
import collections
import datetime
import random
import threading

import pytest

import procs
import servers
from client import Connection, Request, fetch
from tracer import Tracer

pytestmark = pytest.mark.alone

SAME_THREAD = {"gunicorn-sync", "gunicorn-gthread", "uwsgi", "wsgiref", "mod_wsgi-embedded"}
# The ways whose answer the marker and the wire see end at the same write.
WAYS = [("list", 3, 100, 8), ("chunks", 3, 100, 8), ("gen", 5, 100, 4), ("slow", 2, 100, 4),
        ("stream", 5, 100, 4), ("not_found", 1, 10, 2), ("nothing", 1, 1, 2), ("file", 1, 1, 2),
        ("list", 2, 400_000, 2), ("raise_call", 1, 1, 2)]
# Between the read and the call of the application, and after its end, a server does little.
TIME_MS, TIME_SHARE = 1.0, 0.02
# The answer is the server's own, which it makes after the application's end.
OTHER_END = {"raise_call"}


def own_ms(record):
    """The time without that in which the thread could have run and had no CPU: where a machine has
    more to do, or less than it seems to have, either mode may see more than the other."""
    return record["application_ms"] - record["states_ms"]["runnable"]


def times_agree(wire, marker):
    """They do; or would, had nothing else run between the two starts or the two ends."""
    apart = min(abs(wire["application_ms"] - marker["application_ms"]),
                abs(own_ms(wire) - own_ms(marker)))
    return apart <= max(TIME_MS, TIME_SHARE * marker["application_ms"])


def first_byte(record):
    """When it went out, by the clock: both saw the same system call return."""
    start = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00")).timestamp()
    return start * 1e3 + record["first_byte_ms"]


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "uwsgi-unix",
                                  "waitress", "wsgiref", "mod_wsgi-embedded"])
def test_agreement(wsgiscope, pool, name):
    server = pool(name, "marked")
    requests = [Request(way, count, size) for way, count, size, times in WAYS
                for _ in range(times)]
    random.Random(6).shuffle(requests)
    with Tracer("-p", server.pid, "--mode", "wire") as wire, \
            Tracer("-p", server.pid, "--mode", "marker") as marker:
        responses = {request.uid: fetch(server.address, request) for request in requests}
        by_wire = wire.wait(responses)
        by_marker = marker.wait(responses)
    assert by_wire.keys() == by_marker.keys() == responses.keys(), wire.stderr()
    apart = []
    for uid, response in responses.items():
        one, other = by_wire[uid], by_marker[uid]
        assert (one["mode"], other["mode"]) == ("wire", "marker")
        for key in ("pid", "method", "path", "wire_status", "write_calls", "write_bytes", "socket"):
            if response.raw or key != "socket":
                assert one[key] == other[key], (key, one, other)
        assert one["write_bytes"] == len(response.raw), one
        if response.raw and other["first_byte_ms"] is not None:
            assert abs(first_byte(one) - first_byte(other)) < TIME_MS, (one, other)
        if name in SAME_THREAD and response.raw and response.request.way not in OTHER_END \
                and not times_agree(one, other):
            apart.append((one, other))
    # Seen once: the server's own work between the two starts took 1.6 ms.
    assert len(apart) <= 1, apart


class Load:
    """Clients that keep connections, of mixed requests; what each of them got, by its path."""

    def __init__(self, address, count, clients):
        self.address = address
        self.count = count // clients
        self.expected = {}
        self.errors = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(seed,)) for seed in range(clients)]

    def run(self, seed):
        chance = random.Random(seed)
        got = {}
        try:
            while len(got) < self.count:
                with Connection(self.address) as connection:
                    for _ in range(chance.randint(1, 200)):
                        if len(got) == self.count:
                            break
                        request = self.request(chance)
                        response = connection.fetch(request)
                        got[request.target] = (request.method, response.status,
                                               len(request.encode()), len(response.raw))
        except (OSError, ValueError, KeyError) as error:
            self.errors.append(error)
        with self.lock:
            self.expected.update(got)

    @staticmethod
    def request(chance):
        kind = chance.random()
        if kind < 0.2:
            return Request("echo", method="POST", keep=True,
                           body=b"b" * chance.choice((1, 100, 5000, 30_000)))
        if kind < 0.4:
            return Request("chunks", chance.randint(1, 4), chance.randint(1, 2000), keep=True)
        if kind < 0.5:
            return Request("not_found", 1, chance.randint(1, 300), keep=True)
        return Request("list", chance.randint(1, 3), chance.randint(1, 5000), keep=True)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()


def load_check(server, count, clients):
    with Tracer("-p", server.pid, "--mode", "wire") as tracer:
        with Load(server.address, count, clients) as load:
            pass
        assert not load.errors
        procs.until(lambda: len(tracer.records()) >= len(load.expected), 15, 0.2)
        tracer.stop()
        records = tracer.records()
        lost = tracer.losses()
    assert not lost, lost
    found = collections.Counter(record["path"] for record in records)
    assert not [path for path, times in found.items() if times != 1]
    assert found.keys() == load.expected.keys()
    for record in records:
        expected = load.expected[record["path"]]
        assert (record["method"], record["status"], record["request_bytes"],
                record["write_bytes"]) == expected, (record, expected)
        assert record["outcome"] == "ok", record


def test_load(wsgiscope, pool):
    load_check(pool("gunicorn-gthread", "plain"), 4000, 4)


def test_load_waitress(wsgiscope, pool):
    load_check(pool("waitress", "plain"), 2000, 4)


@pytest.mark.slow
def test_load_100000(wsgiscope):
    with servers.Server("gunicorn-gthread", "plain") as server:
        load_check(server, 100_000, 4)
