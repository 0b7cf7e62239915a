# SPDX-License-Identifier: BSD-2-Clause
"""A process that is sampled: computes at a known depth, in pieces that it times itself. Reads one
JSON command a line, answers with one JSON line. Must not know who samples it.

Usage: stacks_worker.py CPU THREADS (so many more threads, asleep)
"""
import json
import os
import sys
import threading
import time

SOURCE = '''def at_%d(depth, *what):
    return at_%d(depth - 1, *what) if depth > 1 else compute(*what)
'''
DEPTH_MAX = 300

PIECES = {"long": 500_000, "short": 50_000}  # turns of the loop: some ten milliseconds, and one


def waited_ns():
    """How long this thread has waited for a CPU."""
    with open("/proc/thread-self/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1])


def compute(seconds, turns):
    """{"pieces": CPU ns of each piece, "begins": when each began, and of the whole: "wall", "cpu",
    "waited"}."""
    pieces, begins = [], []
    waited, wall, cpu = waited_ns(), time.monotonic_ns(), time.thread_time_ns()
    end = wall + seconds * 1e9
    while not begins or begins[-1] < end:
        begins.append(time.monotonic_ns())
        piece = time.thread_time_ns()
        for _ in range(turns):
            pass
        pieces.append(time.thread_time_ns() - piece)
    cpu, wall = time.thread_time_ns() - cpu, time.monotonic_ns() - wall
    return {"pieces": pieces, "begins": begins, "wall": wall, "cpu": cpu,
            "waited": waited_ns() - waited}


def itself(depth, *what):
    return itself(depth - 1, *what) if depth > 1 else compute(*what)


def others():
    """The first of functions that each call the next: as in most of what is sampled, each frame has
    a code object of its own."""
    names = {"compute": compute}
    for number in range(DEPTH_MAX):
        exec(SOURCE % (number, number + 1), names)  # pylint: disable=exec-used
    return names["at_0"]


def main():
    os.sched_setaffinity(0, {int(sys.argv[1])})
    for _ in range(int(sys.argv[2])):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    chains = {"itself": itself, "others": others()}
    for line in sys.stdin:
        # main() and its module are two of the frames.
        command = json.loads(line)
        result = chains[command["calls"]](command["depth"] - 3, command["seconds"],
                                           PIECES[command["pieces"]])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
