# SPDX-License-Identifier: BSD-2-Clause
"""A process that makes code and frees it as fast as it can. Ends when stdin does; then prints one
JSON object: {name: [begin, end]} of each function it ran, CLOCK_MONOTONIC. Runs on every Python
from 3.9 on.

By turns the next function finds memory as the last one found it, so that all of it comes to lie at
the same addresses; and other strings come to where the last one's were, while memory grows and
shrinks, so that what is new lies at the end of what has been touched.

Usage: freed.py SECONDS (so long each function runs)"""
import json
import select
import sys
import time

# Of the same length, with a name of the same length.
SOURCE = "def made_%06d(end):\n\n\n    while time.monotonic_ns() < end:\n        pass\n"
FUNCTIONS_MAX = 1_000_000
TURN = 64


def run(number, seconds, spans):
    names = {"time": time}
    exec(SOURCE % number, names)
    function = names.pop("made_%06d" % number)
    begin = time.monotonic_ns()
    function(begin + int(seconds * 1e9))
    # The last moment at which the function may be seen: on its way out.
    del function, names
    spans[number] = (begin, time.monotonic_ns())


def main():
    seconds = float(sys.argv[1])
    spans = [None] * FUNCTIONS_MAX
    others = []
    number = 0
    print("ready", flush=True)
    while number < FUNCTIONS_MAX and not select.select([sys.stdin], [], [], 0)[0]:
        run(number, seconds, spans)
        number += 1
        if number // TURN % 2:
            others += ["127.0.%05d" % (number + i) for i in range(number % 400)]
        else:
            others.clear()
    print(json.dumps({"made_%06d" % i: span for i, span in enumerate(spans) if span}))


main()
