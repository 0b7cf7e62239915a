#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether `mark` and `unmark` do what they say to the Python that has the interface for it, and
`run` to its uWSGI.

Usage: check_mark.py WSGISCOPE PYTHONS MARKERS VERSION
Runs the gunicorn of VERSION, a folder of pythons.sh below PYTHONS, with an application that knows
nothing of the marker MARKERS/VERSION/python: marks and unmarks it MARK_ROUNDS (50) times under load
with the sync and the gthread worker, and counts every request; then what is to be refused. Prints a
line for each check; exit status 1 if something is not so. Needs root. Ends what it started, by PID.
"""
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import procs  # noqa: E402
from check_states import Failed, Program, free_port, until  # noqa: E402

ROUNDS = int(os.environ.get("MARK_ROUNDS", 50))
CLIENTS = 4
READY_S = 30


class Setting:
    """What the command line says."""

    def __init__(self, arguments):
        self.wsgiscope, self.pythons, markers = map(os.path.abspath, arguments[:3])
        self.version = arguments[3]
        self.marker = os.path.join(markers, self.version, "python")

    def server(self, *options, flags=(), **env):
        """A gunicorn of that Python, without the marker on its path."""
        port = free_port()
        command = [os.path.join(HERE, "pythons.sh"), "run", self.version,
                   "python" + self.version, *flags, "/usr/bin/gunicorn", "--bind",
                   "127.0.0.1:%d" % port, "--graceful-timeout", "2", *options,
                   "mark_app:application"]
        env = {**os.environ, "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1",
               "PYTHONS": self.pythons, **env}
        server = Program(command, signal.SIGTERM, env)
        server.port = port
        return server

    def run(self, verb, pid, *options, marker=None):
        """CompletedProcess of `mark` or `unmark`."""
        return subprocess.run([self.wsgiscope, verb, "-p", str(pid), "--yes", "--marker",
                               marker or self.marker, *options], capture_output=True, text=True,
                              timeout=90, check=False)


def answer_of(port, path):
    """The body; whatever is not what it must be is a failure."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    if response.status != 200 or body.split()[0] != path:
        raise Failed("%s: status %d, body %r" % (path, response.status, body))
    return body


def answers(port):
    try:
        return answer_of(port, "/ready")
    except OSError:
        return None


class Load(threading.Thread):
    """A client that asks without a pause, and counts."""

    def __init__(self, port, number):
        super().__init__()
        self.port, self.number = port, number
        self.paths, self.fault, self.over = [], None, False

    def run(self):
        while not self.over and not self.fault:
            path = "/load/%d/%d" % (self.number, len(self.paths))
            self.paths.append(path)
            try:
                answer_of(self.port, path)
            except (OSError, http.client.HTTPException, Failed) as fault:
                self.fault = "%s: %r" % (path, fault)


class Traced:
    """`trace` beside a server: what it saw."""

    def __init__(self, setting, pid):
        self.program = Program([setting.wsgiscope, "trace", "--json", "-p", str(pid)],
                               signal.SIGINT)

    def __enter__(self):
        self.program.__enter__()
        self.program.wait_for(lambda: ": attached to" in self.program.read("err"), READY_S,
                              "the tracer")
        return self

    def __exit__(self, *arguments):
        self.program.__exit__(*arguments)

    def paths(self):
        return re.findall(r'"path":"([^"]*)"', self.program.read("out"))


def worker_of(port):
    return int(answer_of(port, "/who").split()[1])


def expect(done, status, *parts):
    text = done.stdout + done.stderr
    if done.returncode != status or not all(part in text for part in parts):
        raise Failed("exit status %d (expected %d, %s):\n%s"
                     % (done.returncode, status, parts, text))
    return text


def server_ready(server):
    server.wait_for(lambda: answers(server.port), READY_S, "the server")
    return server


def workers_of(server, count):
    """The PIDs of its workers, once there are so many."""
    def found():
        pids = {pid for pid in procs.tree(server.process.pid) if pid != server.process.pid}
        return pids if len(pids) == count else None

    return server.wait_for(found, READY_S, "%d workers" % count)


