# SPDX-License-Identifier: BSD-2-Clause
"""record then replay shows what trace showed; ps and check on live servers."""
import json
import os
import subprocess

import pytest

import client
import procs
import servers
from cases import CASES, requests
from tracer import Tracer, run

# The two tracers' clocks are read apart, so the time of day may differ by a little.
LABELS = [label for label in CASES if label not in ("list-big", "file")]


def comparable(record):
    """What two tracers must agree on: all but what each measures itself."""
    return {key: value for key, value in record.items()
            if key not in ("time", "write_ms", "first_byte_ms", "queue_ms", "states_ms", "gc_ms",
                           "socket_read_client_ms", "socket_read_peer_ms")}


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "waitress", "uwsgi"])
def test_replay_is_what_trace_showed(kind, wsgiscope, pool, tmp_path):
    server = pool(kind, "marked")
    path = tmp_path / "recording"
    sent = requests(1, LABELS)
    with Tracer("-p", server.pid) as tracer, \
            Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as recorder:
        client.load(server.address, [each for _, each in sent])
        live = tracer.wait([each.uid for _, each in sent])
        assert len(live) == len(sent)
        assert recorder.stop() == 0, recorder.stderr()
        assert tracer.stop() == 0
    replayed = run("replay", "--json", path)
    assert replayed.returncode == 0, replayed.stderr
    records = [json.loads(line) for line in replayed.stdout.splitlines()]
    found = {record["path"].rsplit("/", 1)[-1]: record for record in records
             if "method" in record}
    for label, each in sent:
        assert comparable(found[each.uid]) == comparable(live[each.uid]), label
    assert run("replay", "--json", path).stdout == replayed.stdout
    text = run("replay", path)
    assert text.returncode == 0 and sent[0][1].uid in text.stdout


def test_replay_filters(wsgiscope, pool, tmp_path):
    server = pool("gunicorn-sync", "marked")
    path = tmp_path / "recording"
    quick, slow = client.Request("list"), client.Request("slow")
    with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as recorder:
        client.load(server.address, [quick, slow])
        assert recorder.stop() == 0
    shown = run("replay", "--json", "--min-ms", "40", path).stdout
    assert slow.uid in shown and quick.uid not in shown
    shown = run("replay", "--json", "--path", "/list/*", path).stdout
    assert quick.uid in shown and slow.uid not in shown


def test_replay_needs_no_root(wsgiscope, pool, tmp_path):
    server = pool("gunicorn-sync", "marked")
    path = os.path.join(server.directory, "recording")
    request = client.Request("list")
    with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as recorder:
        client.fetch(server.address, request)
        assert recorder.stop() == 0
    os.chmod(path, 0o644)
    shown = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
         recorder.command[0], "replay", "--json", path],
        capture_output=True, text=True, check=True, timeout=20).stdout
    assert request.uid in shown


def test_blocks(wsgiscope, pool):
    """--blocks: each block's size, in order; attached only where asked for."""
    import marks
    server = pool("gunicorn-sync", "marked")
    request = client.Request("stream", 5, 100)
    with Tracer("-p", server.pid) as tracer:
        assert not any(marks.values(pid)["request_block"] for pid in server.workers())
        assert tracer.stop() == 0
    with Tracer("-p", server.pid, "--blocks") as tracer:
        assert all(marks.values(pid)["request_block"] for pid in server.workers())
        client.fetch(server.address, request)
        record = tracer.wait([request.uid])[request.uid]
        assert tracer.stop() == 0
        lines = [json.loads(line) for line in tracer.stdout().splitlines()]
    blocks = [line for line in lines if line.get("id") == record["id"] and "block" in line]
    assert [block["block"] for block in blocks] == [1, 2, 3, 4, 5], lines
    assert [block["bytes"] for block in blocks] == [100] * 5


@pytest.mark.parametrize("kind", servers.KINDS)
def test_ps(kind, wsgiscope, pool):
    server = pool(kind, "marked")
    result = run("ps", "--json")
    assert result.returncode == 0, result.stderr
    found = {line["pid"]: line for line in map(json.loads, result.stdout.splitlines())}
    for pid in server.workers():
        line = found[pid]
        assert line["server"] == server.kind.record, line
        assert line["parent"] == procs.parent(pid)
        assert line["python"].startswith("3.11"), line
        assert line["threads"] == len(os.listdir("/proc/%d/task" % pid))
        assert line["marker"], line
    assert str(server.workers()[0]) in run("ps").stdout


def test_ps_without_marker(wsgiscope, pool):
    server = pool("waitress", "plain")
    lines = map(json.loads, run("ps", "--json").stdout.splitlines())
    line = next(line for line in lines if line["pid"] == server.pid)
    assert line["server"] == "waitress" and not line["marker"]


def test_check(wsgiscope, pool):
    server = pool("gunicorn-sync", "marked")
    result = run("check")
    assert result.returncode == 0, result
    result = run("check", "-p", server.pid)
    assert result.returncode == 0, result
    assert "gunicorn" in result.stdout and "3.11" in result.stdout
    result = run("check", "-p", pool("waitress", "plain").pid)
    assert result.returncode == 0 and "by the wire" in result.stdout, result
    assert "from wsgiscope import mark" in result.stdout
