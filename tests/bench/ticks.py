# SPDX-License-Identifier: BSD-2-Clause
"""A clock of the kernel's with nothing behind it: what being interrupted alone takes. Each tick is
noted in a buffer that is read afterwards; nobody is woken."""
import contextlib
import ctypes
import mmap
import os
import struct
import time

NR_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
# struct perf_event_attr (linux/perf_event.h), as far as it is set here.
ATTR = struct.Struct("=IIQQQQQIIQQQQIi")
TYPE_SOFTWARE, COUNT_CPU_CLOCK = 1, 0
SAMPLE_TIME = 1 << 2
BY_FREQUENCY, USE_CLOCKID = 1 << 10, 1 << 25
FLAG_CLOEXEC = 1 << 3
RECORD_SAMPLE = 9
DATA_HEAD = 1024  # its place in the first page
PAGES = 64


def clock_open(cpu, hz):
    attr = ATTR.pack(TYPE_SOFTWARE, ATTR.size, COUNT_CPU_CLOCK, hz, SAMPLE_TIME, 0,
                     BY_FREQUENCY | USE_CLOCKID, 0, 0, 0, 0, 0, 0, 0, time.CLOCK_MONOTONIC)
    fd = ctypes.CDLL(None, use_errno=True).syscall(
        NR_PERF_EVENT_OPEN[os.uname().machine], attr, -1, cpu, -1, FLAG_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "perf_event_open")
    return fd


def times_read(buffer):
    """Of all records, which must have had room."""
    head = struct.unpack_from("=Q", buffer, DATA_HEAD)[0]
    at, times = mmap.PAGESIZE, []
    while at < mmap.PAGESIZE + head:
        kind, _, size = struct.unpack_from("=IHH", buffer, at)
        if kind == RECORD_SAMPLE:
            times.append(struct.unpack_from("=Q", buffer, at + 8)[0])
        at += size
    return times


@contextlib.contextmanager
def ticking(cpu, hz, times):
    """So many ticks a second of one CPU while the body runs; then their times are in times."""
    fd = clock_open(cpu, hz)
    try:
        with mmap.mmap(fd, (1 + PAGES) * mmap.PAGESIZE) as buffer:
            yield
            times += times_read(buffer)
    finally:
        os.close(fd)
