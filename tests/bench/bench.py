#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench: what wsgiscope costs, next to the limit and to its rivals, in one run.

Prints tables: values in ns, ratios, and for each aim of the project "ok" or "over". It measures and
never fails on time: another machine has other numbers.
Usage: bench.py BUILD_DIRECTORY [request|kernel|states|wire|arming|load|stacks|nop5 ...]
BENCH_ROUNDS: rounds of each measurement in each cycle (default 40), BENCH_CYCLES: how often each
tracer is attached (default 5), BENCH_SECONDS: of synthetic load (default 60), BENCH_PYTHON: what
runs the worker of `stacks` (default: what runs this).
"""
import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile

import load
import runtime
import stacks
from measure import WALL, Measurement, measure
from phases import BenchError, Worker
from report import Row, remarks_print, table_print

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "40"))
CYCLES = int(os.environ.get("BENCH_CYCLES", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "60"))

# The aims (issue 2): ns, or made from the measured limit.
AIM_DETACHED = 30
AIM_ATTACHED_TIMES, AIM_ATTACHED_PLUS = 2, 300
AIM_BLOCK_DETACHED, AIM_BLOCK_ATTACHED = 1, 45  # "nothing" is what rounds to it
AIM_SEND, AIM_OTHER = 250, 80
# Issue 3.
AIM_WIRE = 3000  # issue 6
AIM_SWITCH, AIM_SWITCH_OTHER, AIM_STATES = 300, 60, 150

MANY = 1000
LARGE = 8192
RIVALS = (
    ("middleware", "2015 middleware"),
    ("statsd", "2015 middleware + StatsD over UDP"),
    ("prometheus", "2015 middleware + prometheus_client"),
)


def progress(done, total):
    """Talk for a terminal; a log needs none."""
    if sys.stderr.isatty():
        print(f"\r{done}/{total}\r", end="", flush=True, file=sys.stderr)


def loop(name, phases, wrap, n=150, **options):
    command = dict(op="loop", wrap=wrap, n=n, **options)
    return Measurement(name, "traced", phases, command)


def request_measurements():
    every, both = ("none", "limit", "tracer"), ("none", "tracer")
    none, limit = ("none",), ("limit",)
    rows = [
        loop("bare", every + ("awake",), "bare"),
        loop("marker", both + ("awake",), "marker"),
        loop("limit", limit, "bare", marks=True),
        loop("bare+write", every, "bare", write=True),
        loop("marker+write", both, "marker", write=True),
        loop("limit+write", limit, "bare", marks=True, write=True),
        loop("bare 1", ("none", "tracer", "blocks"), "bare", blocks=1),
        loop("bare many", ("none", "tracer", "blocks"), "bare", n=3, blocks=MANY),
        loop("marker 1", ("none", "tracer", "blocks"), "marker", blocks=1),
        loop("marker many", ("none", "tracer", "blocks"), "marker", n=3, blocks=MANY),
        loop("middleware 1", none, "middleware", blocks=1),
        loop("middleware many", none, "middleware", n=3, blocks=MANY),
    ]
    rows += [loop(wrap, none, wrap, n=50) for wrap, _ in RIVALS]
    return rows


def request_table(s):
    limit = s.paced("limit", "limit", "bare")
    attached = s.paced("tracer", "marker", "bare")
    aim = AIM_ATTACHED_TIMES * limit.median + AIM_ATTACHED_PLUS
    rows = [
        Row("bare application, whole request", s.whole("none", "bare"), whole=True),
        Row("marker, detached", s.paced("none", "marker", "bare"), AIM_DETACHED),
        Row("limit: empty programs on both marks", limit),
        Row("marker awake, empty programs (USDT)", s.paced("awake", "marker", "bare")),
        Row("marker, attached", attached, aim),
    ]
    rows += [Row(label, s.paced("none", wrap, "bare")) for wrap, label in RIVALS]
    table_print("a request of one block: ns more than the bare application, "
                "at its median pace", rows,
                limit=limit, attached=attached)
    limit = s.paced("limit", "limit+write", "bare+write")
    rows = [
        Row("bare application, whole request", s.whole("none", "bare+write"), whole=True),
        Row("marker, detached", s.paced("none", "marker+write", "bare+write")),
        Row("limit", limit),
        Row("marker, attached", s.paced("tracer", "marker+write", "bare+write")),
    ]
    table_print("the same request with one socket write: ns more than the bare application, "
                "at its median pace", rows,
                limit=limit)


def block_cost(s, phase_name, wrap):
    """ns a block, more than the bare application's."""
    bare = s.slope(phase_name, "bare many", "bare 1", MANY - 1)
    return s.slope(phase_name, f"{wrap} many", f"{wrap} 1", MANY - 1).minus(bare)


