# SPDX-License-Identifier: BSD-2-Clause
"""Requests without a marker, from what the sockets show: each server, each way in which a request
can come and an answer can go, against what the client sent and got."""
import os
import signal
import ssl
import subprocess
import threading
import time

import pytest

import client
import procs
import servers
from client import Connection, Request, fetch
from tracer import Tracer, counted

# Server kinds whose writing thread is the one that read the request: it has states.
SAME_THREAD = ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "wsgiref", "mod_wsgi-embedded"]
KINDS = SAME_THREAD + ["waitress", "uwsgi-unix"]


def wire(server, *args):
    return Tracer("-p", server.pid, "--mode", "wire", *args)


def seen(tracer, requests):
    """The record of each of these requests; all must be there."""
    records = tracer.wait([request.uid for request in requests])
    missing = [request.target for request in requests if request.uid not in records]
    assert not missing, "%r\n%s" % (missing, tracer.stderr())
    return [records[request.uid] for request in requests]


def check(record, response, kind):
    """What a record of the wire must say, and must not."""
    request = response.request
    assert record["mode"] == "wire", record
    assert record["method"] == request.method, record
    assert record["path"] == request.target.split("?")[0], record
    assert record["status"] == record["wire_status"] == response.status, record
    assert record["server"] == kind.record, record
    assert record["socket"] == kind.family, record
    assert record["request_bytes"] == len(request.encode()), record
    assert record["write_bytes"] == len(response.raw), record
    assert record["write_calls"] >= 1 and record["write_ms"] > 0, record
    for key in ("blocks", "bytes", "output_ms", "exception", "route", "app"):
        assert record[key] is None, (key, record)
    assert record["application_ms"] > 0 and record["first_byte_ms"] > 0, record
    assert record["first_byte_ms"] <= record["application_ms"] + 0.001, record


@pytest.mark.parametrize("name", KINDS)
def test_requests(wsgiscope, pool, name):
    """Several ways to answer, on fresh connections."""
    server = pool(name, "plain")
    ways = [("list", 3, 100), ("chunks", 3, 100), ("gen", 5, 100), ("nothing", 1, 1),
            ("not_found", 1, 10), ("file", 1, 1), ("list", 2, 400_000), ("stream", 3, 100)]
    with wire(server) as tracer:
        responses = [fetch(server.address, Request(way, count, size))
                     for way, count, size in ways]
        records = seen(tracer, [response.request for response in responses])
    for record, response in zip(records, responses):
        check(record, response, server.kind)
        assert record["outcome"] == "ok", record
    assert not tracer.lost_requests(), tracer.stderr()
    assert "by the wire" in tracer.stderr()


@pytest.mark.parametrize("name", SAME_THREAD)
def test_states(wsgiscope, pool, name):
    """A request that sleeps has slept, and its states add up to its time."""
    server = pool(name, "plain")
    with wire(server) as tracer:
        response = fetch(server.address, Request("slow", 2, 100))
        record, = seen(tracer, [response.request])
    states = record["states_ms"]
    assert states, record
    assert abs(sum(state or 0 for state in states.values()) - record["application_ms"]) < 0.1
    assert states["sleep"] >= 45, record


def test_states_elsewhere(wsgiscope, pool):
    """waitress reads in one thread and runs the application in another: no states, and said."""
    server = pool("waitress", "plain")
    with wire(server) as tracer:
        response = fetch(server.address, Request("slow", 2, 100))
        record, = seen(tracer, [response.request])
    assert record["states_ms"] is None and "states_mixed" in record["notes"], record
    assert record["application_ms"] >= 50, record


KEEP = ["gunicorn-gthread", "waitress", "mod_wsgi-embedded"]


@pytest.mark.parametrize("name", KEEP)
def test_keep_alive(wsgiscope, pool, name):
    server = pool(name, "plain")
    with wire(server) as tracer, Connection(server.address) as connection:
        requests = [Request(("list", "chunks", "echo")[i % 3], 3, 100, keep=True,
                            method="POST" if i % 3 == 2 else "GET",
                            body=b"body" * 10 if i % 3 == 2 else None) for i in range(30)]
        responses = [connection.fetch(request) for request in requests]
        records = seen(tracer, requests)
    for record, response in zip(records, responses):
        check(record, response, server.kind)
    assert len(tracer.records()) == 30
    assert not tracer.lost_requests(), tracer.stderr()


