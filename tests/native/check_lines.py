#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_lines.py LINES: the line table of every code object in this Python's library, as LINES
(lines.c) reads it, against Python's own reading: each byte of each bytecode. Any Python from 3.9
on runs it. Exit status 1 if a line differs."""
import bisect
import dis
import os
import subprocess
import sys
import types

LNOTAB, RANGES, LOCATIONS = range(3)
FILES = 150  # of the library: some tens of thousands of code objects
LINES_MAX = 4096


def codes_of(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_of(constant)


def library():
    folder = os.path.dirname(os.__file__)
    for name in sorted(os.listdir(folder))[:FILES]:
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                yield from codes_of(compile(file.read(), name, "exec", dont_inherit=True))


def table_of(code):
    if sys.version_info < (3, 10):
        return LNOTAB, code.co_lnotab
    return (RANGES if sys.version_info < (3, 11) else LOCATIONS), code.co_linetable


def expected(code):
    """The line of each instruction, None: it has none."""
    lines = {}
    if sys.version_info >= (3, 10):
        for start, end, line in code.co_lines():
            for offset in range(start, end, 2):
                lines[offset] = line
        return lines
    starts = sorted(dis.findlinestarts(code))
    for offset in range(0, len(code.co_code), 2):
        index = bisect.bisect_right([start for start, _ in starts], offset) - 1
        lines[offset] = starts[index][1] if index >= 0 else code.co_firstlineno
    return lines


def main():
    codes = list(library())
    asked = "".join("%d %d %s\n" % (kind, code.co_firstlineno, table.hex())
                    for code in codes for kind, table in [table_of(code)])
    answers = subprocess.run([sys.argv[1]], input=asked, capture_output=True, text=True,
                             check=True).stdout.split("\n")
    wrong = seen = 0
    for code, answer in zip(codes, answers):
        found = [tuple(map(int, pair.split(":"))) for pair in answer.split()]
        if len(found) == LINES_MAX:
            continue
        starts = [offset for offset, _ in found]
        for offset, line in expected(code).items():
            index = bisect.bisect_right(starts, offset) - 1
            told = found[index][1] if index >= 0 else 0
            seen += 1
            if told != (line or 0):
                wrong += 1
                if wrong < 5:
                    print("%s of %s: %d is line %r, not %r" % (code.co_name, code.co_filename,
                                                               offset, line, told))
    print("lines: Python %d.%d: %d code objects, %d instructions, %d wrong" % (
        *sys.version_info[:2], len(codes), seen, wrong))
    return 1 if wrong or not seen else 0


sys.exit(main())
