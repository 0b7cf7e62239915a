# SPDX-License-Identifier: BSD-2-Clause
"""How long a request waited before the application was called: from the front end's header, else
from the socket. The truth is the client's clock, which is the server's: over loopback a request
arrives while the client is in its send(), and the clock is read before and after."""
import contextlib
import gzip
import re
import threading
import time

import pytest

import client
from conftest import need_server
from known_answers import StatesServer, Traced, shown

pytestmark = pytest.mark.alone


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


def stamps(now):
    """Header values of a moment, as front ends write them, and how fine they are, in ms."""
    return {"s": ("%.3f" % now, 1), "t=s": ("t=%.6f" % now, 0), "ms": ("%d" % (now * 1e3), 1),
            "t=ms": ("t=%d" % (now * 1e3), 1), "ms.": ("%.3f" % (now * 1e3), 0),
            "us": ("%d" % (now * 1e6), 0), "t=us": ("t=%d" % (now * 1e6), 0)}


# What the marks and the clocks' readings take.
CLOCKS_MS = 0.1


@pytest.mark.parametrize("name", ["X-Request-Start", "X-Queue-Start"])
@pytest.mark.parametrize("form", stamps(0))
def test_header(traced, name, form):
    before = time.monotonic_ns()
    value, fine_ms = stamps(time.time() - 0.250)[form]
    after = time.monotonic_ns()
    sent = client.Request("sleep", 1, headers=[(name, value)])
    client.fetch(traced.server.address, sent)
    (record, entry), = traced.join([sent])
    assert record["queue_source"] == "x-request-start", shown(record, entry)
    low, high = waited_ms(entry, before, after)
    assert (low - fine_ms - CLOCKS_MS <= record["queue_ms"] - 250
            <= high + fine_ms + CLOCKS_MS), (low, high, shown(record, entry))


@pytest.mark.parametrize("value", ["", "t=", "soon", "12", "t=99999999999999999999", "-1", "1e9"])
def test_bad_header(traced, value):
    """Nothing is made of it: the socket says it, or nobody."""
    sent = client.Request("sleep", 1, headers=[("X-Request-Start", value)])
    response = client.fetch(traced.server.address, sent)
    (record, entry), = traced.join([sent])
    if record["queue_source"] is not None:
        check_queue(record, entry, response.sent_ns, response.gone_ns)
    else:
        assert record["queue_ms"] is None


def waited_ms(entry, sent_ns, gone_ns):
    """From a moment between these two to the mark: (least, most)."""
    first, last = entry["called_ns"]
    return (first - gone_ns) / 1e6, (last - sent_ns) / 1e6


def tick_ms():
    """Of the kernel's clock; the longest where the configuration is not to be read."""
    with contextlib.suppress(OSError):
        with gzip.open("/proc/config.gz", "rt") as config:
            return 1000 / int(re.search(r"^CONFIG_HZ=(\d+)$", config.read(), re.M).group(1))
    return 10


# As long as no acknowledgement has gone out alone, the socket's time of its last packet is that of
# the request, to the us. That may happen when the server first reads, and does after
# TCP_DELACK_MIN. Then only the time of the last data tells, in ticks of the kernel's clock, and it
# is asked only where the two are more than two ticks apart: three, as they are cut.
DELAYED_MS = 40


def check_queue(record, entry, sent_ns, gone_ns):
    """From when the client sent it until the application was called; whether it is exact."""
    where = shown(record, entry)
    low, high = waited_ms(entry, sent_ns, gone_ns)
    assert record["queue_source"] == "socket", where
    under = tick_ms() * (3 if high < DELAYED_MS else 1)
    assert low - under - CLOCKS_MS <= record["queue_ms"] <= high + tick_ms() + CLOCKS_MS, (
        low, high, where)
    return low - CLOCKS_MS <= record["queue_ms"] <= high + CLOCKS_MS


def behind_a_busy_one(traced, count):
    """[(record, entry, response)] of requests that come while another takes 300 ms."""
    busy = client.Request("sleep", 300)
    blocker = threading.Thread(target=client.fetch, args=(traced.server.address, busy))
    blocker.start()
    time.sleep(0.05)
    sent = [client.Request("sleep", 1) for _ in range(count)]
    responses = client.load(traced.server.address, sent, threads=count)
    blocker.join()
    return [(*pair, response) for pair, response in zip(traced.join(sent), responses)]


def test_behind_a_busy_thread(traced):
    """In the accept queue (sync, uWSGI) or accepted and queued for the pool (gthread)."""
    for record, entry, response in behind_a_busy_one(traced, 3):
        check_queue(record, entry, response.sent_ns, response.gone_ns)
        assert entry["start_ns"] - response.sent_ns > 200e6, "it did not wait"


def test_idle_server(traced):
    """Some are exact, those that the server has not acknowledged before it called."""
    exact = 0
    for _ in range(10):
        sent = client.Request("sleep", 1)
        response = client.fetch(traced.server.address, sent)
        (record, entry), = traced.join([sent])
        exact += check_queue(record, entry, response.sent_ns, response.gone_ns)
    assert exact


def test_client_that_connects_early(traced):
    """What the client itself waits before it asks is nobody's queue. Not for the sync worker: it
    is not called before the request is there, but it is busy with the connection all the time."""
    sent = client.Request("sleep", 1)
    with client.connect(traced.server.address) as sock:
        time.sleep(0.15)
        sent_ns = time.monotonic_ns()
        sock.sendall(sent.encode())
        gone_ns = time.monotonic_ns()
        client.receive_rest(sock)
    (record, entry), = traced.join([sent])
    check_queue(record, entry, sent_ns, gone_ns)


def test_keep_alive(wsgiscope):
    """The time between two requests on a connection is the client's."""
    with one_thread("gunicorn-gthread") as traced:
        sent = [client.Request("pid", keep=True) for _ in range(4)]
        responses = []
        with client.Connection(traced.server.address) as connection:
            for each in sent:
                responses.append(connection.fetch(each))
                time.sleep(0.12)
        for (record, entry), response in zip(traced.join(sent), responses):
            check_queue(record, entry, response.sent_ns, response.gone_ns)


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
    check_queue(record, entry, response.sent_ns, response.gone_ns)


def test_unix_socket(wsgiscope):
    """There the kernel does not show it: null, not 0."""
    with one_thread("uwsgi-unix") as traced:
        for record, entry, _ in behind_a_busy_one(traced, 1):
            assert record["queue_ms"] is None and record["queue_source"] is None, (
                shown(record, entry))
