# SPDX-License-Identifier: BSD-2-Clause
"""`mark` and `unmark` where they are not to do anything: this machine's own Python is too old for
them. What they do on one that is not is tests/pythons/check_mark.py's."""
import os
import subprocess

import pytest

import procs
from tracer import run


@pytest.fixture(scope="module")
def server(pool, wsgiscope):
    return pool("gunicorn-sync", "plain")


@pytest.mark.parametrize("verb", ["mark", "unmark"])
def test_not_without_yes(server, verb):
    done = run(verb, "-p", server.pid)
    assert (done.returncode, done.stdout) == (2, "") and "--yes" in done.stderr, done
    assert len(done.stderr.splitlines()) == 1


def test_not_without_a_pid(wsgiscope):
    done = run("mark", "--yes")
    assert done.returncode == 2 and "mark needs -p PID" in done.stderr, done


@pytest.mark.parametrize("verb", ["mark", "unmark"])
def test_older_python(server, verb):
    """Each process says why; none is touched."""
    before = {pid: os.listdir("/proc/%d/fd" % pid) for pid in procs.tree(server.pid)}
    done = run(verb, "-p", server.pid, "--yes")
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and len(lines) == len(before), done
    for line in lines:
        assert "FAILED" in line and "from 3.14 on" in line, line
    assert not any(procs.maps(pid, "_marker") for pid in before)
    assert not [name for name in os.listdir("/tmp") if name.startswith("wsgis-")]


def test_what_is_no_python(wsgiscope):
    with subprocess.Popen(["sleep", "30"]) as process:
        done = run("mark", "-p", process.pid, "--yes")
        process.kill()
    assert done.returncode == 1 and "is not CPython" in done.stderr, done
    done = run("mark", "-p", process.pid, "--yes")
    assert done.returncode == 1 and "No such process" in done.stderr, done


def test_nothing_of_a_marker(server, tmp_path):
    done = run("mark", "-p", server.pid, "--yes", "--marker", tmp_path)
    assert done.returncode == 1 and "no package wsgiscope" in done.stderr, done
