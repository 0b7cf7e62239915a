# SPDX-License-Identifier: BSD-2-Clause
"""Without -p: workers that start after the tracer, with markers that nobody had before, in other
mount and PID namespaces, on overlays. Other tests' workers may be traced too; only our own requests
are looked at. What is asked of a server before its marker is armed is not seen, so each test waits
for that, as nobody else would have to whose server is already running."""
import os
import shutil
import signal
import struct
import subprocess

import pytest

import marks
import procs
import servers
from test_workers import ask, ask_until_new, check_all_recorded, fresh
from tracer import Tracer

PYTHON_FILE = os.path.realpath(servers.PYTHON)
# Everybody's uids are in the paths; only what asks so is shown.
OURS = ["--path", "/pid/*"]

pytestmark = pytest.mark.alone  # its tracers attach to all processes


@pytest.fixture
def copy(tmp_path):
    """copy(name): a directory with a marker of its own (another file, another inode)."""
    tmp_path.chmod(0o755)
    for directory in tmp_path.parents:
        if directory.stat().st_uid == os.getuid() and str(directory).startswith("/tmp/pytest"):
            directory.chmod(0o755)

    def make(name):
        return shutil.copytree(servers.marker_path(), tmp_path / name)
    return make


def path_of(*directories):
    return {"PYTHONPATH": ":".join([servers.HERE, servers.APPS, *map(str, directories)])}


def armed(server):
    def all_raised():
        try:
            return server.workers() and all(map(marks.raised, server.workers()))
        except (OSError, ValueError):
            return False  # one has gone since
    return procs.until(all_raised, 5)


@pytest.mark.parametrize("kind", ["gunicorn-sync", "gunicorn-gthread", "uwsgi", "waitress",
                                  "mod_wsgi-daemon"])
def test_another_marker(wsgiscope, copy, kind):
    """A file that no process had loaded when the tracer began."""
    with Tracer(*OURS) as tracer, fresh(kind, environ=path_of(copy("marker"))) as server:
        assert armed(server), "not armed"
        check_all_recorded(tracer, ask(server, 8))


def test_many_markers(wsgiscope, copy):
    """One virtual environment each, all at once; then the first one's server starts again."""
    directories = [copy("marker-%d" % number) for number in range(4)]
    with Tracer(*OURS) as tracer:
        for _ in range(2):
            several = [fresh("waitress", environ=path_of(each)) for each in directories]
            try:
                for server in several:
                    server.start()
                for server in several:
                    assert armed(server)
                    check_all_recorded(tracer, ask(server, 4))
            finally:
                for server in several:
                    if server.process:
                        server.stop()


def test_upgrade(wsgiscope, copy):
    """The marker is replaced under running workers; those that come load the new file, while the
    old ones go on with the deleted one."""
    directory = copy("marker")
    with Tracer(*OURS) as tracer, fresh(environ=path_of(directory)) as server:
        assert armed(server)
        old = server.workers()
        new = copy("new")
        for name in os.listdir(new / "wsgiscope"):
            if name.endswith(".so"):
                os.replace(new / "wsgiscope" / name, directory / "wsgiscope" / name)
        check_all_recorded(tracer, ask(server, 4))
        os.kill(server.pid, signal.SIGTTIN)
        assert procs.until(lambda: len(server.workers()) == 3, 10)
        assert armed(server)
        check_all_recorded(tracer, ask_until_new(server, old))
        check_all_recorded(tracer, ask(server, 4))
        os.kill(server.pid, signal.SIGHUP)
        assert not procs.wait_gone(old, 15)
        assert procs.until(lambda: len(server.workers()) == 2, 10)
        assert armed(server)
        check_all_recorded(tracer, ask(server, 8))


class Container(servers.Server):
    """A server in mount and PID namespaces of its own, where `mounts` ([(what, where)]) hide what
    is there on the host. pid() of its application is not the host's."""

    def __init__(self, kind, mounts, **kwargs):
        super().__init__(kind, **kwargs)
        binds = "".join("mount --bind '%s' '%s' && " % pair for pair in mounts)
        inner = self.kind.command
        self.kind = self.kind._replace(command=lambda server: [
            servers.UNSHARE, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            "/bin/sh", "-c", binds + 'exec "$@"', "sh", *inner(server)])

    def workers(self):
        found = [pid for pid in procs.tree(self.pid) if procs.maps(pid, "_marker")]
        self.tree.update(procs.tree(self.pid))
        if self.kind.workers > 1:
            found = [pid for pid in found if procs.parent(pid) in procs.tree(self.pid)]
        return sorted(found)

    def stop(self):
        """The first process of a PID namespace takes no signal that it does not handle."""
        first = [pid for pid in procs.tree(self.pid) if procs.parent(pid) == self.pid]
        for pid in first:
            procs.send(pid, signal.SIGTERM)
        procs.wait_gone(first, 5)
        return super().stop()


