# SPDX-License-Identifier: BSD-2-Clause
"""Clients that vanish midway: the server is not disturbed, the record says so where the server
noticed."""
import pytest

import client
import servers
from tracer import Tracer

COUNT, SIZE = 400, 65536


@pytest.fixture(scope="module", params=servers.KINDS)
def traced(request, wsgiscope, pool):
    server = pool(request.param, "oracle")
    with Tracer("-p", server.pid) as tracer:
        yield server, tracer


@pytest.mark.parametrize("way", ["gen", "closing", "chunks"])
def test_client_vanishes(traced, way):
    server, tracer = traced
    workers = server.workers()
    request = client.Request(way, COUNT, SIZE)
    client.fetch_and_leave(server.address, request, after=5000)
    record = tracer.wait([request.uid], 15)[request.uid]
    assert record["outcome"] == "disconnect", record
    assert record["bytes"] < COUNT * SIZE
    if server.kind.direct and record["write_bytes"] is not None:
        assert 0 < record["write_bytes"] < COUNT * SIZE
    if way != "chunks":
        oracle, = server.oracle.wait([request.uid])
        assert oracle["outcome"] == "closed early"
        assert record["blocks"] == oracle["blocks"]
        assert record["bytes"] == oracle["bytes"]
    assert server.workers() == workers


def test_client_vanishes_before_the_answer(traced):
    """It has gone before the first block: whatever is said, it is not a lie, and the next
    request on the same worker is right."""
    server, tracer = traced
    request = client.Request("slow", 1, 10)
    with client.connect(server.address) as sock:
        sock.sendall(request.encode())
    after = client.Request("list", 1, 10)
    response = client.fetch(server.address, after)
    records = tracer.wait([request.uid, after.uid])
    assert records[request.uid]["outcome"] in ("ok", "disconnect", "exception")
    assert records[after.uid]["outcome"] == "ok"
    assert response.body == b"A" * 10
