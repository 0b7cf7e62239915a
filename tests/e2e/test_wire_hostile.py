# SPDX-License-Identifier: BSD-2-Clause
"""Wire mode and clients that mean no good, or only do things oddly: what it says is exact against
what the client itself sent and got, what it cannot tell is counted, and the worker lives on."""
import random
import threading

import pytest

import client
from client import Request
from conversation import answers, bytewise, converse
from tracer import Tracer

KINDS = ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "waitress", "mod_wsgi-embedded", "wsgiref"]
KEEPING = ["gunicorn-gthread", "waitress", "mod_wsgi-embedded"]
PIPELINING = ["waitress", "mod_wsgi-embedded"]

TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(200))
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)


class Wire:
    """A tracer in wire mode on a server whose workers must not change meanwhile."""

    def __init__(self, server):
        self.server = server
        self.tracer = Tracer("--mode", "wire", "-p", server.pid)

    def __enter__(self):
        self.workers = self.server.workers()
        self.tracer.__enter__()
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.worker_is_well()
        finally:
            self.tracer.__exit__()

    def worker_is_well(self):
        request = Request("list", 2, 50)
        assert client.fetch(self.server.address, request).status == 200
        assert self.server.workers() == self.workers

    def stop(self):
        """All records, in the order of their times."""
        assert self.tracer.stop() == 0, self.tracer.stderr()
        return sorted(self.tracer.records(), key=lambda record: record["time"])


@pytest.fixture(params=KINDS)
def server(request, pool, wsgiscope):
    return pool(request.param, "plain")


def check(record, request, answer, sent=None):
    """One record against what its client saw. sent: how many bytes, where more than encode()."""
    assert record["mode"] == "wire", record
    assert record["method"] == request.method, record
    assert record["path"] == request.target, record
    assert record["status"] == record["wire_status"] == answer.status, record
    assert record["write_bytes"] == len(answer.raw), (record, answer.raw[:300])
    assert record["request_bytes"] == (sent or len(request.encode())), record
    assert record["outcome"] == "ok", record
    for name in ("blocks", "bytes", "output_ms", "exception", "route"):
        assert record[name] is None, record


def one(server, pieces, request, method="GET", **kwargs):
    """A conversation of one request, traced; its answer and its record."""
    with Wire(server) as wire:
        raw, _ = converse(server.address, pieces, [method], **kwargs)
        records = wire.tracer.wait([request.uid])
        wire.stop()
    assert request.uid in records, wire.tracer.stderr()
    found = answers(raw, [method])
    assert len(found) == 1 and found[0].raw == raw
    return found[0], records[request.uid]


def test_one_byte_at_a_time(server):
    request = Request("list", 3, 100)
    answer, record = one(server, bytewise(request.encode()), request)
    assert answer.status == 200
    check(record, request, answer)


def test_split_request_line(server):
    request = Request("echo", method="POST", body=b"x" * 20000)
    data = request.encode()
    pieces = [data[:2], 0.05, data[2:9], 0.05, data[9:60], 0.05, data[60:5000], 0.05, data[5000:]]
    answer, record = one(server, pieces, request, "POST")
    assert answer.raw.endswith(b"\r\n\r\n" + request.body)
    check(record, request, answer)


@pytest.mark.parametrize("pause", [None, 0.1])
def test_body_that_looks_like_requests(server, pause):
    body = b"GET /evil/0/0/evil HTTP/1.1\r\nHost: evil\r\n\r\n" * 5
    request = Request("echo", method="POST", body=body)
    data = request.encode()
    pieces = [data] if pause is None else [data[:-len(body)], pause, body]
    with Wire(server) as wire:
        raw, _ = converse(server.address, pieces, ["POST"])
        records = wire.tracer.wait([request.uid])
        everything = wire.stop()
    check(records[request.uid], request, answers(raw, ["POST"])[0])
    assert not [record for record in everything if record["path"].startswith("/evil")]


