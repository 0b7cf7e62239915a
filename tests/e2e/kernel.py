# SPDX-License-Identifier: BSD-2-Clause
"""What a tracer's BPF maps hold, seen from outside: for tests of what must not grow or stay."""
import json
import os
import re
import subprocess

import procs


def bpftool(*arguments):
    output = subprocess.run(["bpftool", "-j", *map(str, arguments)], capture_output=True,
                            check=True)
    return json.loads(output.stdout)


def map_ids(pid):
    """The BPF maps that a process holds."""
    found = set()
    for fd in os.listdir("/proc/%d/fdinfo" % pid):
        try:
            with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="ascii") as stream:
                found.update(map(int, re.findall(r"^map_id:\s*(\d+)", stream.read(), re.M)))
        except OSError:
            pass  # it has been closed since
    return found


def all_maps():
    return {each["id"] for each in bpftool("map", "show")}


def map_id(pid, name):
    """The id of its map of this name."""
    ids = map_ids(pid)
    found = [each["id"] for each in bpftool("map", "show")
             if each["id"] in ids and each.get("name") == name]
    assert len(found) == 1, (pid, name, found)
    return found[0]


def keys(pid, name):
    """The keys of its hash map of this name, as bytes."""
    return [bytes(int(byte, 16) for byte in entry["key"])
            for entry in bpftool("map", "dump", "id", map_id(pid, name))]


def entries(pid, name):
    return len(keys(pid, name))


def requests(pid):
    """How many requests lie in its table: the keys of its slots that are not free."""
    groups = bpftool("map", "dump", "id", map_id(pid, "request_keys"))
    words = [bytes(int(byte, 16) for byte in group["value"]) for group in groups]
    return sum(word[at:at + 8] != bytes(8) for word in words for at in range(0, len(word), 8))


def strangers(pid, name):
    """The processes in a map whose keys are PIDs that do not live."""
    found = [int.from_bytes(key, "little") for key in keys(pid, name)]
    return [each for each in found if not procs.alive(each)]
