# SPDX-License-Identifier: BSD-2-Clause
"""Whatever goes wrong is said in one clear line on stderr, with the right exit status (1 failed,
2 wrong usage), and nothing stays half attached."""
import os
import re
import resource
import signal
import subprocess
import time

import pytest

import client
import marks
import procs
import servers
from tracer import ATTACHED, BINARY, UPROBE_EVENTS, Tracer, probes, run

ABI = os.path.join(servers.HERE, "../../bpf/abi.h")
with open(ABI, encoding="utf-8") as header:
    REC_VERSION = int(re.search(r"^#define REC_VERSION (\d+)$", header.read(), re.M)[1])


@pytest.fixture(scope="module")
def server(pool, wsgiscope):
    return pool("gunicorn-sync", "marked")


@pytest.fixture(autouse=True)
def nothing_half_attached():
    """Every test of this file leaves the kernel's list of probes as it found it."""
    before = ours()
    yield
    assert procs.until(lambda: not ours() - before, 5), ours() - before


def ours():
    """The uprobes of tracers that do not live."""
    with open(UPROBE_EVENTS, encoding="utf-8") as stream:
        found = re.findall(r":(wsgiscope_(\d+))/", stream.read())
    return {group for group, pid in found if not procs.alive(int(pid))}


def check_one_line(result, status, *parts):
    lines = result.stderr.splitlines()
    assert result.returncode == status, result
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("wsgiscope: "), lines
    for part in parts:
        assert re.search(part, lines[0], re.I), (part, lines[0])
    assert result.stdout == ""


def gone_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("verb", ["trace", "record"])
def test_no_such_process(wsgiscope, verb, tmp_path):
    pid = gone_pid()
    output = ["-o", tmp_path / "recording"] if verb == "record" else []
    check_one_line(run(verb, "-p", pid, *output), 1, str(pid), "no process has the PID")
    assert not (tmp_path / "recording").exists() or verb == "trace"


def test_not_python(wsgiscope):
    process = subprocess.Popen(["sleep", "60"])
    try:
        check_one_line(run("trace", "-p", process.pid), 1, str(process.pid), "python")
    finally:
        process.terminate()
        process.wait()


def test_python_without_marker(wsgiscope):
    """Asked for the marker alone, it says how to add it."""
    process = subprocess.Popen([servers.PYTHON, "-c", "import time; print(1, flush=True); "
                                "time.sleep(60)"], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        check_one_line(run("trace", "-p", process.pid, "--mode", "marker"), 1, str(process.pid),
                       "mark")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_not_root(server):
    """As nobody: it says what is needed, and the server notices nothing."""
    result = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all",
         BINARY, "trace", "-p", str(server.pid), "-d", "1"],
        capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    check_one_line(result, 1, "root|privilege|CAP_|permi")


@pytest.mark.parametrize("arguments, said", [
    (["trace", "--jsn"], "--json"),
    (["trace", "--pth", "/"], "--path"),
    (["trace", "-Z"], "unknown option"),
    (["trce"], "trace"),
    (["trace", "-p", "zero"], "process number"),
    (["trace", "-p", "0"], "range"),
    (["trace", "-p", "99999999999999999999"], "range"),
    (["trace", "-d", "-1"], "seconds"),
    (["trace", "surplus"], "too many"),
    (["record"], "-o"),
    (["replay"], "FILE"),
])
def test_wrong_usage(wsgiscope, arguments, said):
    check_one_line(run(*arguments), 2, re.escape(said))


def test_no_verb(wsgiscope):
    result = run()
    assert result.returncode == 2 and "trace" in result.stderr and result.stdout == ""


@pytest.mark.parametrize("verb", ["check", "ps", "trace", "record", "replay"])
def test_help(wsgiscope, verb):
    result = run(verb, "-h")
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith("Usage: wsgiscope " + verb)