def test_pipelined_unanswered(wsgiscope, pool):
    """gunicorn's gthread of Debian 12 answers only the first of several: so they are shown."""
    server = pool("gunicorn-gthread", "plain")
    requests = [Request("list", 1, 100, keep=True) for _ in range(3)]
    with wire(server) as tracer, client.connect(server.address) as sock:
        sock.sendall(b"".join(request.encode() for request in requests))
        answered = client.receive_rest(sock).count(b"HTTP/1.1 200")
        records = seen(tracer, requests)
    for record in records[:answered]:
        assert record["status"] == 200 and record["outcome"] == "ok", record
    for record in records[answered:]:
        assert record["status"] is None and record["outcome"] == "unclosed", record
    assert len({record["id"] for record in records}) == 3


@pytest.mark.parametrize("name", ["waitress", "mod_wsgi-embedded"])
def test_pipelined(wsgiscope, pool, name):
    """Five requests in one packet: five records, each from the end of the one before."""
    server = pool(name, "plain")
    requests = [Request("slow", 1, 100, keep=i < 4) for i in range(5)]
    with wire(server) as tracer, client.connect(server.address) as sock:
        sock.sendall(b"".join(request.encode() for request in requests))
        client.receive_rest(sock)
        records = seen(tracer, requests)
        assert len(tracer.records()) == 5
    for record, request in zip(records, requests):
        assert record["status"] == 200, record
        assert record["request_bytes"] == len(request.encode()), record
        assert 45 < record["application_ms"] < 150, record
    assert not tracer.lost_requests(), tracer.stderr()


def send_in_pieces(sock, data, size, pause=0.002):
    for at in range(0, len(data), size):
        sock.sendall(data[at:at + size])
        time.sleep(pause)


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "waitress",
                                  "wsgiref"])
def test_in_pieces(wsgiscope, pool, name):
    """A head byte by byte, a body in many reads, a chunked body, Expect: 100-continue."""
    server = pool(name, "plain")
    one = Request("list", 1, 10)
    many = Request("echo", method="POST", body=b"x" * 100_000)
    with wire(server) as tracer:
        for request, size in ((one, 1), (many, 5000)):
            with client.connect(server.address) as sock:
                send_in_pieces(sock, request.encode(), size)
                raw = client.receive_rest(sock)
            record, = seen(tracer, [request])
            check(record, client.Response(request, raw, 0, 0), server.kind)
    assert not tracer.lost_requests(), tracer.stderr()


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "waitress",
                                  "mod_wsgi-embedded"])
def test_continue(wsgiscope, pool, name):
    """The client sends its body when it is told to: one request."""
    server = pool(name, "plain")
    request = Request("echo", method="POST", body=b"y" * 1000,
                      headers=[("Expect", "100-continue")])
    head, _, body = request.encode().partition(b"\r\n\r\n")
    with wire(server) as tracer:
        with client.connect(server.address) as sock:
            sock.sendall(head + b"\r\n\r\n")
            first = sock.recv(1000)
            assert first.startswith(b"HTTP/1.1 100"), first
            time.sleep(0.3)  # longer than a turn at rest is left alone
            sock.sendall(body)
            raw = first + client.receive_rest(sock)
        record, = seen(tracer, [request])
        assert len(tracer.records()) == 1
    assert record["status"] == 200 and record["write_bytes"] == len(raw), record
    assert record["request_bytes"] == len(request.encode()), record


def test_open_before(wsgiscope):
    """A connection that was there before the tracer: its next requests are seen. It stays open for
    longer than a loaded machine takes to attach."""
    with servers.Server("gunicorn-gthread", "plain", ["--keep-alive", "60"]) as server, \
            Connection(server.address) as connection:
        connection.fetch(Request("list", keep=True))
        with wire(server) as tracer:
            requests = [Request("list", keep=True) for _ in range(3)]
            responses = [connection.fetch(request) for request in requests]
            records = seen(tracer, requests)
        for record, response in zip(records, responses):
            check(record, response, server.kind)
        assert connection.fetch(Request("list", keep=True)).status == 200


