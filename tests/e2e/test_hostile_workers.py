# SPDX-License-Identifier: BSD-2-Clause
"""Workers that misbehave in the middle of a request: every request that a client counted is a
record or a counted loss, and the other workers answer as if nobody looked."""
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time

import pytest

import client
import kernel
import marks
import procs
import servers
from daemon import Daemon
from test_lies import Liar, honest_records
from test_workers import ask_until_new, check_all_recorded, fresh
from tracer import Tracer

SAMPLE = ["list", "gen", "closing", "write", "not-found", "raise-first", "chunks"]


def sample(server):
    """{way: its normal response}, of requests that are well."""
    sent = [client.Request(way, 2, 300) for way in SAMPLE]
    answers = client.load(server.address, sent, threads=2)
    return {each.uid: (way, response.normal())
            for way, each, response in zip(SAMPLE, sent, answers)}


def check_sample(server, tracer, expected):
    """The same requests again: the same answers, a record each."""
    again = sample(server)
    assert dict(again.values()) == dict(expected.values())
    assert tracer.wait(again).keys() == again.keys(), tracer.stderr()


def check_sum(tracer, asked):
    """asked: the uids of all requests that were sent. Ends the tracer."""
    if tracer.process.poll() is None:
        assert tracer.stop() == 0, tracer.stderr()
    shown = [record["path"].rsplit("/", 1)[-1] for record in tracer.records()]
    shown = [uid for uid in shown if uid in asked]
    assert len(shown) == len(set(shown)), "a request has two records"
    assert len(shown) + tracer.lost_requests() == len(asked), (
        sorted(set(asked) - set(shown)), tracer.stderr())
    assert not tracer.left_behind()


def test_exec_in_a_request(wsgiscope):
    """The worker is another program before its answer is whole: the record says unclosed; the
    worker that replaces it is covered."""
    with fresh() as server, Tracer("-p", server.pid) as tracer:
        expected = sample(server)
        old = server.workers()
        request = client.Request("exec", 1, 100)
        assert client.fetch(server.address, request).status == 200
        record = tracer.wait([request.uid])[request.uid]
        assert record["outcome"] == "unclosed" and record["wire_status"] == 200
        assert record["write_bytes"] >= 100 and record["pid"] in old
        answered = ask_until_new(server, old)
        check_all_recorded(tracer, answered)
        again = sample(server)
        assert dict(again.values()) == dict(expected.values())
        check_sum(tracer, {request.uid, *expected, *answered, *again})



def test_out_of_descriptors(wsgiscope):
    """A worker that has no descriptor left is attached to and detached from all the same."""
    with fresh() as server:
        for pid in server.workers():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
        plain = client.fetch(server.address, client.Request("descriptors", 3, 500)).normal()
        with Tracer("-p", server.pid) as tracer:
            sent = [client.Request("descriptors", 3, 500) for _ in range(20)]
            answers = client.load(server.address, sent, threads=2)
            assert {answer.normal() for answer in answers} == {plain}
            records = tracer.wait([each.uid for each in sent])
            for each, answer in zip(sent, answers):
                assert records[each.uid]["write_bytes"] == len(answer.raw)
                assert records[each.uid]["blocks"] == 3
            check_sum(tracer, {each.uid for each in sent})


STREAM = ("stream", 250, 10)  # takes a second at least


def test_stopped(wsgiscope):
    """SIGSTOP in a request: the tracer comes and goes in the meantime, another one stays; the
    time that the worker stood still is in the record."""
    with fresh("waitress") as server:
        plain = client.fetch(server.address, client.Request(*STREAM)).normal()
        with Tracer("-p", server.pid) as tracer:
            request, later = client.Request(*STREAM), client.Request("list")
            with client.connect(server.address) as sock:
                sock.sendall(request.encode())
                assert procs.until(lambda: kernel.requests(tracer.pid) == 1, 5)
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    assert procs.until(lambda: procs.stat(server.pid)[0] == "T", 5)
                    with Tracer("-p", server.pid) as other:
                        assert other.stop() == 0, other.stderr()
                        assert not other.left_behind()
                    time.sleep(0.3)
                finally:
                    os.kill(server.pid, signal.SIGCONT)
                answer = client.Response(request, client.receive_rest(sock), 0, 0)
            assert answer.normal() == plain
            client.fetch(server.address, later)
            record = tracer.wait([request.uid, later.uid])[request.uid]
            assert record["application_ms"] > 1300 and record["outcome"] == "ok"
            states = sum(record["states_ms"].values())
            assert abs(states - record["application_ms"]) < 0.01
            check_sum(tracer, {request.uid, later.uid})


