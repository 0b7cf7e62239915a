# SPDX-License-Identifier: BSD-2-Clause
"""A flood of random paths and of random routes: the daemon's memory and its page stay bounded,
and every request is counted, under `other` where there is no room for more."""
import collections
import contextlib
import os
import subprocess

import pytest

import servers
from daemon import Daemon

REQUESTS = "wsgi_requests_total"
SERIES = 300
GROWTH_BYTES = 4 << 20  # a page of metrics comes and goes; 70 bytes a request would be more


@contextlib.contextmanager
def flooded(marker):
    """A process for flood() that is not a server."""
    environ = dict(os.environ, PYTHONPATH=marker)
    with subprocess.Popen([servers.PYTHON, os.path.join(servers.APPS, "flood.py")], env=environ,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            flood(process, 1)  # the marker is there
            yield process
        finally:
            process.stdin.close()


def flood(process, count, seed=0, routes=0):
    process.stdin.write("%d %d %d\n" % (count, seed, routes))
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def label_sets(samples):
    """{metric: how many}; the states and the buckets of one are parts of it."""
    found = collections.defaultdict(set)
    for sample in samples:
        found[sample.name].add(tuple(sorted(
            pair for pair in sample.labels.items() if pair[0] not in ("state", "le"))))
    return {name: len(sets) for name, sets in found.items()}


def resident(daemon):
    """The most of several scrapes: a page that is being sent is in memory too, for that long."""
    return max(daemon.total("process_resident_memory_bytes") for _ in range(5))


def check_flat(process, daemon, routes):
    """Two floods, of which the first reaches the bounds; the second is three times as large."""
    flood(process, 20000, 1, routes)
    assert daemon.wait_total(20000, REQUESTS, 20) == 20000
    before = resident(daemon)
    flood(process, 60000, 2, routes)
    assert daemon.wait_total(80000, REQUESTS, 20) == 80000
    assert resident(daemon) - before <= GROWTH_BYTES
    assert daemon.total("wsgiscope_dropped_total") == 0
    found = label_sets(daemon.samples())
    assert max(found.values()) <= SERIES, found
    return found


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "wsgiscope.conf"
    path.write_text("series %d\n" % SERIES, encoding="ascii")
    return path


def test_random_paths(wsgiscope, marker, config):
    """They become few groups, none of which is one of the paths."""
    with flooded(marker) as process, Daemon("-p", process.pid, "--config", config) as daemon:
        found = check_flat(process, daemon, 0)
        assert found[REQUESTS] < SERIES, "their shapes do not even reach the bound"


def test_random_routes(wsgiscope, marker, config):
    """A framework's routes are taken at their word, up to the bound; past it they are `other`."""
    with flooded(marker) as process, Daemon("-p", process.pid, "--config", config) as daemon:
        check_flat(process, daemon, 20000)
        samples = daemon.samples()
        other = sum(sample.value for sample in samples if sample.name == REQUESTS
                    and sample.labels.get("path_group") == "other")
        assert other > 10000, "the bound was reached"
        assert daemon.total("wsgiscope_other_requests_total") >= other