def test_http_1_0_and_no_length(server):
    request = Request("gen", 5, 100)
    data = b"GET %s HTTP/1.0\r\n\r\n" % request.target.encode()
    answer, record = one(server, [data], request)
    assert answer.status == 200
    check(record, request, answer, len(data))


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "waitress"])  # httpd wants a length
def test_chunked_with_trailers_then_another(kind, pool, wsgiscope):
    server = pool(kind, "plain")
    first = Request("list", 2, 100, method="POST", keep=True,
                    headers=[("Transfer-Encoding", "chunked")])
    second = Request("list", 3, 70, keep=True)
    body = b"5;name=value\r\nGET /\r\n4\r\n x y\r\n0\r\nX-Trailer: GET / HTTP/1.1\r\n\r\n"
    data = first.encode() + body
    with Wire(server) as wire:
        with client.Connection(server.address) as connection:
            connection.sock.sendall(data[:-30])
            connection.sock.sendall(data[-30:])
            found = [read_one(connection, first), connection.fetch(second)]
        records = wire.tracer.wait([first.uid, second.uid])
        everything = wire.stop()
    check(records[first.uid], first, found[0], len(data))
    check(records[second.uid], second, found[1])
    assert len(everything) == 2, everything


def read_one(connection, request):
    while (length := connection.response_length(request)) is None:
        data = connection.sock.recv(1 << 16)
        assert data, "closed early"
        connection.buffer += data
    raw, connection.buffer = connection.buffer[:length], connection.buffer[length:]
    return client.Response(request, raw, 0, 0)


@pytest.mark.parametrize("kind", KEEPING)
def test_answers_without_a_body(kind, pool, wsgiscope):
    """HEAD, 204, 304 and others in turn on one connection."""
    server = pool(kind, "plain")
    ways = ["no_content", "list", "not_modified", "nothing", "no_content", "not_modified", "list"]
    sent = [Request(way, 2, 60, keep=True) for way in ways]
    if kind == "mod_wsgi-embedded":  # others send a body to HEAD
        sent.insert(2, Request("list", 2, 60, method="HEAD", keep=True))
    with Wire(server) as wire:
        with client.Connection(server.address) as connection:
            found = [connection.fetch(request) for request in sent]
        records = wire.tracer.wait([request.uid for request in sent])
        wire.stop()
    for request, answer in zip(sent, found):
        check(records[request.uid], request, answer)


@pytest.mark.parametrize("kind", PIPELINING)
@pytest.mark.parametrize("pieces", [1, 7])
def test_pipelined(kind, pieces, pool, wsgiscope):
    """100 requests in one go, or cut at places that mean nothing."""
    server = pool(kind, "plain")
    ways = [("list", 3, 50), ("list", 2, 2000), ("nothing", 1, 1), ("not_found", 1, 9),
            ("list", 1, 1)]  # waitress closes where it has no length
    sent = [Request(*ways[index % len(ways)], keep=True) for index in range(100)]
    data = b"".join(request.encode() for request in sent)
    step = len(data) // pieces + 1
    methods = ["GET"] * len(sent)
    with Wire(server) as wire:
        raw, _ = converse(server.address, [data[at:at + step] for at in range(0, len(data), step)],
                          methods)
        records = wire.tracer.wait([request.uid for request in sent])
        everything = wire.stop()
    found = answers(raw, methods)
    assert len(found) == len(sent)
    for request, answer in zip(sent, found):
        assert request.uid in records, wire.tracer.stderr()
        check(records[request.uid], request, answer)
    assert len(everything) == len(sent)


# --- what servers refuse ------------------------------------------------------------------------

def test_a_megabyte_of_headers(server):
    """As much as the server takes of it is counted, and its refusal is the answer."""
    request = Request("list", 2, 50, headers=[("X-Big-%d" % index, "b" * 60_000)
                                              for index in range(18)])
    with Wire(server) as wire:
        raw, sent = converse(server.address, [request.encode()], quiet=3)
        found = answers(raw, ["GET"])
        records = wire.tracer.wait([request.uid])
        wire.stop()
    if found:
        record = records[request.uid]
        assert record["status"] == found[0].status and record["path"] == request.target
        assert 8192 <= record["request_bytes"] <= len(request.encode())
        assert record["write_bytes"] == len(found[0].raw)
    assert sent <= len(request.encode())