NR_RECVFROM = {"x86_64": "45", "aarch64": "207"}[os.uname().machine]


def is_reading(pid):
    with open("/proc/%d/syscall" % pid, encoding="ascii") as stream:
        return stream.read().split()[0] == NR_RECVFROM


def test_reading_before(wsgiscope):
    """A worker that was in its read() before the tracer: what comes then is its request, as an
    incident's next one is."""
    with servers.Server("gunicorn-sync", "plain") as server, \
            client.connect(server.address) as sock:
        assert procs.until(lambda: any(map(is_reading, procs.tree(server.pid))), 10)
        with wire(server) as tracer:
            request = Request("list")
            sock.sendall(request.encode())
            raw = client.receive_rest(sock)
            record, = seen(tracer, [request])
    assert record["mode"] == "wire" and record["status"] == 200, record
    assert record["write_bytes"] == len(raw), record
    assert record["request_bytes"] == len(request.encode()), record


def test_unanswered(wsgiscope, pool):
    """uWSGI closes without a byte when the application raises in the call."""
    server = pool("uwsgi", "plain")
    with wire(server) as tracer:
        response = fetch(server.address, Request("raise_call"))
        record, = seen(tracer, [response.request])
    assert not response.raw
    assert record["outcome"] == "unclosed" and record["status"] is None, record
    assert record["application_ms"] is None and record["write_bytes"] == 0, record


class TlsServer(servers.Server):
    """Answers no plain request, by which others are known to be ready."""

    def wait_ready(self, seconds=20):
        pass


def test_tls(wsgiscope, tmp_path):
    """Said, counted, and nothing guessed."""
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", key.with_suffix(".crt"), "-subj", "/CN=localhost", "-days", "1"],
                   check=True, capture_output=True)
    options = ["--keyfile", str(key), "--certfile", str(key.with_suffix(".crt"))]
    with TlsServer("gunicorn-sync", "plain", options=options) as server:
        context = ssl.create_default_context(cafile=key.with_suffix(".crt"))
        context.check_hostname = False

        def get():
            try:
                with client.connect(server.address, timeout=5) as sock, \
                        context.wrap_socket(sock) as tls:
                    tls.sendall(Request("list").encode())
                    return tls.recv(100)
            except OSError:
                return b""
        assert procs.until(lambda: get().startswith(b"HTTP/1.1 200"), 20)
        with wire(server) as tracer:
            assert get().startswith(b"HTTP/1.1 200")
            assert procs.until(lambda: "encrypted" in tracer.stderr(), 5), tracer.stderr()
            get()
            tracer.stop()
            assert tracer.stderr().count("is encrypted") <= 2  # once for each worker
            assert counted(tracer.stderr(), "lost")["wire_tls"] == 2
            assert not tracer.records()


def test_not_its_own(wsgiscope, pool, tmp_path):
    """What the worker asks of others is not its request."""
    upstream = pool("waitress", "plain")
    app = tmp_path / "asks.py"
    app.write_text("import urllib.request\n"
                   "def application(environ, start_response):\n"
                   "    data = urllib.request.urlopen('http://%s:%d/slow/1/10/up').read()\n"
                   "    start_response('200 OK', [('Content-Length', str(len(data)))])\n"
                   "    return [data]\n" % upstream.address)
    port = servers.free_port()
    process = subprocess.Popen(
        ["/usr/bin/gunicorn", "--bind", "127.0.0.1:%d" % port, "asks:application"], cwd=tmp_path,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(tmp_path)}, stderr=subprocess.DEVNULL)
    try:
        assert procs.until(lambda: answers(port), 20)
        with Tracer("-p", process.pid) as tracer:
            for _ in range(5):
                assert answers(port)
            assert procs.until(lambda: len(tracer.records()) == 5, 5)
            assert "by the wire" in tracer.stderr()
        assert len(tracer.records()) == 5
        for record in tracer.records():
            assert record["path"].startswith("/list/") and record["states_ms"], record
            assert record["states_ms"]["socket_read"] > 0, record
    finally:
        process.terminate()
        process.wait()


