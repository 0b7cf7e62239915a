# SPDX-License-Identifier: BSD-2-Clause
"""Slow readers and big bodies: servers that go on writing after close(), from another thread or
process. What is said to have been written was written; what was not seen is said to be unseen."""
import pytest

import client
import servers
import table_servers
from table_servers import TableServer
from tracer import Tracer

# More than what both ends' socket buffers hold, so that the server has to wait.
SIZE = 8_000_000
RCVBUF = 65536
PACE = (1_000_000, 0.04)
PAUSE = (6_000_000, 0.5)


@pytest.fixture(scope="module", params=servers.KINDS)
def traced(request, wsgiscope, pool):
    server = pool(request.param, "oracle")
    with Tracer("-p", server.pid) as tracer:
        yield server, tracer


@pytest.mark.parametrize("way", ["list", "gen", "file"])
def test_slow_reader(traced, way):
    server, tracer = traced
    request = client.Request(way, 2, SIZE // 2)
    response = client.fetch(server.address, request, rcvbuf=RCVBUF, pace=PACE)
    assert response.status == 200
    assert len(response.body) == (servers.FILE_BYTES if way == "file" else SIZE)
    record = tracer.wait([request.uid])[request.uid]
    check(record, response, server.kind)
    if way != "file":
        assert record["bytes"] == SIZE and record["blocks"] == 2
    if not server.kind.late and way == "gen":
        output_ms = server.oracle.wait([request.uid])[0]["output_ns"] / 1e6
        assert output_ms > 20, "the server did not wait for its client"
        assert 0.9 * output_ms <= record["output_ms"] <= output_ms + 0.001


def check(record, response, kind):
    """Complete, or null or short with a note: never wrong."""
    if not kind.direct:
        assert record["socket"] == "unix"
        assert record["write_bytes"] is None or record["write_bytes"] >= len(response.body)
        return
    if record["write_bytes"] == len(response.raw):
        assert record["write_calls"] >= 1
        return
    notes = record["notes"]
    assert kind.late, record
    if record["write_bytes"] is None:
        assert "writes_unseen" in notes, record
    else:
        assert "writes_cut" in notes and record["write_bytes"] < len(response.raw), record


def test_a_slow_reader_does_not_mix_requests(traced):
    """A quick request during a slow one: each has its own bytes."""
    server, tracer = traced
    slow = client.Request("list", 1, SIZE)
    quick = [client.Request("list", 1, 100) for _ in range(6)]
    with client.connect(server.address, RCVBUF) as sock:
        sock.sendall(slow.encode())
        first = sock.recv(1000)
        others = [client.fetch(server.address, each) for each in quick]
        raw = first + client.receive_rest(sock)
    records = tracer.wait([each.uid for each in [slow] + quick])
    check(records[slow.uid], client.Response(slow, raw, 0, 0), server.kind)
    for each, response in zip(quick, others):
        check(records[each.uid], response, server.kind)


@pytest.mark.parametrize("kind", ["twisted", "tornado", "gevent", "waitress"])
def test_a_pause_is_not_the_end(wsgiscope, kind):
    """A client that reads nothing for longer than a writer is waited for that may have ended. Some
    servers find out by a write that takes less than it was given; Twisted writes only what fits."""
    pytest.importorskip(kind, reason="apt-get install python3-" + kind)
    with TableServer(kind, table_servers.unaware(kind)) as server, \
            Tracer("-p", server.pid) as tracer:
        requests = [client.Request("list"), client.Request("gen", 4, SIZE // 2)]
        for request in requests:
            response = client.fetch(server.address, request, rcvbuf=RCVBUF, pace=PAUSE)
            record = tracer.wait([request.uid], 12)[request.uid]
            assert record["write_bytes"] == len(response.raw), record
            assert "writes_cut" not in record["notes"], record
