# SPDX-License-Identifier: BSD-2-Clause
"""What servers recognise by identity survives the mark while it is traced: each breakage that a
naive proxy causes (doc/servers.md) is a test here."""
import os
import re
import subprocess
import time

import pytest

import client
import procs
import servers
from tracer import Tracer

SENDFILE = [name for name, kind in servers.KINDS.items() if kind.sendfile]
ONE = [name for name, kind in servers.KINDS.items() if kind.one]


@pytest.fixture(scope="module", params=servers.KINDS)
def traced(request, wsgiscope, pool):
    server = pool(request.param, "marked")
    with Tracer("-p", server.pid) as tracer:
        yield server, tracer


def fetch(traced, *args, **kwargs):
    """The response, and the record that shows that it was traced."""
    server, tracer = traced
    request = client.Request(*args, **kwargs)
    response = client.fetch(server.address, request)
    record = tracer.wait([request.uid]).get(request.uid)
    assert record, "not traced"
    return response, record


def test_length_of_a_list_of_one(traced):
    response, record = fetch(traced, "chunks", 1, 10)
    assert record["blocks"] == 1 and record["bytes"] == 10
    assert response.body == b"A" * 10
    if traced[0].kind.one:
        assert response.headers["content-length"] == "10"
        assert not response.chunked
    else:
        assert "content-length" not in response.headers


def test_a_list_of_two_is_no_list_of_one(traced):
    response, record = fetch(traced, "chunks", 2, 10)
    assert record["blocks"] == 2
    assert "content-length" not in response.headers
    assert response.body == b"A" * 10 + b"B" * 10


def test_bytes_returned(traced):
    """uWSGI sends them; through a proxy it sent an empty 200."""
    response, record = fetch(traced, "bytes", 1, 1000)
    assert record["bytes"] == 1000 and "returned_bytes" in record["notes"]
    if traced[0].kind.record == "uwsgi":
        assert response.status == 200 and response.body == b"A" * 1000


def test_file_arrives(traced):
    server = traced[0]
    response, record = fetch(traced, "file")
    with open(server.file_path, "rb") as stream:
        assert response.body == stream.read()
    assert "file_wrapper" in record["notes"]
    if server.kind.direct:
        assert record["write_bytes"] == len(response.raw)


def test_readable_object_arrives(traced):
    response, record = fetch(traced, "file_read", 4, 20_000)
    assert len(response.body) == 80_000
    assert "file_wrapper" in record["notes"]


def system_calls(server, names, act):
    """The system calls `names` of the server's workers during act(), as strace writes them."""
    path = os.path.join(server.directory, "strace.out")
    command = ["strace", "-f", "-qq", "-e", "trace=" + names, "-e", "signal=none", "-o", path]
    for pid in server.workers():
        command += ["-p", str(pid)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        assert procs.until(lambda: all(traced_by(pid, process.pid) for pid in server.workers()),
                           10), "strace did not attach"
        act()
        time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(10)
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def traced_by(pid, tracer_pid):
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, tid), encoding="utf-8") as stream:
            if "TracerPid:\t%d\n" % tracer_pid not in stream.read():
                return False
    return True


@pytest.mark.parametrize("kind", SENDFILE)
def test_sendfile_survives(kind, wsgiscope, pool):
    server = pool(kind, "marked")
    request = client.Request("file")
    with Tracer("-p", server.pid) as tracer:
        calls = system_calls(server, "sendfile", lambda: client.fetch(server.address, request))
        record = tracer.wait([request.uid])[request.uid]
    sent = sum(int(count) for count in re.findall(r"sendfile\(.*\) = (\d+)", calls))
    sent += sum(int(count) for count in re.findall(r"sendfile resumed>.*\) = (\d+)", calls))
    assert sent == servers.FILE_BYTES, calls
    assert record["write_bytes"] > servers.FILE_BYTES


def test_waitress_recognises_its_wrapper(wsgiscope, pool):
    """Its isinstance path sends the file with a Content-Length and in few calls."""
    server = pool("waitress", "marked")
    request = client.Request("file_read", 1, 1000)
    big = client.Request("file")
    with Tracer("-p", server.pid) as tracer:
        response = client.fetch(server.address, request)
        client.fetch(server.address, big)
        records = tracer.wait([request.uid, big.uid])
    plain = client.fetch(pool("waitress", "plain").address, client.Request("file_read", 1, 1000))
    assert response.normal().split(b"\r\n\r\n")[0] == plain.normal().split(b"\r\n\r\n")[0]
    assert records[big.uid]["write_calls"] < servers.FILE_BYTES / 8192


def test_validator_is_content(wsgiscope, pool):
    """wsgiref.validate around and inside the mark finds nothing wrong while it is traced."""
    with servers.Server("gunicorn-sync", "validated") as server:
        with Tracer("-p", server.pid) as tracer:
            sent = [client.Request(way, 3, 50) for way in
                    ("list", "gen", "closing", "bare", "write", "nothing", "late", "raise_close")]
            responses = [client.fetch(server.address, each) for each in sent]
            assert len(tracer.wait([each.uid for each in sent])) == len(sent)
        log = server.log()
    assert [response.status for response in responses] == [200] * len(sent)
    assert "AssertionError" not in log