def test_worker_dies_while_attached(wsgiscope):
    with servers.Server("waitress") as server, Tracer("-p", server.pid) as tracer:
        request = client.Request("list")
        client.fetch(server.address, request)
        assert tracer.wait([request.uid])
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        if not procs.until(lambda: tracer.process.poll() is not None, 3):
            assert tracer.stop() == 0
        assert tracer.process.returncode == 0, tracer.stderr()
        assert not tracer.left_behind()


def test_worker_execs_while_attached(wsgiscope, marker):
    """A marked process becomes another program: nothing is left in it, the tracer goes on."""
    code = ("import sys, os, wsgiscope; wsgiscope.mark(lambda e, s: [])\n"
            "print('ready', flush=True); sys.stdin.readline(); os.execv('/bin/cat', ['cat'])\n")
    process = subprocess.Popen([servers.PYTHON, "-c", code], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True,
                               env={"PYTHONPATH": marker, "PATH": "/usr/bin:/bin"})
    try:
        assert process.stdout.readline() == "ready\n"
        with Tracer("-p", process.pid) as tracer:
            process.stdin.write("go\n")
            process.stdin.flush()
            assert procs.until(lambda: procs.cmdline(process.pid).startswith(b"cat"), 5)
            process.stdin.write("still alive\n")
            process.stdin.flush()
            assert process.stdout.readline() == "still alive\n"
            if tracer.process.poll() is None:
                assert tracer.stop() == 0
            assert tracer.process.returncode == 0, tracer.stderr()
            assert not tracer.left_behind()
    finally:
        process.communicate(timeout=5)
    assert process.returncode == 0