def check_host_pids(tracer, server, answered):
    """Every request is there, with the PID that the host knows the worker by."""
    records = tracer.wait(answered)
    assert records.keys() == answered.keys(), tracer.losses()
    assert {record["pid"] for record in records.values()} <= set(server.workers())
    assert not {record["pid"] for record in records.values()} & set(answered.values())


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "waitress"])
@pytest.mark.parametrize("first", ["tracer", "server"])
def test_containers(wsgiscope, copy, tmp_path, kind, first):
    """Its own copies of Python and of the marker, at the paths that the host has its own at."""
    python = shutil.copy(PYTHON_FILE, tmp_path / "python")
    mounts = [(copy("inside"), servers.marker_path()), (python, PYTHON_FILE)]

    def both():
        return fresh(kind), Container(kind, mounts)

    if first == "tracer":
        with Tracer(*OURS) as tracer:
            check_containers(tracer, *both())
        return
    host, container = both()
    with host, container, Tracer(*OURS) as tracer:
        check_containers_run(tracer, host, container)


def check_containers(tracer, host, container):
    with host, container:
        check_containers_run(tracer, host, container)


def check_containers_run(tracer, host, container):
    for server in host, container:
        assert armed(server)
    check_all_recorded(tracer, ask(host, 8))
    check_host_pids(tracer, container, ask(container, 8))


def overlay(tmp_path, name, lower):
    """An overlay mount over `lower`; unmounted by the caller."""
    parts = {part: tmp_path / ("%s-%s" % (name, part)) for part in ("upper", "work", "merged")}
    for path in parts.values():
        path.mkdir()
    options = "lowerdir=%s,upperdir=%s,workdir=%s" % (lower, parts["upper"], parts["work"])
    mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options,
                              str(parts["merged"])], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip("overlayfs cannot be mounted here: %s" % mounted.stderr.strip())
    return parts["merged"]


def test_two_containers_of_one_image(wsgiscope, copy, tmp_path):
    """Overlays share the file below them, under two names: each request is still one."""
    lower = copy("image")
    merged = []
    try:
        for name in "one", "two":
            merged.append(overlay(tmp_path, name, lower))
        with Tracer(*OURS) as tracer, \
                fresh("gunicorn-sync", environ=path_of(merged[0])) as one, \
                fresh("waitress", environ=path_of(merged[1])) as two:
            for server in one, two:
                assert armed(server)
            answered = ask(one, 8) | ask(two, 8)
            check_all_recorded(tracer, answered)
            assert tracer.stop() == 0
            uids = [record["path"].rsplit("/", 1)[-1] for record in tracer.records()]
            assert sorted(uid for uid in uids if uid in answered) == sorted(answered)
            assert not tracer.left_behind()
    finally:
        for path in merged:
            # Another tracer of this host may still have it armed.
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_recycled_workers(wsgiscope, copy):
    """max_requests: worker after worker; only the first one's marker had to be armed."""
    with Tracer(*OURS) as tracer, \
            fresh(options=["--max-requests", "3"], environ=path_of(copy("marker"))) as server:
        assert armed(server)
        answered = {}
        for _ in range(6):
            answered.update(ask(server, 4))
        assert len(set(answered.values())) > 4
        check_all_recorded(tracer, answered)


@pytest.mark.parametrize("kind, options", [("gunicorn-sync", []), ("gunicorn-sync", ["--preload"]),
                                           ("uwsgi", []), ("uwsgi", ["--lazy-apps"])],
                         ids=["gunicorn", "gunicorn-preload", "uwsgi", "uwsgi-lazy"])
def test_reload(wsgiscope, copy, kind, options):
    with Tracer(*OURS) as tracer, \
            fresh(kind, options=options, environ=path_of(copy("marker"))) as server:
        assert armed(server)
        check_all_recorded(tracer, ask(server, 4))
        old = server.workers()
        os.kill(server.pid, signal.SIGHUP)
        assert not procs.wait_gone(old, 15)
        assert procs.until(lambda: len(server.workers()) == 2, 10)
        assert armed(server)
        check_all_recorded(tracer, ask(server, 8))


