#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the tracer tells the states, and the GIL's above all, on the Pythons of other releases.

Usage: check_states.py WSGISCOPE PYTHONS MARKERS VERSION...
For each VERSION, a folder of pythons.sh below PYTHONS or `host`, it runs the gunicorn (gthread),
the uWSGI and the mod_wsgi of that Python with the marker MARKERS/VERSION/python, stripped as
Debian's are and then not (the host's only as they are), or a waitress on a Python of builds.sh;
traces them with this host's WSGISCOPE, and
compares each request with what is true of it: the thread's own CPU clock, and when it was blocked
by the scheduler's log (tests/e2e/switchlog.py). Prints a table; exit status 1 if something is not
so. Needs root and, for tracefs, a mount namespace of its own. Ends what it started, by its PID.
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
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import procs  # noqa: E402
from server_cases import UNSTRIPPED, case_name, cases, server_command  # noqa: E402
from switchlog import INSTANCES, SwitchLog  # noqa: E402

READY_S, RECORD_S, END_S = 30, 8, 10
WAYS = ("sleep", "spin", "gil", "lock")  # of states_app.py
REPEAT = 5
CONTENDERS = 3

SUM_SHARE = 0.01  # the states add up to the application time
STATE_MS, STATE_SHARE = 2, 0.03  # a state is what is true, give or take
GIL_SHARE = 0.25  # of contenders' time: two thirds if each had a CPU; less where CPUs are short
LOCK_MS = 2  # of contenders' time: a wait for the GIL that was not told from a lock


class Failed(Exception):
    """What was to be compared did not come about."""


class Span(NamedTuple):
    """Of a thread's time, as it measured it, in ns."""
    tid: int
    start: int
    end: int
    cpu: int
    delay: int  # runnable, as the kernel counts it


class Answer(NamedTuple):
    way: str
    uid: str
    span: Span  # of what the request was for


class Truth(NamedTuple):
    """Of a span, in ms."""
    cpu: float
    runnable: float
    blocked: float


class Request(NamedTuple):
    answer: Answer
    inside: tuple  # of what the request was for: Truth at least, at most
    around: Truth  # of all of it, and a little more, at most
    record: dict


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


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise Failed(f"{path}: status {response.status}")
        return json.loads(body)
    finally:
        connection.close()


def ask(port, way, uid):
    return Answer(way, uid, Span(**fetch(port, f"/{way}/{uid}")))


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
    """[Request]"""
    port = free_port()
    script = os.path.join(HERE, "states_app.py")
    with server_command(case, port, script, marker) as (command, env), \
            Program(command, signal.SIGTERM, env) as server:
        server.wait_for(lambda: is_ready(port), READY_S, f"the {case.kind} of {case.version}")
        python_check(case, server.process.pid)
        command = [wsgiscope, "trace", "--json", "-p", str(server.process.pid)]
        with Program(command, signal.SIGINT) as tracer, \
                SwitchLog(procs.tree(server.process.pid)) as log:
            tracer.wait_for(lambda: ": attached to" in tracer.read("err"), READY_S, "the tracer")
            answers = ask_all(port)
            wanted = {answer.uid for answer in answers}
            tracer.wait_for(lambda: wanted <= records_by_uid(tracer).keys(), RECORD_S,
                            f"the records of {len(wanted)} requests")
            records = records_by_uid(tracer)
            around = around_all(port, wanted)
            log.read()
    return [Request(answer, truth_of(answer.span, log), truth_of(around[answer.uid], log)[1],
                    records[answer.uid]) for answer in answers]


