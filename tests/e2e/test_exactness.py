# SPDX-License-Identifier: BSD-2-Clause
"""Every request's record agrees with what really happened: with the reference middleware inside
the application for what was done, with the client for what was sent."""
import collections
import datetime
import statistics
import time

import pytest

import client
import servers
from cases import CASES, requests
from records import EXACT_END, check_application, check_client, check_times, check_writes
from tracer import Tracer

pytestmark = pytest.mark.alone

REPEAT = 4
Run = collections.namedtuple("Run", "server sent records oracle responses lost workers")


@pytest.fixture(scope="module", params=servers.KINDS)
def run(request, wsgiscope, pool):
    """All cases, several times, by four clients at once, while one tracer looks on."""
    server = pool(request.param, "oracle")
    sent = requests(REPEAT)
    with Tracer("-p", server.pid) as tracer:
        responses = client.load(server.address, [each for _, each in sent])
        uids = [each.uid for _, each in sent]
        oracle = dict(zip(uids, server.oracle.wait(uids)))
        tracer.wait(uids)
        workers = server.workers()
        assert tracer.stop() == 0, tracer.stderr()
        by_uid = {response.uid: response for response in responses}
        return Run(server, sent, tracer.by_uid(), oracle, by_uid, tracer.lost_requests(), workers)


def of_case(run, label):
    """(record, oracle, response) of each repetition."""
    uids = [each.uid for case, each in run.sent if case == label]
    missing = [uid for uid in uids if uid not in run.records]
    assert not missing, "no record of %s (%d of %d), lost %d" % (
        label, len(missing), len(uids), run.lost)
    return [(run.records[uid], run.oracle[uid], run.responses[uid]) for uid in uids]


@pytest.mark.parametrize("label", CASES)
def test_what_the_application_did(run, label):
    for record, oracle, response in of_case(run, label):
        check_application(record, oracle, response.request)
        assert record["server"] == run.server.kind.record
        assert record["pid"] in run.workers


@pytest.mark.parametrize("label", CASES)
def test_what_the_client_got(run, label):
    for record, _, response in of_case(run, label):
        check_client(record, response)
        check_writes(record, response, run.server.kind)


@pytest.mark.parametrize("label", CASES)
def test_times(run, label):
    late = [check_times(record, oracle, response, run.server.kind)
            for record, oracle, response in of_case(run, label)]
    if label in EXACT_END:
        # The machine may delay one between the two clocks' readings; not all of them.
        assert min(late) < 1.0, late


def test_counts(run):
    """Records + counted losses = the requests that the client counted."""
    seen = [uid for uid in run.oracle if uid in run.records]
    assert len(seen) + run.lost == len(run.sent)


def test_time_of_day(run):
    offset_ns = time.time_ns() - time.monotonic_ns()
    for uid, record in run.records.items():
        if uid not in run.oracle:
            continue
        stamp = datetime.datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
        stamp_ns = int(stamp.replace(tzinfo=datetime.timezone.utc).timestamp() * 1e9)
        age_ns = stamp_ns - run.oracle[uid]["start_ns"]
        assert abs(age_ns - offset_ns) < 20e6


def test_no_record_twice(run):
    assert len(run.records) == len({(r["pid"], r["id"]) for r in run.records.values()})


@pytest.mark.parametrize("kind", [name for name, kind in servers.KINDS.items() if kind.keep])
def test_keep_alive(kind, wsgiscope, pool):
    """Many requests on one connection: each has its own bytes, though threads change."""
    server = pool(kind, "oracle")
    labels = ["list", "gen", "list-big", "nothing", "not-found", "list-head"] * 4
    sent = [client.Request(keep=True, **CASES[label]) for label in labels
            if not (label == "list-head" and kind != "mod_wsgi-embedded")]
    with Tracer("-p", server.pid) as tracer:
        with client.Connection(server.address) as connection:
            responses = [connection.fetch(each) for each in sent]
        records = tracer.wait([each.uid for each in sent])
        assert tracer.stop() == 0
    oracle = server.oracle.wait([each.uid for each in sent])
    for each, response, entry in zip(sent, responses, oracle):
        record = records[each.uid]
        check_application(record, entry, each)
        check_client(record, response)
        check_writes(record, response, server.kind)


def test_as_the_server_saw_it(wsgiscope, pool):
    """The reference middleware OUTSIDE the mark sees every end: application and output times of
    lists and tuples too."""
    server = pool("gunicorn-sync", "outer")
    sent = requests(6, ["list", "list-big", "tuple", "chunks", "sized", "bare", "gen", "stream"])
    with Tracer("-p", server.pid) as tracer:
        client.load(server.address, [each for _, each in sent], threads=2)
        records = tracer.wait([each.uid for _, each in sent])
        assert tracer.stop() == 0
    late = []
    for (_, each), oracle in zip(sent, server.oracle.wait([each.uid for _, each in sent])):
        record = records[each.uid]
        assert (record["blocks"], record["bytes"]) == (oracle["blocks"], oracle["bytes"])
        outside_ms = (oracle["end_ns"] - oracle["start_ns"]) / 1e6
        assert record["application_ms"] <= outside_ms
        assert record["output_ms"] >= oracle["output_ns"] / 1e6 * 0.98
        late.append(outside_ms - record["application_ms"])
    assert statistics.median_low(late) < 1.0, late
