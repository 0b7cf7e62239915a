# SPDX-License-Identifier: BSD-2-Clause
"""The arithmetic of clock.c, and both of its clocks against CLOCK_MONOTONIC."""

import ctypes
import os
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = os.path.join(ROOT, "python-shim", "wsgiscope", "clock.c")


class Pair(ctypes.Structure):
    _fields_ = [("ns", ctypes.c_uint64), ("ticks", ctypes.c_uint64)]


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    library = str(tmp_path_factory.mktemp("clock") / "clock.so")
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", SOURCE, "-o", library], check=True)
    clock = ctypes.CDLL(library)
    clock.clock_read_pair.argtypes = [ctypes.c_bool]
    clock.clock_read_pair.restype = Pair
    clock.clock_is_fast.restype = ctypes.c_bool
    clock.clock_scale.argtypes = [ctypes.c_uint64, ctypes.POINTER(Pair), ctypes.POINTER(Pair)]
    clock.clock_scale.restype = ctypes.c_uint64
    return clock


@pytest.mark.parametrize("ticks, begin, end, ns", [
    (500, (1000, 100), (2000, 1100), 500),
    (600, (1000, 0), (2000, 3000), 200),
    (3 * 10**17, (0, 0), (10**17, 3 * 10**17), 10**17),  # three years at 3 GHz
    (7, (1000, 100), (2000, 100), 0),  # a clock that stands still
    (7, (1000, 100), (900, 200), 0),
])
def test_scale(clock, ticks, begin, end, ns):
    assert clock.clock_scale(ticks, Pair(*begin), Pair(*end)) == ns


def test_slow_clock_is_nanoseconds(clock):
    before = time.monotonic_ns()
    pair = clock.clock_read_pair(False)
    assert before <= pair.ns == pair.ticks <= time.monotonic_ns()


def test_fast_clock_runs_evenly(clock):
    if not clock.clock_is_fast():
        pytest.skip("the kernel does not keep time by the processor's counter here")
    pairs = []
    for _ in range(3):
        pairs.append(clock.clock_read_pair(True))
        time.sleep(0.02)
    first, second, third = pairs
    half = clock.clock_scale(second.ticks - first.ticks, first, third)
    assert abs(half - (second.ns - first.ns)) < 10_000