def test_detached_while_stopped(wsgiscope):
    """The request that stands still is in flight when the trace ends, and counted as that."""
    with fresh("waitress") as server:
        plain = client.fetch(server.address, client.Request(*STREAM)).normal()
        with Tracer("-p", server.pid) as tracer:
            request = client.Request(*STREAM)
            with client.connect(server.address) as sock:
                sock.sendall(request.encode())
                assert procs.until(lambda: kernel.requests(tracer.pid) == 1, 5)
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    check_sum(tracer, {request.uid})
                    assert tracer.losses() == {"in_flight": 1}
                finally:
                    os.kill(server.pid, signal.SIGCONT)
                answer = client.Response(request, client.receive_rest(sock), 0, 0)
            assert answer.normal() == plain
            assert not marks.raised(server.pid)


@contextlib.contextmanager
def memory_limit(pid, limit_bytes):
    """A control group of its own, of either version, in which the process has so much."""
    root = next((path for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
                 if "memory" in controllers(path)), None)
    name = "limit_in_bytes"
    if root:
        name = "max"
        subprocess.run(["sh", "-c", "echo +memory >%s/cgroup.subtree_control" % root],
                       check=False)
    elif os.path.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        root = "/sys/fs/cgroup/memory"
    else:
        pytest.skip("no memory controller of control groups is mounted")
    group = "%s/wsgiscope-e2e-%d" % (root, os.getpid())
    os.mkdir(group)
    try:
        with open(group + "/memory." + name, "w", encoding="ascii") as stream:
            stream.write(str(limit_bytes))
        with open(group + "/cgroup.procs", "w", encoding="ascii") as stream:
            stream.write(str(pid))
        yield
    finally:
        assert procs.until(lambda: group_removed(group), 10), group


def controllers(path):
    try:
        with open(path + "/cgroup.controllers", encoding="ascii") as stream:
            return stream.read().split()
    except OSError:
        return []


def group_removed(group):
    try:
        os.rmdir(group)
    except OSError:
        return False
    return True


def test_killed_for_its_memory(wsgiscope):
    with fresh() as server, Tracer("-p", server.pid) as tracer:
        expected = sample(server)
        old = server.workers()
        os.kill(old[1], signal.SIGSTOP)  # the other one answers
        request = client.Request("memory", 1, 100)
        try:
            with memory_limit(old[0], procs.memory_kb(old[0]) * 1024 + (48 << 20)):
                answer = client.fetch(server.address, request)
                assert not procs.wait_gone(old[:1], 10)
        finally:
            os.kill(old[1], signal.SIGCONT)
        assert answer.status == 200
        record = tracer.wait([request.uid])[request.uid]
        assert record["outcome"] == "unclosed" and record["pid"] == old[0]
        assert "signal 9" in server.log() or "SIGKILL" in server.log()
        answered = ask_until_new(server, old)
        check_all_recorded(tracer, answered)
        again = sample(server)
        assert dict(again.values()) == dict(expected.values())
        check_sum(tracer, {request.uid, *expected, *answered, *again})


def test_marker_is_unmapped(wsgiscope, marker):
    """What a worker puts in the marker's place is neither run nor written to, by what comes and
    goes."""
    with Liar(marker) as liar, Tracer("-p", liar.pid) as tracer:
        liar.say("honest")
        assert procs.until(lambda: len(honest_records(tracer)) == 1, 5)
        liar.say("unmapped")
        liar.say("unchanged")
        assert tracer.stop() == 0, tracer.stderr()
        liar.say("unchanged")
        late = Tracer("-p", liar.pid, "-d", "0.3", wait=False)
        with late:
            late.process.wait(10)
        liar.say("unchanged")
        assert not tracer.left_behind() and not late.left_behind()
        liar.process.kill()  # without its marker it cannot end as Python does
        liar.process.wait()
        liar.gone = True


