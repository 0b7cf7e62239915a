# SPDX-License-Identifier: BSD-2-Clause
"""How long BPF programs run, by the kernel's own count (kernel.bpf_stats_enabled).

That leaves out what the kernel takes to call a program, and what a program costs others by the
caches that it uses; and it is steadier than CPU time. Counting makes every program on this machine
some tens of ns dearer while it lasts: nothing else is measured meanwhile."""
import contextlib
import json
import os
import re
import statistics
import subprocess
from typing import NamedTuple

from measure import Cost
from phases import BenchError, phase

SYSCTL = "/proc/sys/kernel/bpf_stats_enabled"


class Subject(NamedTuple):
    label: str
    who: str  # as in Measurement
    programs: tuple  # whose time is added up; the first one's runs are what it is divided by
    command: dict  # of worker.py


@contextlib.contextmanager
def counting():
    """The kernel counts while the body runs; what was set before is set again."""
    with open(SYSCTL, encoding="ascii") as file:
        before = file.read()
    try:
        with open(SYSCTL, "w", encoding="ascii") as file:
            file.write("1")
        yield
    finally:
        with open(SYSCTL, "w", encoding="ascii") as file:
            file.write(before)


def program_ids(pid):
    """The BPF programs that a process holds."""
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(entry.path, encoding="ascii") as file:
            found.update(map(int, re.findall(r"^prog_id:\s*(\d+)", file.read(), re.M)))
    return found


def program_times(pid):
    """{name: (ns, runs)} so far of the programs that a process holds."""
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], env=env, capture_output=True,
                           check=True).stdout
    ids = program_ids(pid)
    return {program["name"]: (program.get("run_time_ns", 0), program.get("run_cnt", 0))
            for program in json.loads(shown) if program["id"] in ids}


def subject_time(subject, pid, worker):
    """ns that the subject's programs ran, for each run of the first."""
    before = program_times(pid)
    worker.call(**subject.command)
    after = program_times(pid)
    ns = sum(after[name][0] - before[name][0] for name in subject.programs)
    runs = after[subject.programs[0]][1] - before[subject.programs[0]][1]
    if not runs:
        raise BenchError(f"{subject.programs[0]} did not run: {subject.label}")
    return ns / runs


def measure(build, workers, subjects, cycles):
    """{label: Cost}: what the tracer's programs run longer than those of one without states."""
    times = {(name, subject.label): [] for name in ("nostates", "tracer") for subject in subjects}
    with counting():
        for _ in range(cycles):
            for name in ("nostates", "tracer"):
                with phase(name, build, workers["traced"]) as program:
                    for subject in subjects:
                        value = subject_time(subject, program.pid, workers[subject.who])
                        times[name, subject.label].append(value)
    costs = {}
    for subject in subjects:
        ours, theirs = times["tracer", subject.label], times["nostates", subject.label]
        median = statistics.median(a - b for a, b in zip(ours, theirs))
        costs[subject.label] = Cost(median, min(ours) - min(theirs))
    return costs
