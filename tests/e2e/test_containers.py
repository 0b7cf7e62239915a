# SPDX-License-Identifier: BSD-2-Clause
"""Workers in containers: mount, PID, user and network namespaces and a control group of their own,
with their own copies of Python and of the marker at paths that the other container has, too. Both
listen on the same address. The containers are made by unshare, as container programs do."""
import contextlib
import ctypes
import http.client
import json
import os
import shutil
import signal
import subprocess
import threading

import pytest

import procs
import servers
import tracer as tracer_module
from tracer import Tracer

PYTHON_FILE = os.path.realpath(servers.PYTHON)
LIBRARY = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PORT = 8000  # the same in each: their networks are their own
START = """
echo $$ >"$CONTAINER_CGROUP/cgroup.procs" && exec /usr/bin/unshare --mount --pid --fork \\
    --kill-child --mount-proc --user --map-root-user --net /bin/sh -c '
        mount --bind "$CONTAINER_HOME/python" "$CONTAINER_PYTHON" &&
        mount --bind "$CONTAINER_HOME/marker" "$CONTAINER_MARKER" &&
        ip link set lo up && exec "$@"' sh "$@"
"""


@pytest.fixture
def cgroups():
    """A control group of version 2 for the test; removed with those in it."""
    with open("/proc/mounts", encoding="utf-8") as stream:
        roots = [line.split()[1] for line in stream if line.split()[2] == "cgroup2"]
    if not roots:
        pytest.skip("no control groups of version 2 are mounted (mount -t cgroup2)")
    folder = os.path.join(roots[0], "wsgiscope-test-%d" % os.getpid())
    os.mkdir(folder)
    yield folder
    for name in os.listdir(folder):
        if os.path.isdir(os.path.join(folder, name)):
            os.rmdir(os.path.join(folder, name))
    os.rmdir(folder)