def test_stdout_closed_early(server):
    """| head -1: no error, no SIGPIPE death."""
    process = subprocess.Popen([BINARY, "trace", "--json", "-p", str(server.pid)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        assert line.startswith(ATTACHED), line
        client.fetch(server.address, client.Request("list"))
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        sent = [client.Request("list") for _ in range(20)]
        client.load(server.address, sent)
        assert process.wait(10) == 0
        assert "broken" not in process.stderr.read().lower()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()


def test_stdout_full(server):
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([BINARY, "trace", "--json", "-p", str(server.pid)],
                                   stdin=subprocess.DEVNULL, stdout=full,
                                   stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr.readline().startswith(ATTACHED)
            client.load(server.address, [client.Request("list") for _ in range(5)])
            _, said = process.communicate(timeout=10)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    assert process.returncode == 1
    assert said.count("No space left") == 1, said


@pytest.fixture
def tiny_disk(tmp_path):
    path = tmp_path / "tiny"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_full_disk_while_recording(server, tiny_disk):
    """It stops, says so, and what it wrote is a recording up to the last whole record."""
    path = tiny_disk / "recording"
    with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as tracer:
        for _ in range(10):
            client.load(server.address, [client.Request("list") for _ in range(20)])
            if procs.until(lambda: tracer.process.poll() is not None, 1):
                break
        assert tracer.process.poll() == 1, "it did not stop: %s" % tracer.stderr()
        assert tracer.stderr().count("No space left") == 1, tracer.stderr()
        assert not tracer.left_behind()
    result = run("replay", "--json", path)
    assert result.returncode == 0, result
    assert result.stdout.count("\n") > 3


def test_record_into_no_directory(server):
    check_one_line(run("record", "-p", server.pid, "-o", "/nonexistent/recording"), 1,
                   "/nonexistent/recording", "no such file")


def test_truncated_recording(server, tmp_path):
    path = tmp_path / "recording"
    with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as tracer:
        client.load(server.address, [client.Request("list") for _ in range(10)])
        time.sleep(0.3)
        assert tracer.stop() == 0
    data = path.read_bytes()
    whole = run("replay", "--json", path)
    assert whole.returncode == 0
    seen = set()
    for length in list(range(0, min(len(data), 200), 7)) + [len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        result = run("replay", "--json", path)
        assert result.returncode in (0, 1), (length, result)
        assert result.stderr.strip(), length
        assert whole.stdout.startswith(result.stdout), length
        seen.add(result.returncode)
    assert 1 in seen


@pytest.mark.parametrize("version, order", [(REC_VERSION + 1, "little"), (2**32 - 1, "little"),
                                            (2, "big")])
def test_future_recording(wsgiscope, tmp_path, version, order):
    """Of a later version, or of a machine of the other byte order."""
    path = tmp_path / "future"
    numbers = b"".join(number.to_bytes(4, order) for number in (0x01020304, version, 32, 0))
    path.write_bytes(b"\x89WSGISC\n" + numbers + bytes(8))
    said = "version" if order == "little" else "byte order"
    check_one_line(run("replay", path), 1, "future", said)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"not a recording\n" * 100,
                                     b"\xff" * 100, bytes(range(256)) * 16])
def test_foreign_recording(wsgiscope, tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    check_one_line(run("replay", path), 1, "foreign", "recording")


def test_replay_of_nothing(wsgiscope, tmp_path):
    check_one_line(run("replay", tmp_path / "absent"), 1, "absent", "no such file")
    check_one_line(run("replay", tmp_path), 1)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signal_at_any_moment(server, how):
    """Also while it starts: it ends soon, without a message but its footer, and leaves
    nothing."""
    for delay_ms in (0, 1, 3, 8, 20, 50, 100, 180, 300):
        process = subprocess.Popen(
            [BINARY, "trace", "--json", "-p", str(server.pid)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(delay_ms / 1000)
        heard = procs.catches(process.pid, how)  # not yet: a signal may end it as signals do
        process.send_signal(how)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0 or (not heard and process.returncode == -how), (
            delay_ms, process.returncode, said)
        assert procs.until(lambda: not probes(process.pid), 3), delay_ms
        assert procs.until(lambda: not any(map(marks.raised, server.workers())), 3), delay_ms
        assert client.fetch(server.address, client.Request("list")).status == 200
    assert heard


def test_duration_and_count(server):
    start = time.monotonic()
    with Tracer("-p", server.pid, "-d", "0.5") as tracer:
        assert tracer.process.wait(10) == 0
    assert time.monotonic() - start >= 0.5
    with Tracer("-p", server.pid, "-n", "3") as tracer:
        client.load(server.address, [client.Request("list") for _ in range(8)])
        assert tracer.process.wait(10) == 0
        assert len(tracer.records()) == 3


def test_filters(server):
    quick, slow, other = client.Request("list"), client.Request("slow"), client.Request("gen")
    sent = [quick, slow, other]
    with Tracer("-p", server.pid, "--min-ms", "40") as by_time, \
            Tracer("-p", server.pid, "--path", "/gen/*") as by_path:
        client.load(server.address, sent)
        assert by_time.wait([slow.uid]) and by_path.wait([other.uid])
        time.sleep(0.3)
        assert by_time.stop() == 0 and by_path.stop() == 0
        assert set(by_time.by_uid()) == {slow.uid}
        assert set(by_path.by_uid()) == {other.uid}


def test_few_descriptors(server):
    """A limit that it can run into: it works or says so, and never hangs."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))

    result = run("trace", "-p", server.pid, "-d", "0.3", preexec_fn=limit)
    assert result.returncode in (0, 1), result
    assert result.returncode == 0 or len(result.stderr.splitlines()) == 1, result.stderr


def test_control_characters_in_text_output(server):
    """The text output never passes an escape sequence to the terminal."""
    request = client.Request("list", extra="%1B%5B31mred%07%0Aline%7F%C2%9B")
    with Tracer("-p", server.pid, json_lines=False) as tracer:
        client.fetch(server.address, request)
        assert procs.until(lambda: request.uid in tracer.stdout(), 8)
        assert tracer.stop() == 0
        shown = tracer.stdout()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", shown), repr(shown)
    assert sum(request.uid in line for line in shown.splitlines()) >= 1
