# SPDX-License-Identifier: BSD-2-Clause
"""The marker's semaphores in a worker's memory, found the way other USDT tools find them."""
import re
import subprocess

import procs


def semaphores(path):
    """{probe: virtual address} from the file's USDT notes. OSError where it has gone."""
    with open(path, "rb") as file:
        notes = subprocess.run(["readelf", "-n", "/proc/self/fd/%d" % file.fileno()],
                               pass_fds=[file.fileno()], capture_output=True, text=True,
                               check=True).stdout
    found = re.findall(r"Provider: wsgiscope\s+Name: (\w+)\s+Location: \w+, Base: \w+, "
                       r"Semaphore: (0x[0-9a-f]+)", notes)
    return {name: int(address, 16) for name, address in found}


def values(pid):
    """{probe: semaphore's value} in this worker."""
    first = min(procs.mappings(pid, "_marker"))
    # By the mapping, not by its name: a rebuilt marker has taken the name of the mapped one.
    path = "/proc/%d/map_files/%x-%x" % (pid, first.start, first.end)
    return {name: procs.read_u16(pid, first.start + address)
            for name, address in semaphores(path).items()}


def raised(pid):
    found = values(pid)
    assert found.keys() >= {"request_start", "request_end"}, found
    return any(found.values())