class Container:
    """A gunicorn with one worker in a container of this name."""

    def __init__(self, name, folder, cgroups, marked=True):
        self.name, self.home = name, folder / name
        self.home.mkdir()
        shutil.copy2(PYTHON_FILE, self.home / "python")
        shutil.copytree(servers.marker_path(), self.home / "marker")
        self.marker = folder / "marker"
        self.marker.mkdir(exist_ok=True)
        self.cgroup = os.path.join(cgroups, name)
        os.mkdir(self.cgroup)
        self.environ = dict(os.environ, PYTHONPATH=str(self.marker), PYTHONDONTWRITEBYTECODE="1",
                            CONTAINER_CGROUP=self.cgroup, CONTAINER_HOME=str(self.home),
                            CONTAINER_PYTHON=PYTHON_FILE, CONTAINER_MARKER=str(self.marker))
        if marked:
            self.environ["SHOP_MARK"] = "1"
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", START, "sh", servers.PYTHON, "/usr/bin/gunicorn", "-w", "1",
             "-b", "127.0.0.1:%d" % PORT, "--chdir", servers.APPS, "--log-level", "warning",
             "shop:application"], env=self.environ, stdin=subprocess.DEVNULL)
        try:
            assert procs.until(self.answers, 20), "%s does not answer" % self.name
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for pid in procs.tree(self.process.pid)[1:2]:
            procs.send(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        procs.until(lambda: not self.members(), 5)

    def members(self):
        with open(os.path.join(self.cgroup, "cgroup.procs"), encoding="ascii") as stream:
            return stream.read().split()

    @property
    def master(self):
        """As the host numbers it: the child of unshare."""
        return procs.tree(self.process.pid)[1]

    @property
    def worker(self):
        return next(pid for pid in procs.tree(self.process.pid)
                    if procs.parent(pid) == self.master)

    def ask(self, *paths):
        """Asks from inside its network; the statuses."""
        found = []

        def inside():
            with open("/proc/%d/ns/net" % self.master, "rb") as space:
                if LIBRARY.setns(space.fileno(), CLONE_NEWNET):
                    return
            for path in paths:
                connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
                with contextlib.suppress(OSError):
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    answer.read()
                    found.append(answer.status)
                connection.close()
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return found

    def answers(self):
        return len(procs.tree(self.process.pid)) >= 3 and self.ask("/ready") == [200]

    def paths(self, count):
        """Of requests that nobody else makes."""
        return ["/%s-%d/%d" % (self.name, os.getpid(), number) for number in range(count)]


@pytest.fixture
def containers(marker, folder, cgroups):
    with contextlib.ExitStack() as stack:
        yield lambda name, marked=True: stack.enter_context(
            Container(name, folder, cgroups, marked))


def ps_rows():
    return {row["pid"]: row for row in
            map(json.loads, tracer_module.run("ps", "--json").stdout.splitlines())}


def file_of(pid, *names):
    """(device, inode) of what this process has mapped by one of these names."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as stream:
        return {tuple(line.split()[3:5]) for line in stream
                if any(os.path.basename(line.split()[-1]).startswith(name)
                       for name in names)}


def test_two_containers(wsgiscope, containers):
    """Found by ps, named, traced; the same paths in both, which are different files."""
    one, two = containers("web-1"), containers("web-2")
    for names in ["_marker."], ["python"]:
        files = [file_of(container.worker, *names) for container in (one, two)]
        assert all(files) and not files[0] & files[1], files
    rows = ps_rows()
    for container in one, two:
        row = rows[container.worker]
        assert (row["container"], row["parent"]) == (container.name, container.master), row
        assert rows[container.master]["container_pid"] == 1
        assert row["container_pid"] > 1
        assert (row["server"], row["python"][:2], row["marker"]) == ("gunicorn", "3.", 2), row
    text = tracer_module.run("ps", "-p", one.master).stdout
    assert "[web-1 1] " in text and "web-2" not in text, text
    with Tracer("-p", one.master, "-p", two.master) as tracer:
        for container in one, two:
            assert set(container.ask(*container.paths(5))) == {200}
        wanted = {path: container.worker for container in (one, two)
                  for path in container.paths(5)}
        procs.until(lambda: len(tracer.records()) >= len(wanted), 8)
        assert tracer.stop() == 0
        seen = {record["path"]: record["pid"] for record in tracer.records()}
        assert seen == wanted and len(tracer.records()) == len(wanted)
        assert all(record["mode"] == "marker" and record["write_calls"]
                   for record in tracer.records())
        assert not tracer.losses() and not tracer.left_behind()


def test_one_container(wsgiscope, containers):
    """Who is asked for one does not show the other; it is said which one that is."""
    one, two = containers("web-1"), containers("web-2")
    with Tracer("-p", one.master) as tracer:
        assert "(gunicorn, 1 in web-1): 2 processes" in tracer.stderr(), tracer.stderr()
        assert set(two.ask(*two.paths(3)) + one.ask(*one.paths(3), "/doze/100")) == {200}
        procs.until(lambda: len(tracer.records()) >= 4, 8)
        assert tracer.stop() == 0
        states = {record["path"]: record["states_ms"] for record in tracer.records()}
        assert sorted(states) == sorted([*one.paths(3), "/doze/100"])
        assert states["/doze/100"]["sleep"] > 90
        assert not tracer.left_behind()


def test_wire_and_stacks(wsgiscope, containers, tmp_path):
    """Without the marker: the port of one network is not that of another; the Python is its own."""
    one, two = containers("web-1", marked=False), containers("web-2", marked=False)
    with Tracer("-p", one.master) as tracer:
        assert set(two.ask(*two.paths(3)) + one.ask(*one.paths(3))) == {200}
        procs.until(lambda: len(tracer.records()) >= 3, 8)
        assert tracer.stop() == 0
        assert sorted((record["mode"], record["path"]) for record in tracer.records()) == [
            ("wire", path) for path in one.paths(3)]
    with Tracer("-p", two.master, "--format", "folded", verb="flame", json_lines=False) as tracer:
        assert two.ask("/spin/300") == [200]
        assert tracer.stop() == 0
        stacks = tracer.stdout().splitlines()
    inside = [line for line in stacks if "shop.py" in line and "spin" in line]
    assert len(inside) > 0.8 * len(stacks) > 0, stacks