def python_check(case, pid):
    """It is the unstripped one that runs, or is not."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        if (f"{UNSTRIPPED}/" in maps.read()) != case.unstripped:
            raise Failed(f"the {case.kind} of {case.version} does not run the Python asked for")


def around_all(port, wanted):
    """{uid: Span}; a server closes after it has answered."""
    def ready():
        spans = fetch(port, "/around")
        return wanted <= spans.keys() and {uid: Span(**span) for uid, span in spans.items()}

    return until(ready, RECORD_S, "the requests' ends")


def truth_of(span, log):
    """As truth_of() of known_answers.py, but at least and at most: of what the log may have missed,
    it is not known what was runnable (steal is in none of the thread's clocks) and what blocked."""
    idle = span.end - span.start - span.cpu
    least, most = (max(0, min(blocked, idle - span.delay))
                   for blocked in log.blocked_range_ns(span.tid, span.start, span.end))
    return (Truth(span.cpu / 1e6, (idle - most) / 1e6, least / 1e6),
            Truth(span.cpu / 1e6, (idle - least) / 1e6, most / 1e6))


def states_of(record):
    """A state that is not known, as the GIL's on some builds, counts for nothing."""
    return {name: value or 0 for name, value in (record["states_ms"] or {}).items()}


def record_faults(case, request):
    """What is wrong with one record, in words."""
    answer, record = request.answer, request.record
    states, whole = states_of(record), record["application_ms"]
    if record["server"] != case.kind:
        yield f"the server is {record['server']}"
    if ("gil_unseen" in record["notes"]) == case.gil_seen:
        yield f"the GIL should {'' if case.gil_seen else 'not '}be seen, notes {record['notes']}"
        return
    if not states:
        yield f"has no states, notes {record['notes']}"
        return
    if abs(sum(states.values()) - whole) > SUM_SHARE * whole:
        yield f"the states add up to {sum(states.values()):.3f} of {whole:.3f} ms"
    busy = states["cpu"] + states["runnable"] + states["gil"]
    busy_ways = ("spin", "gil") if case.gil_seen else ("spin",)
    if answer.way in busy_ways and whole - busy > STATE_MS:
        yield f"{whole - busy:.1f} of {whole:.1f} ms are neither cpu, runnable nor gil"
    yield from truth_faults(case, request)


def state_fault(name, seen, low, high):
    """How far a state is from what is true, in words, or None."""
    if (low - max(STATE_MS, STATE_SHARE * low) <= seen
            <= high + max(STATE_MS, STATE_SHARE * high)):
        return None
    return f"{name} is {seen:.1f} ms, true are {low:.1f} to {high:.1f}"


def truth_faults(case, request):
    """What of the record is not what is true, in words: between that of what the request was for
    and that of all around the mark."""
    way, (inside, most), around = request.answer.way, request.inside, request.around
    states = states_of(request.record)
    faults = [state_fault(name, states[name], getattr(inside, name), getattr(around, name))
              for name in ("cpu", "runnable")]
    if way == "gil" and case.gil_seen:
        faults.append(state_fault(way, states[way], inside.blocked, around.blocked))
    elif way == "lock":  # who lets go of it may have the GIL for some time yet
        faults.append(state_fault(way, states[way] + states["gil"], inside.blocked,
                                  around.blocked))
    elif way == "sleep":
        faults.append(state_fault(way, states[way], inside.blocked, most.blocked))
    return filter(None, faults)


def totals(requests, way):
    """{state: ms} and the application time of all requests of one way."""
    records = [request.record for request in requests
               if request.answer.way == way and request.record["states_ms"]]
    states = {}
    for record in records:
        for name, value in states_of(record).items():
            states[name] = states.get(name, 0) + value
    return states, sum(record["application_ms"] for record in records)


def gil_faults(case, requests):
    """What is wrong with the contenders, in words."""
    states, whole = totals(requests, "gil")
    if not whole or not case.gil_seen:
        return  # said of each record
    if states["gil"] < GIL_SHARE * whole:
        yield f"gil: of {whole:.0f} ms only {states['gil']:.0f} are the GIL's"
    if states["lock"] > LOCK_MS:
        yield f"gil: {states['lock']:.1f} ms are lock, the application has none"


def row_print(case, requests, faults):
    cells = []
    for way in WAYS:
        states, whole = totals(requests, way)
        largest = sorted(states, key=states.get, reverse=True)[:2]
        shares = [f"{name} {100 * states[name] / whole:.1f}" for name in largest if states[name]]
        cells.append(f"{' '.join(shares) or '-':28}")
    print(f"{case_name(case)}{''.join(cells)}{'FAILED' if faults else 'ok'}", flush=True)


def case_check(case, wsgiscope, marker):
    """The faults of one server, after its row of the table."""
    try:
        requests = case_run(case, wsgiscope, marker)
    except Failed as failure:
        print(f"{case_name(case)}FAILED", flush=True)
        return [str(failure)]
    faults = [f"/{request.answer.way}/{request.answer.uid}: {fault}" for request in requests
              for fault in record_faults(case, request)]
    faults += gil_faults(case, requests)
    row_print(case, requests, faults)
    return faults


def main():
    if len(sys.argv) < 5:
        print("usage: check_states.py WSGISCOPE PYTHONS MARKERS VERSION...", file=sys.stderr)
        return 2
    if os.geteuid():
        print("check_states: attaching needs root: run sudo make pythons", file=sys.stderr)
        return 1
    wsgiscope, pythons, markers = map(os.path.abspath, sys.argv[1:4])
    os.environ["PYTHONS"] = pythons
    if not os.path.exists(INSTANCES):  # the scheduler's log wants it; the tracer does not
        subprocess.run(["mount", "-t", "tracefs", "tracefs", os.path.dirname(INSTANCES)],
                       check=True)
    return cases_check(wsgiscope, pythons, markers)


def cases_check(wsgiscope, pythons, markers):
    print(f"{'python':17}{'server':10}" + "".join(f"{'% of ' + way:28}" for way in WAYS))
    failed = 0
    for case in cases(pythons, sys.argv[4:]):
        for fault in case_check(case, wsgiscope, os.path.join(markers, case.version, "python")):
            failed += 1
            print(f"    {fault}", flush=True)
    print(f"pythons: {failed} faults" if failed else "pythons: ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
