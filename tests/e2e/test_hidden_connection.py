# SPDX-License-Identifier: BSD-2-Clause
"""A server that does not let the client's descriptor be seen: the connection is the one that the
thread has read last, as long as its requests come one after the other. Where they overlap nothing
is guessed: null, not another's bytes."""
import pytest

import client
import programs
import servers
from conftest import need_server
from tracer import Tracer

HIDDEN = """
import io
import matrix
from wsgiscope import mark

marked = mark(matrix.plain)

def application(environ, start_response):
    environ.pop("gunicorn.socket")
    environ["wsgi.input"] = io.BytesIO()
    return marked(environ, start_response)
"""


def program(folder, *options):
    need_server("gunicorn-sync")
    (folder / "hidden.py").write_text(HIDDEN)
    env = programs.environ(str(folder), servers.HERE, servers.marker_path())
    return programs.Program(["/usr/bin/gunicorn", "--bind", "127.0.0.1:PORT", *options,
                             "hidden:application"], env, folder)


def learn(address, tracer):
    """Asks until writes are known; how many requests came before."""
    for count in range(20):
        request = client.Request("list")
        client.fetch(address, request)
        record = tracer.wait([request.uid])[request.uid]
        if record["write_bytes"]:
            return count
        assert record["write_bytes"] is None and "writes_unseen" in record["notes"], record
    raise AssertionError("never learned\n" + tracer.stderr())


def test_one_after_the_other(wsgiscope, folder):
    with program(folder) as running:
        running.wait_ready()
        address = ("127.0.0.1", running.port)
        with Tracer("-p", running.pid) as tracer:
            assert learn(address, tracer) >= 1
            sent = [client.Request("gen", 1 + index, 100) for index in range(12)]
            responses = [client.fetch(address, each) for each in sent]
            records = tracer.wait([each.uid for each in sent])
            assert tracer.stop() == 0 and not tracer.lost_requests(), tracer.stderr()
    for each, response in zip(sent, responses):
        assert records[each.uid]["write_bytes"] == len(response.raw), records[each.uid]


def test_overlapping(wsgiscope, folder):
    """Greenlets: three at a time on one thread, of different lengths."""
    pytest.importorskip("gevent", reason="apt-get install python3-gevent")
    with program(folder, "--worker-class", "gevent") as running:
        running.wait_ready()
        address = ("127.0.0.1", running.port)
        with Tracer("-p", running.pid) as tracer:
            learn(address, tracer)
            sent = [client.Request("stream", 3 + index % 5, 100 + index) for index in range(18)]
            responses = client.load(address, sent, threads=3)
            tracer.wait([each.uid for each in sent])
            records = tracer.records()
            assert tracer.stop() == 0 and not tracer.losses(), tracer.stderr()
    unseen = 0
    for each, response in zip(sent, responses):
        found = [record for record in records if record["path"] == each.target]
        assert len(found) == 1, found
        assert found[0]["bytes"] == len(response.body), found
        if found[0]["write_bytes"] is None:
            assert "writes_unseen" in found[0]["notes"], found
            unseen += 1
        else:
            assert found[0]["write_bytes"] == len(response.raw), found
    assert unseen
