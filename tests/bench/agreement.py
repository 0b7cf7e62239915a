# SPDX-License-Identifier: BSD-2-Clause
"""A second opinion: which share of a server's CPU time goes to which of its functions, by its own
clock, by wsgiscope, and by py-spy or austin at the same time. Prints and does not judge:
tests/stacks does, against the server's own clock."""
import collections
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

from phases import HERE, TRACER_CPU, BenchError

STACKS = os.path.join(os.path.dirname(HERE), "stacks")
sys.path.insert(0, STACKS)

import truth  # noqa: E402  pylint: disable=wrong-import-position

HZ = 97  # not a part of what the load repeats
SECONDS = 30
READY_S = 10
DEEP = "deep"  # 300 frames: who reads them from outside falls behind


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def server(build):
    """(address, PID of the worker) of a gunicorn of one worker with tests/stacks/truth_app.py."""
    address = ("127.0.0.1", free_port())
    path = os.pathsep.join([os.path.join(build, "python"), STACKS])
    command = ["/usr/bin/gunicorn", "--bind", "%s:%d" % address, "--workers", "1", "truth_app:"
               "application"]
    process = subprocess.Popen(command, env=dict(os.environ, PYTHONPATH=path),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError):
                truth.ask(address, "/none/x")
                break
            if process.poll() is not None or time.monotonic() > end:
                raise BenchError("%s does not answer" % " ".join(command))
            time.sleep(0.1)
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            yield address, int(file.read().split()[0])
    finally:
        process.terminate()
        process.wait(READY_S)


def rival_commands(rivals, pid, folder):
    """{name: (command, file that it writes)}"""
    commands = {}
    if "py-spy" in rivals:
        out = os.path.join(folder, "py-spy")
        commands["py-spy"] = ([rivals["py-spy"], "record", "-p", str(pid), "-r", str(HZ), "-d",
                               "600", "-f", "raw", "-o", out], out)
    if "austin" in rivals:
        out = os.path.join(folder, "austin")
        commands["austin"] = ([rivals["austin"], "-s", "-i", f"{1000000 // HZ}us", "-o", out, "-p",
                               str(pid)], out)
    return commands


@contextlib.contextmanager
def running(commands):
    programs = [subprocess.Popen(["taskset", "-c", str(TRACER_CPU), *command],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL) for command, _ in commands.values()]
    try:
        time.sleep(1)
        yield
    finally:
        for program in programs:
            program.send_signal(signal.SIGINT)
        for program in programs:
            program.wait(30)


def functions(line):
    """The names of a folded stack's functions, the innermost first: py-spy has `name (file:line)`,
    austin `file:name:line`."""
    names = []
    for frame in line.rsplit(" ", 1)[0].split(";"):
        match = re.match(r"(.*) \(.*\)$", frame) or re.match(r".*?:([^:]*):\d+$", frame)
        names.append(match[1] if match else frame)
    return names[::-1]


def file_shares(path):
    weights = collections.Counter()
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            way = truth.way_of([[name] for name in functions(line)])
            if way:
                weights[way] += float(line.rsplit(" ", 1)[1])
    return truth.shares_of(weights)


def shares(build, rivals, folder):
    """{who: {function: share}}, of one or no rival beside wsgiscope and the server's own clock."""
    with server(build) as (address, pid):
        commands = rival_commands(rivals, pid, folder)
        with running(commands):
            log, answers = truth.measure(os.path.join(build, "tests/stacks/stacklog"), address,
                                         pid, HZ, SECONDS)
    found = truth.shares(log, answers)
    columns = {"its own clock": {way: share for way, (share, _) in found.items()},
               "wsgiscope": {way: share for way, (_, share) in found.items()}}
    for name, (_, path) in commands.items():
        columns[name] = file_shares(path)
    return columns


def furthest(column, own, ways):
    """How far a share of all these is from the server's own clock's, in points."""
    whole = [sum(shares_of.get(way, 0) for way in ways) or 1 for shares_of in (column, own)]
    return 100 * max(abs(column.get(way, 0) / whole[0] - own[way] / whole[1]) for way in ways)


def opinion(build, rivals, folder):
    """One rival at a time: one that stops the server would be in the other's numbers."""
    columns = shares(build, rivals, folder)
    own = columns["its own clock"]
    print(f"\na second opinion: percent of a server's CPU time, {SECONDS} s, {HZ} Hz, at once")
    print(f"  {'':36}" + "".join(f"{name:>16}" for name in columns))
    for way in sorted(own):
        print(f"  {way:36}" + "".join(f"{100 * column.get(way, 0):16.2f}"
                                      for column in columns.values()))
    unnamed = {way for way in own if min(column.get(way, 0) for column in columns.values()) < 0.001}
    for words, leave in (("furthest from its own clock", set()),
                         ("the same, of what all of them name", unnamed),
                         (f"the same, without {DEEP}", unnamed | {DEEP})):
        ways = set(own) - leave
        print(f"  {words:36}" + "".join(f"{furthest(column, own, ways):16.2f}"
                                        for column in columns.values()), flush=True)


def run(build, rivals):
    for name in rivals:
        if name not in ("py-spy", "austin"):
            continue
        with tempfile.TemporaryDirectory(prefix="wsgiscope-bench-") as folder:
            opinion(build, {name: rivals[name]}, folder)