def test_many_children(wsgiscope, marker):
    """A thousand children, each of which serves at once and ends, under the daemon: each request
    is counted, and nothing of them stays in the daemon or in its maps."""
    environ = dict(os.environ, PYTHONPATH=marker)
    with subprocess.Popen([servers.PYTHON, os.path.join(servers.APPS, "forker.py")], env=environ,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert procs.until(lambda: procs.maps(process.pid, "_marker"), 10)
            with Daemon("-p", process.pid) as daemon:
                for count in 200, 1000:
                    process.stdin.write("%d 0.001\n" % count)
                    process.stdin.flush()
                    assert len(process.stdout.readline().split()) == count
                counted = daemon.wait_total(1200, "wsgi_requests_total")
                assert (counted, daemon.total("wsgiscope_dropped_total")) == (1200, 0), (
                    daemon.get()[1])
                assert kernel.keys(daemon.pid, "processes") == [
                    process.pid.to_bytes(4, "little")]
                assert kernel.requests(daemon.pid) == 0
                assert daemon.total("wsgiscope_attached_processes") == 1
        finally:
            process.stdin.close()


def old_marker(tmp_path, version):
    """The marker as a package of another version has it, built from its source."""
    source = tmp_path / "python-shim"
    shutil.copytree(os.path.join(servers.ROOT, "python-shim"), source)
    header = source / "marks.h"
    text = header.read_text(encoding="utf-8")
    assert text.count("MARKS_VERSION 2\n") == 1, "this program's version has changed"
    header.write_text(text.replace("MARKS_VERSION 2\n", "MARKS_VERSION %d\n" % version),
                      encoding="utf-8")
    shutil.copytree(servers.marker_path(), tmp_path / "marker")
    package = tmp_path / "marker/wsgiscope"
    name = next(each for each in os.listdir(package) if each.endswith(".so"))
    (package / name).unlink()
    include = subprocess.run([servers.PYTHON, "-c", "import sysconfig; "
                              "print(sysconfig.get_paths()['include'])"],
                             capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["cc", "-std=gnu11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden",
                    "-I" + str(source), "-I" + include,
                    *map(str, sorted((source / "wsgiscope").glob("*.c"))), "-o",
                    str(package / name)], check=True)
    return tmp_path / "marker"


@pytest.mark.parametrize("version", [1, 3])
def test_marker_of_another_version(wsgiscope, folder, version):
    """The tracer was upgraded, its workers keep what they had (or the other way round): it says
    so, leaves their marker alone, and shows their requests by the wire, each of them."""
    path = {"PYTHONPATH": "%s:%s:%s" % (servers.HERE, servers.APPS, old_marker(folder, version))}
    with fresh(environ=path) as server:
        untraced = sample(server)
        with Tracer("-p", server.pid) as tracer:
            assert "marker of version %d" % version in tracer.stderr()
            assert not any(map(marks.raised, server.workers()))
            for _ in range(3):
                check_sample(server, tracer, untraced)
            assert tracer.stop() == 0
            records = tracer.records()
            assert {record["mode"] for record in records} == {"wire"}
            assert len(records) + tracer.lost_requests() == 3 * len(SAMPLE)


def test_all_workers_end_at_once(wsgiscope):
    """For longer than between two looks there is no marked worker, as where all are recycled at the
    same time on a busy machine: who hands requests on is not taken for who serves them, which would
    show each twice."""
    with fresh("mod_wsgi-daemon") as server, Tracer("-p", server.pid) as tracer:
        old = server.workers()
        os.kill(server.pid, signal.SIGSTOP)  # it begins no others meanwhile
        try:
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            time.sleep(5)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        asked = [client.Request("list") for _ in range(100)]
        for each in asked:
            assert procs.until(lambda: client.fetch(server.address, each).status == 200, 20)
            time.sleep(0.02)
        asked = {each.uid for each in asked}
        tracer.wait(asked)
        records = tracer.by_uid()
        assert {records[uid]["mode"] for uid in asked} == {"marker"}
        shown = [record for record in tracer.records() if record["status"] == 200]
        assert len(shown) == len(asked), [record["mode"] for record in shown]
        assert tracer.stop() == 0, tracer.stderr()