def test_several_pids(wsgiscope):
    """-p again: the union; a third server is none of it."""
    with fresh() as one, fresh("waitress") as two, fresh("wsgiref") as other, \
            Tracer("-p", one.pid, "-p", two.pid) as tracer:
        answered = ask(one, 4) | ask(two, 4)
        ask(other, 4)
        check_all_recorded(tracer, answered)
        assert tracer.stop() == 0
        assert {record["pid"] for record in tracer.records()} == set(answered.values())



REC_HEADER = struct.Struct("=IHHIIQ")  # bpf/abi.h: size kind version tgid tid time_ns
REC_BODIES = {1: struct.Struct(""), 3: struct.Struct("=II"), 4: struct.Struct("=II16sI4x64s")}
REC_REQUEST, REC_PROCESS, REC_WORKER = REC_BODIES
THREAD_EXIT, HAS_MARKER, APP_ADDRESS = 6, 1, 2


def recorded(path, kind):
    """[(tgid, tid, fields...)] of the records of a kind in a recording."""
    with open(path, "rb") as stream:
        data = stream.read()
    at, found = struct.unpack_from("=I", data, 16)[0], []  # user/recording_format.h
    while at + REC_HEADER.size <= len(data):
        size, this, _, tgid, tid, _ = REC_HEADER.unpack_from(data, at)
        if this == kind:
            found.append((tgid, tid, *REC_BODIES[kind].unpack_from(data, at + REC_HEADER.size)))
        at += size + 7 & ~7
    return found


def workers_said(path):
    """{pid: (server, application, flags)}: what was last said of each process."""
    return {tgid: (server.rstrip(b"\0").decode(), app.rstrip(b"\0").decode(), flags)
            for tgid, _, _, _, server, flags, app in recorded(path, REC_WORKER)}


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "uwsgi", "waitress", "mod_wsgi-daemon"])
def test_application(wsgiscope, tmp_path, kind):
    """Where mark() was given no name: the server's title, else the address that it is bound to;
    said of the workers that were there and of those that come."""
    path = tmp_path / "recording"
    with fresh(kind) as server:
        with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as tracer:
            old = server.workers()
            ask(server, 4)
            if kind == "gunicorn-gthread":
                os.kill(old[0], signal.SIGTERM)
                ask_until_new(server, old)
            workers = set(old) | set(server.workers())
            assert tracer.stop() == 0
        said = workers_said(path)
        title = kind == "mod_wsgi-daemon"
        for pid in workers:
            assert said[pid][0] == server.kind.record
            assert said[pid][1] == ("e2e" if title else server.bind)
            assert said[pid][2] & APP_ADDRESS == (0 if title else APP_ADDRESS)
            # Of a new one it is said when it is looked at again, up to seconds later.
            assert said[pid][2] & HAS_MARKER or pid not in old


def test_thread_ends(wsgiscope, tmp_path):
    """A server of a thread a request: each that has served is said to have ended, once."""
    path = tmp_path / "recording"
    with fresh("wsgiref") as server:
        with Tracer("-p", server.pid, "-o", path, verb="record", json_lines=False) as tracer:
            ask(server, 6)
            assert procs.until(lambda: len(os.listdir("/proc/%d/task" % server.pid)) == 1, 5)
            assert tracer.stop() == 0
        served = {tid for tgid, tid in recorded(path, REC_REQUEST) if tgid == server.pid}
        ended = [tid for tgid, tid, what, _ in recorded(path, REC_PROCESS)
                 if what == THREAD_EXIT and tgid == server.pid]
        assert len(served) >= 2 and sorted(ended) == sorted(served)


def many(kind, workers, option):
    server = fresh(kind, options=[option, str(workers)])
    server.kind = server.kind._replace(workers=workers)
    return server


def test_attach_to_many(wsgiscope):
    """64 workers of two servers: the CPU time that attaching takes; make bench-follow has four."""
    with many("gunicorn-sync", 48, "--workers") as one, many("uwsgi", 16, "--processes") as two:
        with Tracer(*OURS) as tracer:
            with open("/proc/%d/schedstat" % tracer.pid, encoding="ascii") as stream:
                cpu_s = int(stream.read().split()[0]) / 1e9
            assert cpu_s < 2
            check_all_recorded(tracer, ask(one, 8) | ask(two, 8))