def block_table(s):
    rival = block_cost(s, "none", "middleware")
    bare = s.slope("none", "bare many", "bare 1", MANY - 1)
    rows = [
        Row("bare application, whole block", bare, whole=True),
        Row("marker, detached", block_cost(s, "none", "marker"), AIM_BLOCK_DETACHED),
        Row("marker, attached", block_cost(s, "tracer", "marker"), AIM_BLOCK_ATTACHED),
        Row("marker, attached with --blocks", block_cost(s, "blocks", "marker")),
        Row("2015 middleware", rival),
    ]
    table_print(f"a block, of {MANY}: ns more than the bare application", rows, rival=rival)


def request_bench(build, workers):
    samples = measure(build, workers, request_measurements(), CYCLES, ROUNDS, progress)
    request_table(samples)
    block_table(samples)
    remarks_print(samples)


def kernel_measurements():
    every = ("none", "limit", "tracer")
    sends = {"op": "send", "n": 320}
    return [
        Measurement("send", "traced", ("none", "limit"), sends),
        Measurement("send", "traced", ("tracer",), dict(sends, tracked=True)),
        Measurement("other getppid", "other", every, {"op": "getppid", "n": 3000}),
        Measurement("other write", "other", every, {"op": "write", "n": 3000}),
        Measurement("other send", "other", every, sends),
    ]


def kernel_table(s, title, name, aim):
    limit = s.added_by_phase("limit", name)
    rows = [
        Row("no tracer, whole call", s.whole("none", name), whole=True),
        Row("limit: empty programs on the same calls", limit),
        Row("tracer attached", s.added_by_phase("tracer", name), aim,
            floor=limit.median),
    ]
    table_print(title, rows, limit=limit)


def kernel_bench(build, workers):
    s = measure(build, workers, kernel_measurements(), CYCLES, ROUNDS, progress)
    kernel_table(s, "a traced socket write, send() of 100 bytes: ns more", "send", AIM_SEND)
    for name in ("getppid", "write", "send"):
        kernel_table(s, f"another process's {name}(): ns more", f"other {name}", AIM_OTHER)
    remarks_print(s)


def states_measurements():
    phases = ("none", "scheduler", "nostates", "tracer")
    switches = {"op": "switches", "n": 500, "tracked": True}
    return [
        Measurement("futex", "traced", phases, dict(switches, way="futex")),
        Measurement("pipe", "traced", phases, dict(switches, way="pipe")),
        Measurement("other", "other", phases, dict(switches, way="futex")),
        Measurement("marks", "traced", ("none", "limit", "nostates", "tracer"),
                    {"op": "marks", "n": 150}),
    ]


def switch_table(s, title, name, aim):
    """The states' own cost: the empty programs', and what the tracer takes more than one that
    differs from it in nothing but that its programs at the scheduler are empty."""
    limit = s.added_by_phase("scheduler", name)
    states = s.added_by_phase("tracer", name, base="nostates").plus(limit)
    table_print(title, [
        Row("no tracer, whole switch", s.whole("none", name), whole=True),
        Row("limit: empty programs at switch, wake-up", limit),
        Row("states", states, aim, floor=limit.median),
        Row("tracer, all of it", s.added_by_phase("tracer", name)),
    ], limit=limit)


