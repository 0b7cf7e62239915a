# SPDX-License-Identifier: BSD-2-Clause
"""The GIL wait of a request: against a C extension that times its own acquisitions, and against
what a thread that only computes was blocked."""
import os
import tempfile

import pytest

import client
from conftest import need_server
from known_answers import (BusyCpu, StatesServer, Traced, build_gil_oracle, check_states, check_sum,
                           last_cpu, near, shown)


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


@pytest.fixture(scope="module", params=["gunicorn-sync", "gunicorn-gthread", "uwsgi"])
def traced(request, extension):
    need_server(request.param)
    with Traced(GilServer(request.param, extension)) as running:
        yield running


def check_gil(found, wanted_ns):
    """wanted_ns(entry): what it was blocked for the GIL, by one or two ways of telling. Within
    2 ms or 5 % in most of the requests, and in total."""
    right = 0
    for record, entry in found:
        check_sum(record, entry)
        assert "gil_unseen" not in record["notes"], shown(record, entry)
        right += any(near(record["states_ms"]["gil"], ns, share=0.05) for ns in wanted_ns(entry))
    where = "".join("%s\n    wanted %r ns" % (shown(*each), wanted_ns(each[1])) for each in found)
    assert 2 * right > len(found), where
    total = sum(record["states_ms"]["gil"] for record, _ in found)
    low = sum(min(wanted_ns(entry)) for _, entry in found) / 1e6
    high = sum(max(wanted_ns(entry)) for _, entry in found) / 1e6
    slack = 2 * len(found)
    assert low * 0.95 - slack <= total <= high * 1.05 + slack, (total, low, high, where)


def taken_ns(entry):
    """Of its own acquisitions, what it was neither running nor runnable."""
    return [sum(times.blocked for _, times in entry["taken"])]


def blocked_ns(entry):
    """By the scheduler's log and by the thread's own clocks: see check_states()."""
    clocks = entry["op"]
    return [clocks.blocked, clocks.wall - clocks.cpu_clock - clocks.delay]


@pytest.mark.parametrize("spinners", [1, 3])
def test_own_acquisitions(traced, spinners):
    """40 times: let go of the GIL, and take it again from threads that spin."""
    found = traced.ask("gil_oracle", 40, spinners)
    check_gil(found, taken_ns)
    assert sum(taken_ns(entry)[0] for _, entry in found) > 30e6, "nobody contended"


def test_not_contended(traced):
    """Nothing else wants it: it is not waited for, however often it is taken."""
    for record, entry in traced.ask("gil_oracle", 40, 0) + traced.ask("spin", 20):
        check_sum(record, entry)
        assert record["states_ms"]["gil"] <= 1, shown(record, entry)


def test_spin_against_spinners(traced):
    """The forced switch's hand-over counts too: all that a computing thread is blocked."""
    found = traced.ask("gil_spin", 60, 2)
    check_gil(found, blocked_ns)
    assert all(entry["op"].blocked > 30e6 for _, entry in found), "nobody contended"


def test_all_on_one_cpu(traced):
    """From wake-up to running is runnable, not gil."""
    with BusyCpu(last_cpu()):
        found = traced.ask("gil_spin", 40, 2, last_cpu())
    check_states(found, "gil")
    assert all(entry["op"].runnable > 10e6 for _, entry in found), "the CPU was not shared"


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "uwsgi"])
@pytest.mark.parametrize("switch", ["0.005", "0.0005"])
def test_requests_against_each_other(wsgiscope, extension, kind, switch):
    """Four requests at once, each computes; what the one waits, the others run."""
    need_server(kind)
    with Traced(GilServer(kind, extension, switch)) as traced:
        sent = [client.Request("gil_spin", 50, 0) for _ in range(8)]
        client.load(traced.server.address, sent, threads=4)
        found = traced.join(sent)
        for record, entry in found:
            check_sum(record, entry)
        # The server takes the GIL again after it has sent the answer: inside the mark, too.
        gil = sum(record["states_ms"]["gil"] for record, _ in found)
        inside = sum(entry["inner"].blocked for _, entry in found) / 1e6
        around = sum(entry["outer"].blocked for _, entry in found) / 1e6
        where = "".join(shown(*each) for each in found)
        assert inside * 0.95 - 2 <= gil <= around * 1.05 + 2, (inside, gil, around, where)
        assert gil > 200, "nobody contended"


def test_lock_is_not_gil(traced):
    """Both are futexes."""
    for record, entry in traced.ask("lock", 30):
        check_sum(record, entry)
        assert record["states_ms"]["gil"] <= 2, shown(record, entry)
        assert record["states_ms"]["lock"] >= 25, shown(record, entry)
