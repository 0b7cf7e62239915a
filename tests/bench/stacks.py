# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to be sampled: ns a sample by depth, by the kernel's own count of the programs' run
time; what a worker loses of its time, next to py-spy and austin in the same run; and what all of
them say of one load (agreement.py). Those come from PyPI into BUILD/rivals, where it can be
reached; they are skipped by name where not."""
import bisect
import collections
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import agreement
import ticks
from measure import Cost
from phases import HERE, TRACER_CPU, WORKER_CPU, BenchError, attached
from report import Row, table_print
from runtime import counting, program_times

DEPTHS = (5, 10, 30, 100, 300)
AIM_SAMPLE = 3000  # ns at 30 frames
AIM_LOST = 0.3  # percent at 99 Hz
HZ, FAST_HZ = 99, 999
DEPTH = 30
PIECE_S = 1.0
TURNS, TURN_S = 30, 0.06
WARM_S = 10.5  # code that has been seen for long is looked at four times a second
NEW_S = 0.3
THREADS = 160
CLOCK_S = 20.0
PYTHON = os.environ.get("BENCH_PYTHON", sys.executable)


class Worker:
    """A stacks_worker.py."""

    def __init__(self, threads=0):
        command = [PYTHON, os.path.join(HERE, "stacks_worker.py"), str(WORKER_CPU),
                   str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.pid = self.process.pid

    def compute(self, seconds, depth=DEPTH, calls="others", pieces="long"):
        command = {"seconds": seconds, "depth": depth, "calls": calls, "pieces": pieces}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@contextlib.contextmanager
def worker_made(threads=0):
    worker = Worker(threads)
    try:
        worker.compute(0.1)
        yield worker
    finally:
        worker.close()


def stacklog(build, pid, hz, *options):
    return [os.path.join(build, "tests/stacks/stacklog"), str(pid), str(hz), "600", *options]


def clock_time(pid):
    """(ns, runs) so far of the clock's program that a process holds."""
    return program_times(pid)["sample_clock"]


class Piece(NamedTuple):
    """Of the clock's program: between two moments, so many ns in so many runs; of those that were
    not of the worker each took `empty` ns."""
    begin: int
    end: int
    ns: int
    runs: int
    empty: float


def piece_take(program, worker, command):
    """The clock's program runs for what is not traced, too: what that takes is seen while the
    worker sleeps."""
    start = clock_time(program.pid)
    time.sleep(0.5)
    idle, begin = clock_time(program.pid), time.monotonic_ns()
    worker.compute(*command)
    busy, end = clock_time(program.pid), time.monotonic_ns()
    empty = (idle[0] - start[0]) / max(1, idle[1] - start[1])
    return Piece(begin, end, busy[0] - idle[0], busy[1] - idle[1], empty)


def piece_ns(piece, times):
    """ns for each sample, which were taken at these times."""
    samples = sum(piece.begin <= taken <= piece.end for taken in times)
    if samples < 50:
        raise BenchError(f"{samples} samples in {(piece.end - piece.begin) / 1e9:.1f} s")
    return (piece.ns - (piece.runs - samples) * piece.empty) / samples


def sample_times(program):
    """Of all samples of a stacklog that has ended."""
    return [json.loads(line)["time"] for line in program.stdout
            if line.startswith('{"kind":"sample"')]


def pieces_ns(build, worker, warm, commands, hz=FAST_HZ):
    """ns for each sample of each piece of work, after some that makes it known."""
    with attached(stacklog(build, worker.pid, hz)) as program:
        worker.compute(warm, *commands[0][1:])  # the names are read now
        pieces = [piece_take(program, worker, command) for command in commands]
    times = sample_times(program)
    return [piece_ns(piece, times) for piece in pieces]


def sample_cost(build, worker, cycles, depth, calls="others", hz=FAST_HZ):
    """Of code that has been seen for long."""
    seconds = PIECE_S * max(1, FAST_HZ / hz / 5)
    values = pieces_ns(build, worker, WARM_S, [(seconds, depth, calls)] * cycles, hz)
    return Cost(statistics.median(values), min(values))


def new_sample_cost(build, worker, cycles):
    """Of code in its first second."""
    values = [pieces_ns(build, worker, 0.1, [(NEW_S, DEPTH, "others")])[0] for _ in range(cycles)]
    return Cost(statistics.median(values), min(values))


def depth_table(build, cycles):
    rows = []
    with worker_made() as worker, counting():
        for depth in DEPTHS:
            rows.append(Row(f"{depth} frames", sample_cost(build, worker, cycles, depth),
                            AIM_SAMPLE if depth == DEPTH else None))
        rows.append(Row(f"{DEPTH} frames, of one function",
                        sample_cost(build, worker, cycles, DEPTH, "itself"), None))
        rows.append(Row(f"{DEPTH} frames, {HZ} Hz: nothing is in the caches",
                        sample_cost(build, worker, cycles, DEPTH, hz=HZ), AIM_SAMPLE))
        rows.append(Row(f"{DEPTH} frames, in their first second",
                        new_sample_cost(build, worker, cycles), None))
    with worker_made(THREADS) as worker, counting():
        rows.append(Row(f"{DEPTH} frames, {THREADS} more threads",
                        sample_cost(build, worker, cycles, DEPTH), AIM_SAMPLE))
    table_print(f"a sample, by the kernel's count of the clock's run time, {FAST_HZ} Hz: ns", rows)