SCHEDULER, MARKS = ("thread_switch", "thread_wakeup"), ("request_start", "request_end")
SWITCHES = {"op": "switches", "n": 5000, "tracked": True}
# What, and its aim.
SUBJECTS = (
    (runtime.Subject("switch of a thread in a request, by a futex", "traced", SCHEDULER,
                     dict(SWITCHES, way="futex")), AIM_SWITCH),
    (runtime.Subject("the same by a pipe", "traced", SCHEDULER,
                     dict(SWITCHES, way="pipe")), AIM_SWITCH),
    (runtime.Subject("switch of a process that is not traced", "other", SCHEDULER,
                     dict(SWITCHES, way="futex")), AIM_SWITCH_OTHER),
    (runtime.Subject("a request without a switch", "traced", MARKS,
                     {"op": "marks", "n": 1500}), AIM_STATES),
)


def run_time_table(build, workers):
    costs = runtime.measure(build, workers, [subject for subject, _ in SUBJECTS], CYCLES)
    rows = [Row(subject.label, costs[subject.label], aim) for subject, aim in SUBJECTS]
    table_print("states, by the kernel's count of the programs' run time: ns more than empty ones",
                rows)


def states_bench(build, workers):
    s = measure(build, workers, states_measurements(), CYCLES, ROUNDS, progress)
    switch_table(s, "context switch of a thread in a request, by a futex: ns more", "futex",
                 AIM_SWITCH)
    switch_table(s, "the same by a pipe, with its write() and read(): ns more", "pipe", AIM_SWITCH)
    switch_table(s, "context switch of a process that is not traced: ns more", "other",
                 AIM_SWITCH_OTHER)
    limit = s.added_by_phase("limit", "marks")
    table_print("a request without a switch, its two marks alone: ns more", [
        Row("limit: empty programs on both marks", limit),
        Row("tracer without states", s.added_by_phase("nostates", "marks")),
        Row("tracer", s.added_by_phase("tracer", "marks")),
        Row("states: the difference of these two",
            s.added_by_phase("tracer", "marks", base="nostates"), AIM_STATES),
    ], limit=limit)
    run_time_table(build, workers)
    remarks_print(s)


def wire_measurements():
    turns, every = {"op": "turns", "n": 150}, ("none", "wirelimit", "tracer", "wire")
    rows = [
        Measurement("turns", "traced", ("none", "wirelimit", "wire"), turns),
        Measurement("turns", "traced", ("tracer",), dict(turns, tracked=True)),
        Measurement("large", "traced", ("none", "wirelimit", "wire"), dict(turns, body=LARGE)),
        Measurement("other turns", "other", every, turns),
    ]
    # What nobody makes dearer, beside each: it tells how fast the CPU was just then.
    pace = {"op": "loop", "wrap": "bare", "n": 150}
    return rows + [Measurement("pace", "traced", every, pace),
                   Measurement("other pace", "other", every, pace)]


def wire_table(s):
    limit = s.paced_by_phase("wirelimit", "turns", "pace")
    marker = s.paced_by_phase("tracer", "turns", "pace")
    wire = s.paced_by_phase("wire", "turns", "pace")
    table_print("a request of one read and two writes on a connection kept alive: ns more, "
                "at one pace", [
        Row("no tracer, whole request", s.whole("none", "turns"), whole=True),
        Row("limit: empty programs where the wire's are", limit),
        Row("by the marker", marker),
        Row("by the wire", wire, AIM_WIRE, floor=limit.median),
        Row("of that ours: more than the limit", wire.minus(limit), AIM_WIRE - limit.median),
    ], limit=limit, marker=marker)
    limit = s.paced_by_phase("wirelimit", "large", "pace")
    table_print(f"the same with a body of {LARGE} bytes: ns more, at one pace", [
        Row("no tracer, whole request", s.whole("none", "large"), whole=True),
        Row("limit", limit),
        Row("by the wire", s.paced_by_phase("wire", "large", "pace"), AIM_WIRE,
            floor=limit.median),
    ], limit=limit)


