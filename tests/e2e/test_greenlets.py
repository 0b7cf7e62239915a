# SPDX-License-Identifier: BSD-2-Clause
"""Many greenlets on one thread: what the marker says stays exact; states only where a request had
the thread for itself, and a note where it had not."""
import pytest

import client
from conftest import need_server
from known_answers import STATES, StatesServer, Traced, check_sum, near, shown


@pytest.fixture(scope="module")
def traced(wsgiscope):
    need_server("gunicorn-sync")
    pytest.importorskip("gevent", reason="apt-get install python3-gevent")
    with Traced(StatesServer("gunicorn-gevent")) as running:
        yield running


def check_marker(record, entry):
    """Less than around the mark, more than inside of it."""
    inside, around = entry["inner"].wall / 1e6, entry["outer"].wall / 1e6
    assert inside - 0.001 <= record["application_ms"] <= around + 0.001, shown(record, entry)
    assert record["outcome"] == "ok" and record["status"] == 200
    assert record["mode"] == "marker" and record["pid"] == entry["pid"]


def test_one_after_the_other(traced):
    """The hub waits in epoll for the request's own timer: nothing of it is another's."""
    for record, entry in traced.ask("spin_sleep", 10, 30):
        check_marker(record, entry)
        check_sum(record, entry)
        states = record["states_ms"]
        assert "states_mixed" not in record["notes"], shown(record, entry)
        assert near(states["cpu"], entry["outer"].cpu), shown(record, entry)
        blocked = sum(states[name] for name in STATES if name not in ("cpu", "runnable"))
        assert near(blocked, entry["outer"].blocked), shown(record, entry)


def test_interleaved(traced):
    sent = [client.Request("spin_sleep", 1, 40) for _ in range(60)]
    client.load(traced.server.address, sent, threads=8)
    found = traced.join(sent)
    spans = sorted((entry["start_ns"], entry["start_ns"] + entry["outer"].wall)
                   for _, entry in found)
    for record, entry in found:
        check_marker(record, entry)
        assert record["application_ms"] >= 40
        start, end = entry["start_ns"], entry["start_ns"] + entry["outer"].wall
        # Surely inside another's time, the microseconds around the mark left out.
        alone = not any(other != (start, end) and other[0] < end - 1e6 and other[1] > start + 1e6
                        for other in spans)
        if record["states_ms"] is None:
            assert "states_mixed" in record["notes"], shown(record, entry)
        else:
            assert alone, "states of a request that shared its thread" + shown(record, entry)
    assert any(record["states_ms"] is None for record, _ in found), "nothing was interleaved"


def test_blocks_and_bytes_of_interleaved(traced):
    sent = [client.Request("big", 1 + index, 0) for index in range(40)]
    client.load(traced.server.address, sent, threads=8)
    for index, (record, entry) in enumerate(traced.join(sent)):
        assert (record["blocks"], record["bytes"]) == (1, 1024 * (1 + index)), (
            shown(record, entry))
        assert record["write_bytes"] > record["bytes"]


def test_alone_again(traced):
    """Once no two are open, states come back."""
    test_interleaved(traced)
    test_one_after_the_other(traced)
