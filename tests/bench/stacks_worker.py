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

PIECE = 100_000  # turns of the loop: some milliseconds


def compute(seconds):
    """[(wall_ns, cpu_ns)] of each piece."""
    pieces = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        wall, cpu = time.monotonic_ns(), time.thread_time_ns()
        for _ in range(PIECE):
            pass
        pieces.append((time.monotonic_ns() - wall, time.thread_time_ns() - cpu))
    return pieces


def at_depth(depth, seconds):
    return at_depth(depth - 1, seconds) if depth > 1 else compute(seconds)


def main():
    os.sched_setaffinity(0, {int(sys.argv[1])})
    for _ in range(int(sys.argv[2])):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    for line in sys.stdin:
        # main() and its module are two of the frames.
        command = json.loads(line)
        print(json.dumps(at_depth(command["depth"] - 3, command["seconds"])), flush=True)


if __name__ == "__main__":
    main()