def check_under_load(setting, *options):
    """No request is lost or changed, however often the marker comes and goes."""
    with setting.server("--workers", "2", *options) as server:
        server_ready(server)
        workers = workers_of(server, 2)
        loads = [Load(server.port, number) for number in range(CLIENTS)]
        for load in loads:
            load.start()
        try:
            times = []
            for _ in range(ROUNDS):
                for verb in ("mark", "unmark"):
                    text = expect(setting.run(verb, server.process.pid), 0, verb + "ed ")
                    times += map(int, re.findall(r"Worker.*after (\d+) ms", text))
        finally:
            for load in loads:
                load.over = True
            for load in loads:
                load.join()
        faults = [load.fault for load in loads if load.fault]
        alive = {pid for pid in procs.tree(server.process.pid) if pid != server.process.pid}
        log = server.read("err")
        if faults or alive != workers or "Traceback" in log or "Error" in log:
            raise Failed("%s\nworkers %s -> %s\n%s" % (faults, workers, alive, log[-2000:]))
        asked = sum(len(load.paths) for load in loads)
    times.sort()
    return "%d times on and off, %d requests, none lost or changed; in effect after %d ms, %d at " \
        "most" % (ROUNDS, asked, times[len(times) // 2], times[-1])


def check_seen(setting, *options):
    """What is marked is traced from then on, and what is unmarked is not; also new workers."""
    with setting.server("--workers", "1", *options) as server:
        server_ready(server)
        expect(setting.run("mark", server.process.pid), 0, ".wsgi", "the workers to come")
        expect(setting.run("mark", server.process.pid), 0, "already marked")
        with Traced(setting, server.process.pid) as traced:
            answer_of(server.port, "/marked")
            until(lambda: "/marked" in traced.paths(), 10, "the record of a marked worker")
            expect(setting.run("unmark", server.process.pid), 0, "unmarked ")
            expect(setting.run("unmark", server.process.pid), 0, "not marked by wsgiscope mark")
            answer_of(server.port, "/unmarked")
            expect(setting.run("mark", server.process.pid), 0, "marked ")
            old = worker_of(server.port)
            os.kill(old, signal.SIGTERM)
            until(lambda: answers(server.port) and worker_of(server.port) != old, READY_S,
                  "the next worker")
            answer_of(server.port, "/successor")
            until(lambda: "/successor" in traced.paths(), 10, "the record of the next worker")
            if "/unmarked" in traced.paths():
                raise Failed("an unmarked worker was traced")
    return "traced while marked, not while unmarked, a worker that came later included"


def check_in_flight(setting):
    """A request that is being served when the marker comes goes on as it began."""
    with setting.server("--workers", "1", "--worker-class", "gthread", "--threads",
                        "4") as server:
        server_ready(server)
        load = Load(server.port, 0)
        slow = threading.Thread(target=lambda: load.paths.append(
            answer_of(server.port, "/slow/1").split()[0]))
        slow.start()
        time.sleep(0.1)  # it is in the application by then; what follows holds in any case
        expect(setting.run("mark", server.process.pid), 0, "ThreadWorker.wsgi")
        slow.join()
        if load.paths != ["/slow/1"]:
            raise Failed("the request in flight: %s" % load.paths)
    return "its answer came whole"


def check_idle(setting):
    """A worker that waits in select() is not woken: the request is taken back, and does nothing."""
    with setting.server("--workers", "1") as server:
        server_ready(server)
        (worker,) = workers_of(server, 1)
        expect(setting.run("mark", worker, "--timeout", "0.5"), 1, "nothing was changed")
        answer_of(server.port, "/after")
        if procs.maps(worker, "_marker") or "script" in server.read("err"):
            raise Failed("the script ran all the same\n" + server.read("err"))
    return "said so, took the request back"


def check_refused(setting, *parts, flags=(), **env):
    with setting.server("--workers", "1", flags=flags, **env) as server:
        server_ready(server)
        expect(setting.run("mark", server.process.pid), 1, *parts)
        answer_of(server.port, "/after")
    return parts[0]


def check_no_marker(setting):
    """Its Python finds none, and is as it was."""
    with tempfile.TemporaryDirectory() as empty:
        os.makedirs(os.path.join(empty, "wsgiscope/auto"))
        for name in ("wsgiscope/auto/sitecustomize.py", "wsgiscope/__init__.py"):
            with open(os.path.join(empty, name), "w", encoding="ascii") as stream:
                stream.write("raise ImportError('none for you')\n")
        os.chmod(empty, 0o755)
        with setting.server("--workers", "1", "--worker-class", "gthread") as server:
            server_ready(server)
            expect(setting.run("mark", server.process.pid, marker=empty), 1, "none for you")
            answer_of(server.port, "/after")
    return "none for you"


def check_debugger(setting):
    """strace is in it: ptrace takes one at a time."""
    with setting.server("--workers", "1", "--worker-class", "gthread") as server:
        server_ready(server)
        with Program(["strace", "-f", "-e", "trace=none", "-p", str(server.process.pid)],
                     signal.SIGINT) as strace:
            strace.wait_for(lambda: "attached" in strace.read("err"), READY_S, "strace")
            expect(setting.run("mark", server.process.pid), 1, "debugger")
        answer_of(server.port, "/after")
    return "refused"


def check_user(setting):
    """A worker of another user reads the script and answers."""
    with setting.server("--workers", "1", "--worker-class", "gthread", "--user",
                        "nobody") as server:
        server_ready(server)
        expect(setting.run("mark", server.process.pid), 0, "ThreadWorker.wsgi")
    return "nobody's worker was marked"


def check_run(setting, *target):
    """`wsgiscope run` of a uWSGI: from 3.12 on the hook learns by sys.monitoring that a script has
    run."""
    port = free_port()
    command = [setting.wsgiscope, "run", "--trace", "--json", "--marker", setting.marker, "--",
               os.path.join(HERE, "pythons.sh"), "run", setting.version, "uwsgi", "--plugin",
               "python3", "--http-socket", "127.0.0.1:%d" % port, "--need-app", "--die-on-term",
               "--master", *target]
    env = {**os.environ, "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1",
           "PYTHONS": setting.pythons}
    with Program(command, signal.SIGTERM, env) as server:
        server.wait_for(lambda: answers(port), READY_S, "the server")
        answer_of(port, "/first")
        server.wait_for(lambda: '"path":"/first"' in server.read("out"), 10,
                        "the record of a request")
    return "marked and traced"


CHECKS = [
    ("sync, under load", check_under_load),
    ("gthread, under load", lambda setting: check_under_load(
        setting, "--worker-class", "gthread", "--threads", "2")),
    ("sync, traced", lambda setting: check_seen(setting, "--timeout", "2")),
    ("gthread, traced", lambda setting: check_seen(setting, "--worker-class", "gthread")),
    ("a request in flight", check_in_flight),
    ("an idle worker", check_idle),
    ("another user", check_user),
    ("switched off by the environment", lambda setting: check_refused(
        setting, "PYTHON_DISABLE_REMOTE_DEBUG", PYTHON_DISABLE_REMOTE_DEBUG="1")),
    ("switched off by an option", lambda setting: check_refused(
        setting, "-X disable-remote-debug", flags=("-X", "disable-remote-debug"))),
    ("no marker for it", check_no_marker),
    ("a debugger in it", check_debugger),
    ("run uwsgi --wsgi-file", lambda setting: check_run(
        setting, "--wsgi-file", os.path.join(HERE, "mark_app.py"))),
    ("run uwsgi --module", lambda setting: check_run(setting, "--module", "mark_app")),
]


def left_behind():
    return [name for place in ("/tmp", "/var/tmp") for name in os.listdir(place)
            if name.startswith("wsgis-")]


def main():
    if len(sys.argv) != 5:
        print("usage: check_mark.py WSGISCOPE PYTHONS MARKERS VERSION", file=sys.stderr)
        return 2
    setting, failed = Setting(sys.argv[1:]), 0
    before = set(left_behind())
    for name, check in CHECKS:
        try:
            outcome = check(setting)
        except (Failed, subprocess.TimeoutExpired) as failure:
            failed += 1
            outcome = "FAILED: %s" % failure
        print("%-34s%s" % (name, outcome), flush=True)
    left = set(left_behind()) - before
    if left:
        failed += 1
        print("left behind: %s" % left)
    print("mark: %d checks failed" % failed if failed else "mark: ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
