# SPDX-License-Identifier: BSD-2-Clause
"""What /proc says of processes, for the tests: trees, mappings, sessions, memory."""
import collections
import os
import struct
import time

Mapping = collections.namedtuple("Mapping", "start end offset path")


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat(pid):
    """The fields after the name: state, ppid, pgrp, session, ...; None if it is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return None


def alive(pid):
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


def parent(pid):
    fields = stat(pid)
    return int(fields[1]) if fields else None


def tree(pid):
    """pid and its descendants that live."""
    children = {}
    for other in all_pids():
        children.setdefault(parent(other), []).append(other)
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        if alive(current):
            found.append(current)
        queue += children.get(current, [])
    return found


def session(leader):
    """The processes of a session that live."""
    return [pid for pid in all_pids()
            if (fields := stat(pid)) and fields[0] not in "ZX" and int(fields[3]) == leader]


def wait_gone(pids, seconds):
    """Those of the processes that still live after so long."""
    until(lambda: not any(map(alive, pids)), seconds)
    return [pid for pid in pids if alive(pid)]


def catches(pid, number):
    """Whether the process takes the signal by now: it has a handler, or a signalfd, for which a
    signal is blocked."""
    with open("/proc/%d/status" % pid, encoding="ascii") as stream:
        masks = [int(line.split()[1], 16) for line in stream
                 if line.startswith(("SigBlk:", "SigCgt:"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def send(pid, number):
    """Whether the process was there to get the signal: many end by themselves or by their parent's
    hand at any time."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def until(condition, seconds, step=0.02):
    """Polls until the condition is true; its value, or False after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline:
            return False
        time.sleep(step)


def cmdline(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def mappings(pid, part):
    """The mappings whose file name holds `part`."""
    try:
        with open("/proc/%d/maps" % pid, encoding="latin-1") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) == 6 and part in os.path.basename(fields[5]):
            start, end = fields[0].split("-")
            found.append(Mapping(int(start, 16), int(end, 16), int(fields[2], 16), fields[5]))
    return found


def maps(pid, part):
    return bool(mappings(pid, part))


def memory_kb(pid, field="VmRSS"):
    with open("/proc/%d/status" % pid, encoding="ascii") as stream:
        for line in stream:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise KeyError(field)


def read_u16(pid, address):
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        memory.seek(address)
        return struct.unpack("H", memory.read(2))[0]