def answers(port):
    try:
        return fetch(("127.0.0.1", port), Request("list")).status == 200
    except OSError:
        return False


def test_auto(wsgiscope, pool):
    """The marker where it is, the wire where it is not, without being asked."""
    marked, plain = pool("gunicorn-sync", "marked"), pool("gunicorn-sync", "plain")
    with Tracer("-p", marked.pid, "-p", plain.pid) as tracer:
        requests = [Request("list"), Request("list")]
        for server, request in zip((marked, plain), requests):
            fetch(server.address, request)
        records = seen(tracer, requests)
        assert [record["mode"] for record in records] == ["marker", "wire"]
        assert "2 by the marker, 3 by the wire" in tracer.stderr(), tracer.stderr()


@pytest.mark.parametrize("name", ["gunicorn-sync", "gunicorn-gthread", "waitress"])
def test_both(wsgiscope, pool, name):
    """One record, the marker's, with what the wire adds."""
    server = pool(name, "marked")
    with Tracer("-p", server.pid, "--mode", "both") as tracer:
        requests = [Request("echo", method="POST", body=b"z" * 3000) for _ in range(10)]
        responses = [fetch(server.address, request) for request in requests]
        records = seen(tracer, requests)
        time.sleep(0.5)
        assert len(tracer.records()) == 10
    for record, response in zip(records, responses):
        assert record["mode"] == "marker" and record["blocks"] == 1, record
        assert record["request_bytes"] == len(response.request.encode()), record


@pytest.mark.parametrize("variant", ["plain", "marked"])
def test_top_frame(wsgiscope, pool, variant):
    """Where the application was most: in the function that sleeps."""
    server = pool("gunicorn-sync", variant)
    with Tracer("-p", server.pid, "--top-frame") as tracer:
        requests = [Request("slow", 1, 100) for _ in range(5)]
        for request in requests:
            fetch(server.address, request)
        records = seen(tracer, requests)
    for record in records:
        assert record["mode"] == ("wire" if variant == "plain" else "marker")
        assert (record["top_frame"] or "").startswith("way_slow ("), (records, tracer.stderr())
        assert "matrix.py:" in record["top_frame"], record


def test_mod_wsgi_daemon(wsgiscope, pool):
    """The daemon's own protocol: the request as httpd handed it on."""
    server = pool("mod_wsgi-daemon", "plain")
    daemons = [pid for pid in server.workers() if b"(wsgi:" in procs.cmdline(pid)]
    assert daemons
    with Tracer(*(word for pid in daemons for word in ("-p", pid)), "--mode", "wire") as tracer:
        requests = [Request("slow", 2, 100), Request("echo", method="POST", body=b"q" * 500)]
        responses = [fetch(server.address, request) for request in requests]
        records = seen(tracer, requests)
    for record, response in zip(records, responses):
        assert record["method"] == response.request.method, record
        assert record["path"] == response.request.target, record
        assert record["status"] == response.status == 200, record
        assert record["socket"] == "unix" and record["mode"] == "wire", record


@pytest.mark.unnoticed
def test_detach(wsgiscope, pool):
    """A tracer that ends or is killed under load changes nothing."""
    server = pool("gunicorn-gthread", "plain")
    stop = threading.Event()
    bad = []

    def load():
        while not stop.is_set():
            response = fetch(server.address, Request("list", 3, 100))
            if response.status != 200 or len(response.body) != 300:
                bad.append(response.raw)
    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for how in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
            with wire(server) as tracer:
                assert procs.until(lambda: len(tracer.records()) > 20, 10)
                tracer.stop(how)
            assert not tracer.left_behind()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not bad


def test_later_workers(wsgiscope):
    """A worker that comes later is watched from its first request."""
    with servers.Server("gunicorn-sync", "plain") as server, wire(server) as tracer:
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        first = []

        def get():
            try:
                request = Request("list")
                response = fetch(server.address, request)
            except OSError:
                return False
            first.append(request)
            return response.status == 200
        assert procs.until(get, 20)
        seen(tracer, first[-1:])
