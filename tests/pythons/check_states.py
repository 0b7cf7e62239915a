#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the tracer tells the states, and the GIL's above all, on the Pythons of other releases.

Usage: check_states.py WSGISCOPE PYTHONS MARKERS VERSION...
For each VERSION, a folder of pythons.sh below PYTHONS or `host`, it runs the gunicorn (gthread) and
the uWSGI of that Python with the marker MARKERS/VERSION/python, traces them with this host's
WSGISCOPE, and compares each request with what its thread measured by its own clocks. Prints a
table; exit status 1 if something is not so. Needs root. Ends what it started, by its PID.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
HOST_PYTHON = "/usr/bin/python3"
READY_S, RECORD_S, END_S = 30, 8, 10
WAYS = ("sleep", "spin", "gil", "lock")  # of states_app.py
REPEAT = 5
CONTENDERS = 3

SUM_SHARE = 0.01  # the states add up to the application time
STATE_MS, STATE_SHARE = 3, 0.05  # a state is what the thread measured, give or take
GIL_SHARE = 0.25  # of contenders' time: two thirds if each had a CPU; less where CPUs are short
LOCK_MS = 2  # of contenders' time: a wait for the GIL that was not told from a lock


class Failed(Exception):
    """What was to be compared did not come about."""


class Case(NamedTuple):
    version: str
    kind: str  # gunicorn or uwsgi, as the records name it
    prefix: list  # what runs a command in that Python's folder


class Answer(NamedTuple):
    way: str
    uid: str
    wall_ms: float
    cpu_ms: float


def until(condition, seconds, what):
    """Polls until condition() is true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return value


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Program:
    """A program, its output in files, ended by a signal when the body ends."""

    def __init__(self, command, signum, env=None):
        self.command, self.signum, self.env = command, signum, env
        self.directory = tempfile.TemporaryDirectory(prefix="wsgiscope-pythons-")
        self.process = None

    def __enter__(self):
        with open(self.path("out"), "wb") as out, open(self.path("err"), "wb") as err:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, env=self.env)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(self.signum)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def wait_for(self, condition, seconds, what):
        """As until(), but ends as the program does, and tells what it said."""
        def done():
            if self.process.poll() is not None:
                raise Failed(f"{what}: ended, status {self.process.returncode}")
            return condition()

        try:
            return until(done, seconds, what)
        except Failed as failure:
            raise Failed(f"{failure}\n{self.read('err')[-2000:]}") from None


def server_command(case, port, application="states_app:application"):
    if case.kind == "gunicorn":
        python = f"python{case.version}" if case.prefix else HOST_PYTHON
        return [*case.prefix, python, "/usr/bin/gunicorn", "--bind", f"127.0.0.1:{port}",
                "--workers", "1", "--worker-class", "gthread", "--threads", "4",
                "--graceful-timeout", "2", application]
    return [*case.prefix, "uwsgi", "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}",
            "--master", "--processes", "1", "--threads", "4", "--enable-threads", "--die-on-term",
            "--need-app", "--disable-logging", "--module", application]


def ask(port, way, uid):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", f"/{way}/{uid}")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise Failed(f"/{way}: status {response.status}")
        return Answer(way, uid, **json.loads(body))
    finally:
        connection.close()


def is_ready(port):
    try:
        return ask(port, "ready", "0")
    except (OSError, http.client.HTTPException):
        return None


def ask_together(port, way, uids):
    answers = []
    threads = [threading.Thread(target=lambda uid=uid: answers.append(ask(port, way, uid)))
               for uid in uids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answers) != len(uids):
        raise Failed(f"/{way}: {len(uids) - len(answers)} requests were not answered")
    return answers


def ask_all(port):
    answers = []
    for turn in range(REPEAT):
        answers += [ask(port, way, f"{way}{turn}") for way in ("sleep", "spin", "lock")]
        answers += ask_together(port, "gil", [f"gil{turn}.{i}" for i in range(CONTENDERS)])
    return answers


def records_by_uid(tracer):
    lines = tracer.read("out")
    records = map(json.loads, lines[:lines.rfind("\n") + 1].splitlines())
    return {record["path"].rsplit("/", 1)[-1]: record for record in records}


def case_run(case, wsgiscope, marker):
    """[(answer, record)] of all requests."""
    port = free_port()
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([marker, HERE]), PYTHONDONTWRITEBYTECODE="1")
    with Program(server_command(case, port), signal.SIGTERM, env) as server:
        server.wait_for(lambda: is_ready(port), READY_S, f"the {case.kind} of {case.version}")
        command = [wsgiscope, "trace", "--json", "-p", str(server.process.pid)]
        with Program(command, signal.SIGINT) as tracer:
            tracer.wait_for(lambda: ": attached to" in tracer.read("err"), READY_S, "the tracer")
            answers = ask_all(port)
            wanted = {answer.uid for answer in answers}
            tracer.wait_for(lambda: wanted <= records_by_uid(tracer).keys(), RECORD_S,
                            f"the records of {len(wanted)} requests")
            records = records_by_uid(tracer)
    return [(answer, records[answer.uid]) for answer in answers]


def record_faults(case, answer, record):
    """What is wrong with one record, in words."""
    states, whole = record["states_ms"], record["application_ms"]
    if record["server"] != case.kind:
        yield f"the server is {record['server']}"
    if "gil_unseen" in record["notes"]:
        yield "the GIL was not found (gil_unseen)"
    if states is None:
        yield f"has no states, notes {record['notes']}"
        return
    if abs(sum(states.values()) - whole) > SUM_SHARE * whole:
        yield f"the states add up to {sum(states.values()):.3f} of {whole:.3f} ms"
    busy = states["cpu"] + states["runnable"] + states["gil"]
    if answer.way in ("spin", "gil") and whole - busy > STATE_MS:
        yield f"{whole - busy:.1f} of {whole:.1f} ms are neither cpu, runnable nor gil"


def measure_fault(answer, states):
    """How the state that the request was for differs from what its thread measured, or None."""
    if answer.way in ("sleep", "lock"):
        name, truth = answer.way, answer.wall_ms
    else:
        name, truth = "cpu", answer.cpu_ms
    if abs(states[name] - truth) <= max(STATE_MS, STATE_SHARE * truth):
        return None
    return f"/{answer.way}/{answer.uid}: {name} is {states[name]:.1f} ms, measured {truth:.1f}"


def measure_faults(pairs, way):
    """Where a hypervisor takes the CPU away, the thread's own clocks leave that time out, or book
    it late, while it passes for everyone else: so of a way's requests most must agree, not all."""
    all_of_way = [measure_fault(answer, record["states_ms"]) for answer, record in pairs
                  if answer.way == way and record["states_ms"]]
    faults = [fault for fault in all_of_way if fault]
    return faults if 2 * len(faults) > len(all_of_way) else []


