# SPDX-License-Identifier: BSD-2-Clause
"""The GIL experiment: 3 ms of CPU and 1 ms of sleep at concurrency 10, as ten processes of one
thread and as two of five, at two switch intervals. Writes its table to $WSGISCOPE_GIL_TABLE."""
import os
import statistics
import time

import pytest

import client
from conftest import need_server
from known_answers import StatesServer, check_sum
from tracer import Tracer

pytestmark = pytest.mark.alone

SECONDS = 3
KINDS = {"gunicorn-gthread": "gunicorn gthread", "uwsgi": "uWSGI"}
SHAPES = [(10, 1), (2, 5)]
INTERVALS = ["0.005", "0.0001"]
HEAD = """| server | processes × threads | switch interval | requests/s | \
application time p50 / p95 | GIL wait p50 / p95 |
|---|---|---|---|---|---|
"""


def drive(server, seconds):
    """Requests at concurrency 10 for so long: [Request], and the seconds that it took."""
    sent = []
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        batch = [client.Request("spin_sleep", 3, 1) for _ in range(200)]
        client.load(server.address, batch, threads=10)
        sent += batch
    return sent, time.monotonic() - start


def measure(kind, processes, threads, interval):
    """(requests per second, [application ms], [GIL ms])"""
    need_server(kind)
    environ = {"E2E_SWITCH": interval}
    with StatesServer(kind, "bare", processes, threads, environ=environ) as server:
        with Tracer("-p", server.pid) as tracer:
            sent, seconds = drive(server, SECONDS)
            records = tracer.wait([each.uid for each in sent])
            assert tracer.stop() == 0, tracer.stderr()
            lost = tracer.lost_requests()
    assert len(records) + lost == len(sent)
    for record in records.values():
        check_sum(record, {})
    return (len(sent) / seconds, [record["application_ms"] for record in records.values()],
            [record["states_ms"]["gil"] for record in records.values()])


def middle_and_high(values):
    return statistics.median(values), statistics.quantiles(values, n=20)[-1]


@pytest.mark.slow
def test_gil_experiment(wsgiscope):
    lines, waits = [], {}
    for kind, name in KINDS.items():
        for processes, threads in SHAPES:
            for interval in INTERVALS:
                rate, times, gil = measure(kind, processes, threads, interval)
                waits[kind, threads, interval] = gil
                lines.append("| %s | %d × %d | %g ms | %.0f | %.1f / %.1f ms | %.2f / %.2f ms |\n"
                             % (name, processes, threads, float(interval) * 1e3, rate,
                                *middle_and_high(times), *middle_and_high(gil)))
    table = HEAD + "".join(lines)
    print(table)
    if "WSGISCOPE_GIL_TABLE" in os.environ:
        with open(os.environ["WSGISCOPE_GIL_TABLE"], "w", encoding="utf-8") as stream:
            stream.write(table)
    for kind in KINDS:
        for interval in INTERVALS:
            # gthread has a main thread of its own beside the one.
            assert statistics.median(waits[kind, 1, interval]) < 0.1, table
            assert middle_and_high(waits[kind, 5, interval])[1] > 1, table
        slow, fast = (statistics.mean(waits[kind, 5, interval]) for interval in INTERVALS)
        assert slow > fast, table
