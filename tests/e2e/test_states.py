# SPDX-License-Identifier: BSD-2-Clause
"""Where the time of a request went: each state against what the thread itself measured, on real
servers."""
import contextlib
import glob
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import client
import procs
import servers
from conftest import need_server
from tracer import Tracer
from known_answers import (BusyCpu, StatesServer, Traced, check_states, check_sum,
                           last_cpu, near, real_disk, shown)

pytestmark = pytest.mark.alone

KINDS = ["gunicorn-sync", "gunicorn-gthread", "uwsgi"]
MANY = 10_000
POSTGRES = max(glob.glob("/usr/lib/postgresql/*/bin"), default="/usr/lib/postgresql/bin")


@pytest.fixture(scope="module", params=KINDS)
def traced(request, wsgiscope):
    need_server(request.param)
    with Traced(StatesServer(request.param)) as running:
        yield running


class Upstream:
    """A TCP server that answers so many ms after it was asked. Use as a context."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self.answer, args=(sock,)).start()

    @staticmethod
    def answer(sock):
        with sock, sock.makefile("rb") as lines:
            time.sleep(int(lines.readline()) / 1000)
            sock.sendall(b"done\n")


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as running:
        yield running


class Postgres:
    """A private cluster of the Debian package, run by its user. Use as a context."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="wsgiscope-pg-")
        shutil.chown(self.directory, "postgres", "postgres")
        self.port = servers.free_port()
        self.process = None
        try:
            subprocess.run([POSTGRES + "/initdb", "-D", self.data, "-A", "trust", "-N"],
                           check=True, stdout=subprocess.DEVNULL, **self.identity())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def data(self):
        return os.path.join(self.directory, "data")

    def identity(self):
        entry = pwd.getpwnam("postgres")
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [],
                "cwd": self.directory}

    def start(self):
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [POSTGRES + "/postgres", "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1",
                 "-k", self.directory, "-F"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self.identity())
        assert procs.until(self.ready, 20), open(os.path.join(self.directory, "log")).read()

    def ready(self):
        with contextlib.suppress(OSError):
            return open(os.path.join(self.data, "postmaster.pid")).read().endswith("ready   \n")

    @property
    def dsn(self):
        return "host=127.0.0.1 port=%d user=postgres dbname=postgres" % self.port

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        shutil.rmtree(self.directory)


@pytest.fixture(scope="module")
def postgres():
    if not os.path.exists(POSTGRES + "/initdb"):
        pytest.skip("PostgreSQL is missing (apt-get install postgresql python3-psycopg2)")
    with Postgres() as running:
        yield running


def test_sleep(traced):
    found = traced.ask("sleep", 50)
    check_states(found, "sleep")
    for record, entry in found:
        assert entry["op"].wall >= 50e6
        assert record["socket_read_peer"] is None


def test_spin(traced):
    found = traced.ask("spin", 50)
    check_states(found)
    for record, entry in found:
        assert entry["op"].cpu >= 50e6


def test_spin_on_a_shared_cpu(traced):
    with BusyCpu(last_cpu()):
        found = traced.ask("contend", 50, last_cpu())
    check_states(found)
    for record, entry in found:
        assert entry["op"].runnable > 5e6, "the CPU was not shared: " + shown(record, entry)


def test_garbage_collection(traced):
    """An overlay: how often (one of the youngest may come before or after the callbacks are set),
    and how long: the callbacks run around the marks, and may have to wait for a CPU in between."""
    for record, entry in traced.ask("collect", 5):
        assert len(entry["collections"]) >= 5
        assert 0 <= record["gc_count"] - len(entry["collections"]) <= 1, shown(record, entry)
        around = sum(entry["collections"])
        waited = record["states_ms"]["runnable"] * 1e6
        assert (near(record["gc_ms"], around)
                or around - waited <= record["gc_ms"] * 1e6 <= around), shown(record, entry)
        check_sum(record, entry)
    quiet = [record for record, entry in traced.ask("pid", 0, repeat=5)]
    assert (0, 0.0) in [(record["gc_count"], record["gc_ms"]) for record in quiet]


def test_sleep_on_a_shared_cpu(traced):
    """Woken, but not running: runnable, not sleep."""
    with BusyCpu(last_cpu()):
        found = traced.ask("contend_sleep", 30, last_cpu())
    check_states(found, "sleep")