def totals(pairs, way):
    """{state: ms} and the application time of all requests of one way."""
    records = [record for answer, record in pairs if answer.way == way and record["states_ms"]]
    states = {}
    for record in records:
        for name, value in record["states_ms"].items():
            states[name] = states.get(name, 0) + value
    return states, sum(record["application_ms"] for record in records)


def gil_faults(pairs):
    """What is wrong with the contenders, in words."""
    states, whole = totals(pairs, "gil")
    if not whole:
        return  # said of each record
    if states["gil"] < GIL_SHARE * whole:
        yield f"gil: of {whole:.0f} ms only {states['gil']:.0f} are the GIL's"
    if states["lock"] > LOCK_MS:
        yield f"gil: {states['lock']:.1f} ms are lock, the application has none"


def row_print(case, pairs, faults):
    cells = []
    for way in WAYS:
        states, whole = totals(pairs, way)
        largest = sorted(states, key=states.get, reverse=True)[:2]
        shares = [f"{name} {100 * states[name] / whole:.1f}" for name in largest if states[name]]
        cells.append(f"{' '.join(shares) or '-':28}")
    print(f"{case.version:8}{case.kind:10}{''.join(cells)}{'FAILED' if faults else 'ok'}",
          flush=True)


def case_check(case, wsgiscope, marker):
    """The faults of one server, after its row of the table."""
    try:
        pairs = case_run(case, wsgiscope, marker)
    except Failed as failure:
        print(f"{case.version:8}{case.kind:10}FAILED", flush=True)
        return [str(failure)]
    faults = [f"/{answer.way}/{answer.uid}: {fault}" for answer, record in pairs
              for fault in record_faults(case, answer, record)]
    for way in WAYS:
        faults += measure_faults(pairs, way)
    faults += gil_faults(pairs)
    row_print(case, pairs, faults)
    return faults


def cases(pythons, versions):
    for version in versions:
        root = "/" if version == "host" else os.path.join(pythons, version)
        prefix = [] if version == "host" else [os.path.join(HERE, "pythons.sh"), "run", version]
        for kind in ("gunicorn", "uwsgi"):
            if os.path.lexists(os.path.join(root, "usr/bin", kind)):
                yield Case(version, kind, prefix)
            else:
                print(f"{version:8}{kind:10}SKIPPED: {root} has no {kind}")


def main():
    if len(sys.argv) < 5:
        print("usage: check_states.py WSGISCOPE PYTHONS MARKERS VERSION...", file=sys.stderr)
        return 2
    if os.geteuid():
        print("check_states: attaching needs root: run sudo make pythons", file=sys.stderr)
        return 1
    wsgiscope, pythons, markers = map(os.path.abspath, sys.argv[1:4])
    os.environ["PYTHONS"] = pythons
    print(f"{'python':8}{'server':10}" + "".join(f"{'% of ' + way:28}" for way in WAYS))
    failed = 0
    for case in cases(pythons, sys.argv[4:]):
        for fault in case_check(case, wsgiscope, os.path.join(markers, case.version, "python")):
            failed += 1
            print(f"    {fault}", flush=True)
    print(f"pythons: {failed} faults" if failed else "pythons: ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
