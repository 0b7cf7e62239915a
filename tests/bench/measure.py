# SPDX-License-Identifier: BSD-2-Clause
"""Samples: what is measured in which phase, interleaved, and what differences come out of it.

A measurement is one short stretch of one worker's time. Within a phase all of its measurements take
turns, round after round, so that whatever else the machine does falls on all alike; phases take
turns, cycle after cycle, for the same reason. A difference is the median of the differences of
neighbours, not the difference of medians taken at different times.
"""
import random
import statistics
import time
from typing import NamedTuple

from phases import phase

PHASES = ("none", "scheduler", "limit", "wirelimit", "awake", "nostates", "tracer", "blocks",
          "wire")
UNDISTURBED = ("none", "scheduler", "limit", "wirelimit")
WALL, CPU = 0, 1
PAUSE_S = 0.002  # between two stretches while someone reads what they made


class Cost(NamedTuple):
    """ns, by the median of differences and by the difference of minima."""

    median: float
    least: float

    def minus(self, other):
        return Cost(self.median - other.median, self.least - other.least)

    def plus(self, other):
        return Cost(self.median + other.median, self.least + other.least)


class Measurement(NamedTuple):
    name: str
    who: str  # "traced": the process that the tracer is attached to; "other": another one
    phases: tuple
    command: dict  # of worker.py, with n, the operations in one stretch


class Samples:
    """(wall_ns, cpu_ns) of each stretch, by phase, name and cycle."""

    def __init__(self):
        self.values = {}
        self.talk = {}  # phase: what the attached program said at its end
        self.disturbed = 0  # how often somebody else's tracer was attached where none should be

    def add(self, phase_name, cycle, name, value):
        key = (phase_name, name)
        self.values.setdefault(key, {}).setdefault(cycle, []).append(value)

    def flat(self, phase_name, name, clock=CPU):
        cycles = self.values[phase_name, name]
        return [value[clock] for cycle in sorted(cycles) for value in cycles[cycle]]

    def whole(self, phase_name, name, clock=CPU):
        """What name costs."""
        values = self.flat(phase_name, name, clock)
        return Cost(statistics.median(values), min(values))

    def added(self, phase_name, name, base, clock=CPU):
        """What name costs more than base, taken in turns within the same phase."""
        ours, theirs = self.flat(phase_name, name, clock), self.flat(phase_name, base, clock)
        median = statistics.median(a - b for a, b in zip(ours, theirs))
        return Cost(median, min(ours) - min(theirs))

    def paced(self, phase_name, name, base, clock=CPU):
        """As added(), at one pace: how fast a virtual machine's CPU is changes by half from one
        moment to the next with what its neighbours do, and how long base took, which ran just
        then, tells it. A cost that is compared over phases is compared at the same pace."""
        usual = self.usual(base, clock)
        ours, theirs = self.flat(phase_name, name, clock), self.flat(phase_name, base, clock)
        median = statistics.median((a - b) * usual / b for a, b in zip(ours, theirs))
        return Cost(median, self.added(phase_name, name, base, clock).least)

    def usual(self, name, clock=CPU):
        return statistics.median(value for phase, measured in self.values if measured == name
                                 for value in self.flat(phase, name, clock))

    def paced_by_phase(self, phase_name, name, pace, clock=CPU, base="none"):
        """What name costs more in phase_name than in the phase base, both at one pace as in
        paced(): that of `pace`, which no phase makes dearer and which ran in turns with name."""
        usual = self.usual(pace, clock)
        ours, theirs = (
            [value * usual / beside for value, beside in
             zip(self.flat(phase, name, clock), self.flat(phase, pace, clock))]
            for phase in (phase_name, base)
        )
        median = statistics.median(ours) - statistics.median(theirs)
        return Cost(median, self.added_by_phase(phase_name, name, clock, base).least)

    def added_by_phase(self, phase_name, name, clock=CPU, base="none"):
        """What name costs more in phase_name than in the phase base, in the same cycle."""
        ours, theirs = self.values[phase_name, name], self.values[base, name]
        median = statistics.median(
            statistics.median(value[clock] for value in ours[cycle])
            - statistics.median(value[clock] for value in theirs[cycle])
            for cycle in sorted(set(ours) & set(theirs))
        )
        least = min(self.flat(phase_name, name, clock)) - min(self.flat(base, name, clock))
        return Cost(median, least)

    def slope(self, phase_name, many, few, operations):
        """The cost of each of the operations that a request of many has more than one of few."""
        cost = self.added(phase_name, many, few)
        return Cost(cost.median / operations, cost.least / operations)


def others_attached():
    """Whether somebody else's tracer is at work, which makes every system call dearer."""
    with open("/sys/kernel/tracing/uprobe_events", encoding="ascii") as file:
        return "wsgiscope" in file.read()


def phase_run(samples, name, cycle, rounds, measurements, workers):
    for _ in range(rounds):
        # Another order each time: what ran before leaves its traces in the caches.
        for m in random.sample(measurements, len(measurements)):
            samples.add(name, cycle, m.name, workers[m.who].call(**m.command))
            if name in ("nostates", "tracer", "blocks", "wire"):
                time.sleep(PAUSE_S)


def measure(build, workers, measurements, cycles, rounds, progress):
    """Runs all measurements, each in its phases; Samples."""
    samples = Samples()
    names = [name for name in PHASES if any(name in m.phases for m in measurements)]
    done = 0
    for cycle in range(cycles):
        for name in names:
            mine = [m for m in measurements if name in m.phases]
            samples.disturbed += name in UNDISTURBED and others_attached()
            with phase(name, build, workers["traced"]) as program:
                phase_run(samples, name, cycle, 1, mine, workers)
                samples.values = drop_cycle(samples.values, name, cycle)  # that was the warm-up
                phase_run(samples, name, cycle, rounds, mine, workers)
            if program:
                samples.talk[name] = program.talk + program.stdout
            done += 1
            progress(done, cycles * len(names))
    return samples


def drop_cycle(values, name, cycle):
    """values without what was measured in this phase of this cycle."""
    for (phase_name, _), cycles in values.items():
        if phase_name == name:
            cycles.pop(cycle, None)
    return values