def test_database(traced_with_database, postgres):
    traced_with_database.ask("database", 1, repeat=1)  # connects
    found = traced_with_database.ask("database", 50)
    check_states(found, "socket_read")
    for record, entry in found:
        assert entry["op"].wall >= 50e6
        check_peer(record, entry, postgres.port)


@pytest.fixture(params=KINDS)
def traced_with_database(request, wsgiscope, postgres):
    need_server(request.param)
    pytest.importorskip("psycopg2")
    with Traced(StatesServer(request.param, environ={"E2E_DSN": postgres.dsn})) as running:
        yield running


def check_peer(record, entry, port):
    where = shown(record, entry)
    assert record["socket_read_peer"] == "127.0.0.1:%d" % port, where
    assert near(record["socket_read_peer_ms"], entry["op"].blocked), where
    assert record["socket_read_peer_ms"] <= record["states_ms"]["socket_read"], where
    assert record["socket_read_client_ms"] <= 2, where


@pytest.mark.parametrize("how", ["recv", "recv_into", "timeout", "poll", "select", "select_high",
                                 "epoll"])
def test_upstream(traced, upstream, how):
    found = traced.ask("upstream", 50, upstream.port, how)
    check_states(found, "socket_read")
    for record, entry in found:
        assert entry["op"].wall >= 25e6, "it was asked long before"  # what is timed begins after
        check_peer(record, entry, upstream.port)


def test_two_upstreams(traced, upstream):
    """The peer is that which was most waited for."""
    with Upstream() as other:
        found = traced.ask("two_upstreams", upstream.port, other.port)
        check_states(found, "socket_read")
        for record, entry in found:
            where = shown(record, entry)
            assert record["socket_read_peer"] == "127.0.0.1:%d" % other.port, where
            of_both = record["states_ms"]["socket_read"]
            assert 55 <= record["socket_read_peer_ms"] < of_both - 5, where


def fetch_slowly(address, request, seconds):
    """Takes 10 KB/s into a small buffer for so long, then the rest at once."""
    with client.connect(address, rcvbuf=4096) as sock:
        sock.sendall(request.encode())
        got = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got += len(sock.recv(1024))
            time.sleep(0.1)
        return got + len(client.receive_rest(sock))


def test_slow_client(traced):
    """8 MB are more than the kernel buffers."""
    sent = client.Request("big", 8192, 0)
    assert fetch_slowly(traced.server.address, sent, 0.6) > 8 << 20
    (record, entry), = traced.join([sent])
    check_states([(record, entry)], "socket_write")
    assert record["states_ms"]["socket_write"] > 400
    # What is written to the client is not waited for elsewhere.
    assert record["socket_read_peer"] is None


@pytest.mark.parametrize("how", ["", "timeout"], ids=["forever", "timeout"])
def test_lock(traced, how):
    found = traced.ask("lock", 50, 0, how)
    check_states(found, "lock", threads=True)
    for record, entry in found:
        assert entry["op"].wall >= 45e6


def test_body(traced):
    """A client that sends its body in pieces: socket_read, on its own connection."""
    sent = client.Request("body", method="POST", headers=[("Content-Length", "4000")])
    with client.connect(traced.server.address) as sock:
        sock.sendall(sent.encode())
        for _ in range(4):
            time.sleep(0.03)
            sock.sendall(b"x" * 1000)
        assert client.receive_rest(sock).startswith(b"HTTP/1.1 200")
    (record, entry), = traced.join([sent])
    check_states([(record, entry)], "socket_read")
    assert near(record["socket_read_client_ms"], entry["op"].blocked), shown(record, entry)
    assert record["socket_read_client_ms"] > 80
    assert record["socket_read_peer"] is None, shown(record, entry)


@pytest.mark.parametrize("how", ["direct", "dropped", "mapped", "synced"])
def test_file(traced, how):
    if not real_disk(traced.server.directory):
        pytest.skip("%s lies on no disk" % traced.server.directory)
    os.sync()  # only clean pages can be dropped
    found = traced.ask("file", 5, 0, how)
    check_states(found, "file")
    waited = sum(entry["op"].blocked for _, entry in found)
    assert waited > 1e6, "nothing was waited for" + "".join(shown(*each) for each in found)


