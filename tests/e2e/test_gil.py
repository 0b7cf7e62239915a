# SPDX-License-Identifier: BSD-2-Clause
"""The GIL wait of a request: against a C extension that times its own acquisitions, and against
what a thread that only computes was blocked."""
import os
import tempfile

import pytest

import client
from conftest import need_server
from known_answers import (BusyCpu, StatesServer, Traced, build_gil_oracle, check_states, check_sum,
                           last_cpu, shown)


@pytest.fixture(scope="module")
def extension(wsgiscope):
    with tempfile.TemporaryDirectory(prefix="wsgiscope-gil-") as directory:
        os.chmod(directory, 0o755)
        build_gil_oracle(directory)
        yield directory


class GilServer(StatesServer):
    def __init__(self, kind, extension, switch="0.005"):
        super().__init__(kind, environ={"E2E_SWITCH": switch})
        self.environ["PYTHONPATH"] += ":" + extension


# uWSGI and mod_wsgi have libpython in them, mod_wsgi an interpreter of its own name.
@pytest.fixture(scope="module", params=["gunicorn-sync", "gunicorn-gthread", "uwsgi",
                                        "mod_wsgi-embedded", "mod_wsgi-daemon"])
def traced(request, extension):
    need_server(request.param)
    with Traced(GilServer(request.param, extension)) as running:
        yield running


def check_gil(found, low_ns, high_ns):
    """In each request and in total the GIL wait is within 5 % of what was blocked for it, which is
    low_ns(entry) at least and high_ns(entry) at most. Of a request whose wait is no notable one
    5 % are less than what a thread's start takes: 0.2 ms there."""
    total = low = high = 0
    for record, entry in found:
        check_sum(record, entry)
        where = "%s\n    wanted %d to %d ns" % (shown(record, entry), low_ns(entry),
                                                high_ns(entry))
        assert "gil_unseen" not in record["notes"], where
        gil = record["states_ms"]["gil"] * 1e6
        # What a hypervisor took is in neither of the kernel's counts: the truth has it as blocked,
        # the record as runnable.
        stolen = max(0, record["states_ms"]["runnable"] * 1e6 - entry["outer"].runnable)
        least = max(0, low_ns(entry) - stolen)
        assert least * 0.95 - 0.2e6 <= gil <= high_ns(entry) * 1.05 + 0.2e6, where
        total, low, high = total + gil, low + least, high + high_ns(entry)
    assert low * 0.95 <= total <= high * 1.05, (low, total, high)


def taken_ns(entry):
    """Of its own acquisitions, what it was blocked: by its own clock, less what it then was
    runnable and computed, which only the scheduler can tell it."""
    for wall, blocked in entry["taken"]:
        assert blocked <= wall
    return sum(blocked for _, blocked in entry["taken"])


def op_ns(entry):
    return entry["op"].blocked


def inner_ns(entry):
    return entry["inner"].blocked


def outer_ns(entry):
    return entry["outer"].blocked


@pytest.mark.parametrize("spinners", [1, 3])
def test_own_acquisitions(traced, spinners):
    """40 times: let go of the GIL, and take it again from threads that spin."""
    found = traced.ask("gil_oracle", 40, spinners)
    check_gil(found, taken_ns, taken_ns)
    assert sum(taken_ns(entry) for _, entry in found) > 30e6, "nobody contended"


def test_not_contended(traced):
    """Nothing else wants it: it is not waited for, however often it is taken."""
    for record, entry in traced.ask("gil_oracle", 40, 0) + traced.ask("spin", 20):
        check_sum(record, entry)
        assert record["states_ms"]["gil"] <= 1, shown(record, entry)


def test_spin_against_spinners(traced):
    """The forced switch's hand-over counts too: all that a computing thread is blocked."""
    found = traced.ask("gil_spin", 60, 2)
    check_gil(found, op_ns, outer_ns)
    assert all(entry["op"].blocked > 30e6 for _, entry in found), "nobody contended"


def test_all_on_one_cpu(traced):
    """From wake-up to running is runnable, not gil."""
    with BusyCpu(last_cpu()):
        found = traced.ask("gil_spin", 40, 2, last_cpu())
    check_states(found)
    check_gil(found, op_ns, outer_ns)
    assert all(entry["op"].runnable > 10e6 for _, entry in found), "the CPU was not shared"


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "uwsgi", "mod_wsgi-embedded",
                                  "mod_wsgi-daemon"])
@pytest.mark.parametrize("switch", ["0.005", "0.0005"])
def test_requests_against_each_other(wsgiscope, extension, kind, switch):
    """Four requests at once, each computes; what the one waits, the others run."""
    need_server(kind)
    with Traced(GilServer(kind, extension, switch)) as traced:
        sent = [client.Request("gil_spin", 50, 0) for _ in range(8)]
        client.load(traced.server.address, sent, threads=4)
        found = traced.join(sent)
        # The server takes the GIL again after it has sent the answer: inside the mark, too.
        check_gil(found, inner_ns, outer_ns)
        assert sum(map(inner_ns, (entry for _, entry in found))) > 200e6, "nobody contended"


def test_lock_is_not_gil(traced):
    """Both are futexes."""
    for record, entry in traced.ask("lock", 30):
        check_sum(record, entry)
        assert record["states_ms"]["gil"] <= 2, shown(record, entry)
        assert record["states_ms"]["lock"] >= 25, shown(record, entry)
