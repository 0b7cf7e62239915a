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

PIECE = 500_000  # turns of the loop: some ten milliseconds


def waited_ns():
    """How long this thread has waited for a CPU."""
    with open("/proc/thread-self/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1])


def compute(seconds):
    """{"pieces": CPU ns of each piece, and of the whole: "wall", "cpu", "waited"}."""
    pieces = []
    waited, wall, cpu = waited_ns(), time.monotonic_ns(), time.thread_time_ns()
    end = wall + seconds * 1e9
    while time.monotonic_ns() < end:
        piece = time.thread_time_ns()
        for _ in range(PIECE):
            pass
        pieces.append(time.thread_time_ns() - piece)
    cpu, wall = time.thread_time_ns() - cpu, time.monotonic_ns() - wall
    return {"pieces": pieces, "wall": wall, "cpu": cpu, "waited": waited_ns() - waited}


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