def wire_bench(build, workers):
    """A request by the wire and by the marker, each with its system calls."""
    for worker in workers.values():
        worker.call("turns", n=10)  # its listener is there when somebody attaches
    s = measure(build, workers, wire_measurements(), CYCLES, ROUNDS, progress)
    wire_table(s)
    limit = s.paced_by_phase("wirelimit", "other turns", "other pace")
    table_print("the same of a process that is not traced: ns more, at one pace", [
        Row("limit: empty programs where the wire's are", limit),
        Row("while another is, by the marker",
            s.paced_by_phase("tracer", "other turns", "other pace")),
        Row("while another is, by the wire",
            s.paced_by_phase("wire", "other turns", "other pace")),
    ], limit=limit)
    remarks_print(s)


def arming_bench(build, workers):
    every = ("none", "limit", "tracer")
    labels = {"threads": "thread made and joined", "forks": "process forked and waited for",
              "switches": "context switch"}
    counts = {"threads": 40, "forks": 5, "switches": 1000}
    rows = [Measurement(op, "traced", every, {"op": op, "n": counts[op]}) for op in labels]
    s = measure(build, workers, rows, CYCLES, ROUNDS, progress)
    for op, label in labels.items():
        whole = s.whole("none", op, WALL)
        table_print(f"{label}, in the traced process: ns more, wall time", [
            Row("no tracer, whole", whole, whole=True),
            Row("limit: armed in the whole file", s.added_by_phase("limit", op, WALL)),
            Row("trace -p: armed by process", s.added_by_phase("tracer", op, WALL)),
        ], whole=whole)


def load_bench(build, workers):
    load.run(build, workers["traced"], SECONDS)


def stacks_bench(build, _workers):
    stacks.run(build, CYCLES)


def nop5_bench(build, _workers):
    print("\nwhy our marks begin with a one-byte nop", flush=True)
    subprocess.run([os.path.join(build, "tests", "bench", "nop5_fork")], check=False)


SECTIONS = {
    "request": request_bench,
    "kernel": kernel_bench,
    "states": states_bench,
    "wire": wire_bench,
    "arming": arming_bench,
    "load": load_bench,
    "stacks": stacks_bench,
    "nop5": nop5_bench,
}


def run(build, package, names):
    """The sections, with workers that use a copy of the marker: the empty programs are attached to
    a whole file, and whatever else uses the built one is not to pay for it."""
    shutil.copytree(os.path.join(build, "python"), package, dirs_exist_ok=True)
    workers = {}
    try:
        for who in ("traced", "other"):
            workers[who] = Worker(build, package)
        for name in names:
            SECTIONS[name](build, workers)
    finally:
        for worker in workers.values():
            worker.close()


@contextlib.contextmanager
def tracefs_mounted(folder="/sys/kernel/tracing"):
    """libbpf's own attaching, as the limit's, wants it mounted; the tracer does not."""
    mounted = not os.path.exists(os.path.join(folder, "uprobe_events"))
    if mounted:
        subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], check=True)
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def main():
    names = sys.argv[2:] or list(SECTIONS)
    if len(sys.argv) < 2 or not set(names) <= set(SECTIONS):
        print(f"usage: bench.py BUILD_DIRECTORY [{'|'.join(SECTIONS)} ...]", file=sys.stderr)
        return 2
    if os.geteuid():
        print("bench: attaching needs root: run sudo make bench", file=sys.stderr)
        return 1
    build = os.path.abspath(sys.argv[1])
    print(f"Linux {platform.release()}, {platform.machine()}, {os.cpu_count()} CPUs, "
          f"Python {platform.python_version()}; CPU time of the thread, medians of "
          f"{CYCLES} x {ROUNDS} interleaved rounds", flush=True)
    try:
        with tracefs_mounted(), \
                tempfile.TemporaryDirectory(prefix="wsgiscope-bench-") as package:
            run(build, package, names)
    except (BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