def test_pipe_is_other(traced):
    found = traced.ask("pipe", 30)
    check_states(found, "other", threads=True)
    for record, entry in found:
        assert entry["op"].wall >= 25e6


def test_child_in_a_request(traced):
    """What a child computes is not its parent's; the parent's record comes once and is right."""
    found = traced.ask("child", 30)
    check_states(found, "other")
    for record, entry in found:
        assert entry["op"].cpu < 20e6 < 30e6 <= entry["op"].wall
        same = [each for each in traced.tracer.records() if each["path"] == record["path"]]
        assert len(same) == 1, same


def test_sum_and_cpu_of_many(traced, upstream):
    """10,000 mixed requests over the servers: the states add up to the application time in each,
    the CPU time of all is that of the threads' own clocks."""
    kinds = [("spin", 1, 0, ""), ("sleep", 1, 0, ""), ("pid", 0, 0, ""), ("pid", 0, 0, ""),
             ("upstream", 1, upstream.port, "recv"), ("upstream", 1, upstream.port, "timeout"),
             ("lock", 1, 0, ""), ("big", 16, 0, ""), ("spin_sleep", 1, 1, "")]
    chosen = random.Random(3).choices(kinds, k=MANY // len(KINDS) + 1)
    sent = [client.Request(way, a, b, extra=extra) for way, a, b, extra in chosen]
    client.load(traced.server.address, sent)
    found = traced.join(sent)
    for record, entry in found:
        check_sum(record, entry)
    cpu, inside, around, whole, total = (sum(values) for values in zip(*(
        (record["states_ms"]["cpu"] * 1e6, entry["inner"].cpu, entry["outer"].cpu,
         record["application_ms"], sum(record["states_ms"].values())) for record, entry in found)))
    assert abs(total - whole) <= 0.01 * whole
    assert inside * 0.98 <= cpu <= around * 1.02, (inside, cpu, around)


@pytest.fixture(scope="module", params=KINDS)
def nested(request, wsgiscope):
    need_server(request.param)
    with Traced(StatesServer(request.param, "nested")) as running:
        yield running


def test_nested_marks(nested):
    """A marked application inside a marked one is one request, with one account."""
    found = nested.ask("spin_sleep", 10, 20)
    check_states(found)
    for record, entry in found:
        assert record["states_ms"]["sleep"] >= 19
        assert "nested" in record["notes"], shown(record, entry)
    paths = [record["path"] for record in nested.tracer.records()]
    assert all(paths.count(record["path"]) == 1 for record, _ in found)


@pytest.fixture(scope="module")
def elsewhere(wsgiscope):
    with Traced(StatesServer("elsewhere")) as running:
        yield running


def test_closed_on_another_thread(elsewhere):
    """The states are of one thread: where two had a part they are absent, and the record says
    so, or they add up."""
    for record, entry in elsewhere.ask("spin_sleep", 5, 10, repeat=5):
        assert entry["outer"] is None, "the test's server closed on the same thread"
        assert near(record["application_ms"], entry["wall"]), shown(record, entry)
        if record["states_ms"] is None:
            assert [note for note in record["notes"] if note.startswith("states_")], (
                shown(record, entry))
        else:
            check_sum(record, entry)
            assert near(record["states_ms"]["cpu"], entry["inner"].cpu), shown(record, entry)


@pytest.mark.parametrize("kind", ["mod_wsgi-embedded", "mod_wsgi-daemon"])
def test_mod_wsgi(kind, wsgiscope, pool):
    """libpython in Apache, a named sub-interpreter: its GIL is found, its sleep is sleep."""
    server = pool(kind, "marked")
    sent = [client.Request("slow") for _ in range(3)]
    with Tracer("-p", server.pid) as tracer:
        for each in sent:
            assert client.fetch(server.address, each).status == 200
        records = tracer.wait([each.uid for each in sent])
    for record in records.values():
        assert record["states_ms"]["gil"] is not None and "gil_unseen" not in record["notes"]
        assert record["states_ms"]["sleep"] >= 45, record
        assert abs(sum(record["states_ms"].values()) / record["application_ms"] - 1) < 0.01