def nonsense():
    """What is no request of any kind, and what only looks like one."""
    dice = random.Random(6)
    yield from (TLS_HELLO, HTTP2_PREFACE, bytes(400), b"\r\n\r\n\r\n", b"\xff" * 300)
    yield b"GET\r\n\r\n"
    yield b"GET / HTTP/1.1 or so\r\n\r\n"
    yield b"\0\x05\0\0GET / HTTP/1.1\r\n\r\n"
    yield b"EHLO there\r\n\r\n"
    yield b"GET / HTTP/7.3\r\nHost: a\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n12345"
    yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    yield b"GET / HTTP/1.1\r\nHost: a\0b\r\n no: fold\r\n\r\n"
    for _ in range(20):
        yield dice.randbytes(dice.randrange(1, 3000)) + b"\r\n\r\n"


def test_nonsense(server):
    """Of what is no request none is made; whatever was answered is a record or is counted."""
    answered = headless = 0
    with Wire(server) as wire:
        for data in nonsense():
            raw, _ = converse(server.address, [data], quiet=0.4)
            answered += bool(answers(raw, ["GET"]))
            headless += bool(raw) and not raw.startswith(b"HTTP/1.")
        wire.worker_is_well()
        last = Request("list", 1, 10)
        client.fetch(server.address, last)
        wire.tracer.wait([last.uid])
        records = wire.stop()
    strange = [record for record in records if not (record["path"] or "").startswith("/list")]
    for record in strange:
        assert record["mode"] == "wire", record
        assert record["method"] in ("GET", "POST"), record
    assert sum(record["status"] is None for record in strange) <= headless
    unreadable = wire.tracer.losses()
    assert len(strange) + sum(unreadable.values()) >= answered, (strange, unreadable)


def test_slowloris(pool, wsgiscope):
    """Heads that never end, on connections that stay, beside a load that must be exact."""
    server = pool("waitress", "plain")
    sent = [Request("list", 2, 100) for _ in range(60)]
    with Wire(server) as wire:
        slow = [client.connect(server.address) for _ in range(30)]
        for index, sock in enumerate(slow):
            sock.sendall(b"GET /slow/0/0/%d HTTP/1.1\r\nX-A: " % index)
        responses = client.load(server.address, sent)
        for sock in slow:
            sock.sendall(b"b")
            sock.close()
        records = wire.tracer.wait([request.uid for request in sent])
        everything = wire.stop()
    for request, response in zip(sent, responses):
        check(records[request.uid], request, response)
    for record in everything:
        if record["path"].startswith("/slow"):
            assert record["status"] is None and record["outcome"] != "ok", record


# --- many at once -------------------------------------------------------------------------------

MIX = [("list", 3, 100), ("gen", 5, 100), ("list", 2, 40_000), ("nothing", 1, 1),
       ("not_found", 1, 80), ("no_content", 1, 1), ("echo", 1, 1), ("gen", 1, 9)]


def mixed_request(index):
    way, blocks, size = MIX[index % len(MIX)]
    body = b"e" * (37 * index % 9000) if way == "echo" else None
    return Request(way, blocks, size, keep=True, body=body,
                   method="POST" if body is not None else "GET")


def mixed_load(server, count, threads=8):
    """count requests over keep-alive connections; (request, response) of each. A server may close
    one that is at rest just as the next request comes: that is sent again, as another."""
    done, errors = [], []

    def work(own):
        connection = client.Connection(server.address)
        try:
            while own:
                request, response = mixed_request(own), None
                try:
                    response = connection.fetch(request)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                if response and response.raw:
                    done.append((request, response))
                    own -= 1
                else:
                    connection.sock.close()
                    connection = client.Connection(server.address)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.sock.close()

    workers = [threading.Thread(target=work, args=(count // threads,)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors
    return done


def check_load(server, count, threads):
    with Wire(server) as wire:
        done = mixed_load(server, count, threads)
        uids = {request.uid for request, _ in done}
        records = wire.tracer.wait(uids, 30)
        everything = wire.stop()
    assert len(records) + wire.tracer.lost_requests() >= len(done), wire.tracer.stderr()
    assert len(records) >= len(done) * 99 // 100, wire.tracer.stderr()
    answered = [record for record in everything if record["status"] is not None]
    assert len(answered) == len(records), "more records than requests"
    for request, response in done:
        if request.uid in records:
            check(records[request.uid], request, response)


@pytest.mark.parametrize("kind", KEEPING)
def test_mixed_keep_alive_load(kind, pool, wsgiscope):
    check_load(pool(kind, "plain"), 2000, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEEPING)
def test_100000_of_keep_alive_load(kind, pool, wsgiscope):
    check_load(pool(kind, "plain"), 100_000, 4)
