# SPDX-License-Identifier: BSD-2-Clause
"""Tracers whose disk is full: what is in the file and what they say did not fit into it are all
that a client counted, and what is there can be replayed."""
import os
import re
import resource
import signal
import subprocess

import pytest

import client
import marks
import procs
from test_hostile_tracers import ask, untraced
from tracer import Tracer, counted, run

ROOM = 64 * 1024
FULL = re.compile(r"^wsgiscope: cannot write \S+: (.*); (\d+) requests are in it and can be "
                  r"replayed, (\d+) did not fit$", re.M)


@pytest.fixture
def tiny_disk(tmp_path):
    path = tmp_path / "tiny"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % ROOM, "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture(params=["marked", "plain"])
def server(pool, wsgiscope, request):
    return pool("gunicorn-gthread", request.param)


def fill(tracer, server, expected):
    """The uids of more requests than there is room for. The last come while the tracer stands
    still, so that none is under way, nor asked after its end."""
    uids = ask(server, expected, 40)
    os.kill(tracer.pid, signal.SIGSTOP)
    try:
        return uids | ask(server, expected, 400)
    finally:
        os.kill(tracer.pid, signal.SIGCONT)


def check_recording(path, tracer, uids, why):
    """It has ended with one line, which says what replay shows of it and what not."""
    assert tracer.process.wait(20) == 1, tracer.stderr()
    said = FULL.findall(tracer.stderr())
    assert len(said) == 1 and said[0][0] == why, tracer.stderr()
    assert len(tracer.stderr().splitlines()) == 2, tracer.stderr()
    result = run("replay", "--json", path)
    assert result.returncode == 0, result
    shown = [uid for uid in re.findall(r"/(u[0-9a-f]+)\"", result.stdout) if uid in uids]
    lost = counted(result.stderr, "lost")
    assert shown and len(shown) == len(set(shown)) == int(said[0][1])
    assert lost["unwritten"] == int(said[0][2]) > 0
    assert len(shown) + sum(lost.values()) == len(uids), (lost, len(shown), len(uids))


def test_full_disk(server, tiny_disk):
    """record says how much of it is there, and that much can be shown; the worker goes on."""
    path, expected = tiny_disk / "recording", untraced(server)
    with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as tracer:
        uids = fill(tracer, server, expected)
        check_recording(path, tracer, uids, "No space left on device")
        assert path.stat().st_size <= ROOM
        assert not tracer.left_behind()
        if server.variant == "marked":
            assert not any(map(marks.raised, server.workers()))
    ask(server, expected, 8)


def test_limited_file(server, tmp_path):
    """The same for a limit to the size of files, which is also a signal."""
    path, expected = tmp_path / "recording", untraced(server)
    with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as tracer:
        resource.prlimit(tracer.pid, resource.RLIMIT_FSIZE, (ROOM, ROOM))
        uids = fill(tracer, server, expected)
        check_recording(path, tracer, uids, "File too large")
        assert not tracer.left_behind()
    ask(server, expected, 8)


def test_no_room_at_all(server, tiny_disk):
    """Not even for the header: nothing is in it, and that is said."""
    (tiny_disk / "ballast").write_bytes(b"x" * ROOM)
    with Tracer("-p", server.pid, "-o", tiny_disk / "recording", verb="record",
                json_lines=False) as tracer:
        assert tracer.process.wait(20) == 1, tracer.stderr()
        assert "No space left on device; 0 requests are in it" in tracer.stderr()
    result = run("replay", tiny_disk / "recording")
    assert result.returncode == 1 and "is empty" in result.stderr


def test_full_disk_for_stacks(server, tiny_disk):
    """Profiles that do not fit are said; the requests themselves are all shown."""
    profiles, expected = tiny_disk / "profiles", untraced(server)
    profiles.mkdir()
    (tiny_disk / "ballast").write_bytes(b"x" * ROOM)
    with Tracer("-p", server.pid, "--stacks", profiles) as tracer:
        slow = [client.Request("slow") for _ in range(20)]
        client.load(server.address, slow)
        status = tracer.process.wait(3) if ended(tracer) else tracer.stop()
        assert status == 1 and tracer.stderr().count("No space left") >= 1, tracer.stderr()
        assert not tracer.left_behind()
    ask(server, expected, 8)


def ended(tracer):
    return procs.until(lambda: tracer.process.poll() is not None, 3)
