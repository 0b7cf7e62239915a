# SPDX-License-Identifier: BSD-2-Clause
"""How long a request waited before the application was called: from the front end's header, else
from the socket. The truth is the client's clock, which is the server's."""
import contextlib
import threading
import time

import pytest

import client
from conftest import need_server
from known_answers import StatesServer, Traced, shown


@contextlib.contextmanager
def one_thread(kind):
    need_server(kind)
    with Traced(StatesServer(kind, threads=1)) as running:
        yield running


@pytest.fixture(scope="module", params=["gunicorn-sync", "gunicorn-gthread", "uwsgi"])
def traced(request, wsgiscope):
    """One thread: what comes while it is busy has to wait."""
    with one_thread(request.param) as running:
        yield running


def stamps(ms_ago):
    """Header values of a moment that long ago, as front ends write them."""
    now = time.time() - ms_ago / 1000
    return {"s": "%.3f" % now, "t=s": "t=%.6f" % now, "ms": "%d" % (now * 1e3),
            "t=ms": "t=%d" % (now * 1e3), "ms.": "%.3f" % (now * 1e3), "us": "%d" % (now * 1e6),
            "t=us": "t=%d" % (now * 1e6)}


@pytest.mark.parametrize("name", ["X-Request-Start", "X-Queue-Start"])
@pytest.mark.parametrize("form", stamps(0))
def test_header(traced, name, form):
    sent = client.Request("sleep", 1, headers=[(name, stamps(250)[form])])
    response = client.fetch(traced.server.address, sent)
    (record, entry), = traced.join([sent])
    assert record["queue_source"] == "x-request-start", shown(record, entry)
    on_the_way_ms = (entry["start_ns"] - response.sent_ns) / 1e6
    assert abs(record["queue_ms"] - 250 - on_the_way_ms) < 8, shown(record, entry)


@pytest.mark.parametrize("value", ["", "t=", "soon", "12", "t=99999999999999999999", "-1", "1e9"])
def test_bad_header(traced, value):
    """Nothing is made of it: the socket says it, or nobody."""
    sent = client.Request("sleep", 1, headers=[("X-Request-Start", value)])
    client.fetch(traced.server.address, sent)
    (record, entry), = traced.join([sent])
    assert record["queue_source"] in ("socket", None), shown(record, entry)
    if record["queue_source"]:
        assert record["queue_ms"] < 100, shown(record, entry)
    else:
        assert record["queue_ms"] is None


def check_queue(record, entry, sent_ns):
    """From when the client sent it until the application was called: 2 ms or 3 %, and what the
    kernel's clock tick (4 ms) takes from it where only that tells."""
    where = shown(record, entry)
    waited_ms = (entry["start_ns"] - sent_ns) / 1e6
    assert record["queue_source"] == "socket", where
    assert abs(record["queue_ms"] - waited_ms) <= max(9, 0.03 * waited_ms), (waited_ms, where)


def behind_a_busy_one(traced, count):
    """[(record, entry, sent_ns)] of requests that come while another takes 300 ms."""
    busy = client.Request("sleep", 300)
    blocker = threading.Thread(target=client.fetch, args=(traced.server.address, busy))
    blocker.start()
    time.sleep(0.05)
    sent = [client.Request("sleep", 1) for _ in range(count)]
    responses = client.load(traced.server.address, sent, threads=count)
    blocker.join()
    return [(*pair, response.sent_ns)
            for pair, response in zip(traced.join(sent), responses)]


def test_behind_a_busy_thread(traced):
    """In the accept queue (sync, uWSGI) or accepted and queued for the pool (gthread)."""
    for record, entry, sent_ns in behind_a_busy_one(traced, 3):
        check_queue(record, entry, sent_ns)
        assert entry["start_ns"] - sent_ns > 200e6, "it did not wait"


def test_idle_server(traced):
    for _ in range(3):
        sent = client.Request("sleep", 1)
        response = client.fetch(traced.server.address, sent)
        (record, entry), = traced.join([sent])
        check_queue(record, entry, response.sent_ns)


def test_client_that_connects_early(traced):
    """What the client itself waits before it asks is nobody's queue. Not for the sync worker: it
    is not called before the request is there, but it is busy with the connection all the time."""
    sent = client.Request("sleep", 1)
    with client.connect(traced.server.address) as sock:
        time.sleep(0.15)
        sent_ns = time.monotonic_ns()
        sock.sendall(sent.encode())
        client.receive_rest(sock)
    (record, entry), = traced.join([sent])
    check_queue(record, entry, sent_ns)
    assert record["queue_ms"] < 100, shown(record, entry)


def test_keep_alive(wsgiscope):
    """The time between two requests on a connection is the client's."""
    with one_thread("gunicorn-gthread") as traced:
        sent = [client.Request("pid", keep=True) for _ in range(4)]
        sent_ns = []
        with client.Connection(traced.server.address) as connection:
            for each in sent:
                sent_ns.append(connection.fetch(each).sent_ns)
                time.sleep(0.12)
        for (record, entry), when in zip(traced.join(sent), sent_ns):
            check_queue(record, entry, when)


def test_large_request_behind_a_busy_thread(traced):
    """Headers and a body of several segments: the wait is still that of the request."""
    busy = client.Request("sleep", 300)
    blocker = threading.Thread(target=client.fetch, args=(traced.server.address, busy))
    blocker.start()
    time.sleep(0.05)
    sent = client.Request("body", method="POST", body=b"x" * 50_000)
    response = client.fetch(traced.server.address, sent)
    blocker.join()
    (record, entry), = traced.join([sent])
    check_queue(record, entry, response.sent_ns)


def test_unix_socket(wsgiscope):
    """There the kernel does not show it: null, not 0."""
    with one_thread("uwsgi-unix") as traced:
        for record, entry, _ in behind_a_busy_one(traced, 1):
            assert record["queue_ms"] is None and record["queue_source"] is None, (
                shown(record, entry))