def rivals_install(build):
    """{name: program}: what there is, or could be had."""
    folder = os.path.join(build, "rivals")
    if not os.path.exists(os.path.join(folder, "bin/py-spy")):
        # austin 4 wants a newer libc than Debian 12 has.
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, "py-spy",
                        "austin-dist<4"], check=False, stderr=subprocess.DEVNULL)
    programs = {name: os.path.join(folder, "bin", name) for name in ("py-spy", "austin")}
    for name, program in programs.items():
        if not os.path.exists(program):
            print(f"  SKIPPED {name}: pip install --target {folder} did not bring it")
    return {name: program for name, program in programs.items() if os.path.exists(program)}


def sampler_commands(build, pid):
    rivals = rivals_install(build)
    commands = {"wsgiscope": stacklog(build, pid, HZ),
                "wsgiscope, waits too": stacklog(build, pid, HZ, "wall")}
    if "py-spy" in rivals:
        spy = [rivals["py-spy"], "record", "-p", str(pid), "-r", str(HZ), "-d", "600", "-f", "raw",
               "-o", "/dev/null"]
        commands["py-spy"] = spy
        commands["py-spy --nonblocking"] = spy + ["--nonblocking"]
    if "austin" in rivals:
        commands["austin"] = [rivals["austin"], "-i", f"{1000000 // HZ}us", "-o", "/dev/null",
                              "-p", str(pid)]
    return commands


@contextlib.contextmanager
def sampled(command):
    """Runs a sampler on the tracer's CPU while the body runs."""
    process = subprocess.Popen(["taskset", "-c", str(TRACER_CPU), *command],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(1.0)
    try:
        if process.poll() is not None:
            raise BenchError(f"{' '.join(command)}: status {process.returncode}")
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measured(worker, free):
    """(CPU of the worker's work over that of the same work by another one that nobody samples, the
    median of neighbours; percent of the time that it neither ran nor waited to). The two take turns
    on one CPU: its pace changes for seconds at a time."""
    ratios, wall, stopped = [], 0, 0
    for _ in range(TURNS):
        taken, beside = worker.compute(TURN_S), free.compute(TURN_S)
        ratios.append(statistics.fmean(taken["pieces"]) / statistics.fmean(beside["pieces"]))
        wall += taken["wall"]
        stopped += taken["wall"] - taken["cpu"] - taken["waited"]
    return statistics.median(ratios), 100 * stopped / wall


def lost_table(build, cycles, threads):
    """By pairs of neighbours: without, with."""
    with worker_made(threads) as worker, worker_made(threads) as free:
        lost = {}
        for _ in range(cycles):
            for name, command in sampler_commands(build, worker.pid).items():
                without, _ = measured(worker, free)
                with sampled(command):
                    taken, stopped = measured(worker, free)
                lost.setdefault(name, []).append((100 * (taken / without - 1), stopped))
    print(f"\na worker of {threads + 1} threads, {DEPTH} frames deep, at {HZ} Hz: percent, "
          f"median of {cycles} (least, most)")
    print(f"  {'':28}{'more CPU for its work':>28}{'of the time stopped':>28}")
    for name, values in lost.items():
        cells = "".join(f"{statistics.median(column):12.2f} ({min(column):5.2f},"
                        f"{max(column):6.2f})" for column in zip(*values))
        print(f"  {name:28}{cells}", flush=True)


def sampled_more(work, times):
    """ns of CPU that each short piece with one sample took more than its two neighbours, which had
    none: they ran at the same pace, a millisecond before and after."""
    pieces, begins = work["pieces"], work["begins"]
    samples = collections.Counter(bisect.bisect_right(begins, taken) - 1 for taken in times)
    return [pieces[i] - (pieces[i - 1] + pieces[i + 1]) / 2 for i in range(1, len(pieces) - 1)
            if (samples[i - 1], samples[i], samples[i + 1]) == (0, 1, 0)]


def median_range(values):
    """The median, and where it lies in 95 of 100 cases: by the signs, whatever the distribution."""
    values = sorted(values)
    middle, reach = len(values) / 2, 0.98 * len(values) ** 0.5
    return (statistics.median(values), values[max(0, int(middle - reach))],
            values[min(len(values) - 1, int(middle + reach))])


def clock_row(label, work, times, floor=None):
    """Prints what a sample takes by the worker's own clock; (percent of its time at HZ)."""
    more = sampled_more(work, times)
    if len(more) < 100:
        raise BenchError(f"{len(more)} of {len(work['pieces'])} pieces had one sample")
    median, low, high = (value / 1000 for value in median_range(more))
    share = median * HZ / 1e4
    says = "" if floor is None else f"  aim <= {AIM_LOST}  " + (
        "ok" if share <= AIM_LOST else "over (the limit alone is)" if floor > AIM_LOST else "over")
    print(f"  {label:36}{median:8.1f} ({low:5.1f} to {high:5.1f}){len(more):8}{share:10.3f}{says}",
          flush=True)
    return share


def clock_table(build):
    """What a sample takes of the worker by the worker's own clock: the interrupt as well."""
    print(f"\na sample by the worker's own clock, {DEPTH} frames deep, {HZ} Hz: what a millisecond "
          "with one took more\nthan its neighbours: us (95 of 100), samples, percent of its time")
    with worker_made() as worker:
        times = []
        with ticks.ticking(WORKER_CPU, HZ, times):
            work = worker.compute(CLOCK_S, pieces="short")
        floor = clock_row("limit: the interrupt alone", work, times)
    for threads in (0, THREADS):
        with worker_made(threads) as worker:
            with attached(stacklog(build, worker.pid, HZ)) as program:
                worker.compute(WARM_S)
                work = worker.compute(CLOCK_S, pieces="short")
            clock_row(f"wsgiscope, {threads + 1} threads", work, sample_times(program), floor)


def run(build, cycles):
    depth_table(build, cycles)
    clock_table(build)
    lost_table(build, cycles, 0)
    lost_table(build, cycles, THREADS)
    agreement.run(build, rivals_install(build))
