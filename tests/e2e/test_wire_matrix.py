# SPDX-License-Identifier: BSD-2-Clause
"""Both modes on the same requests: every way in which an application can answer, on every server,
before two tracers at once, one that hears the marker and one that sees only the sockets. What both
know they say alike, and alike with the client."""
import collections

import pytest

import client
import servers
from cases import CASES, requests
from tracer import Tracer

REPEAT = 3
Run = collections.namedtuple("Run", "server sent wire marker responses everything")

# Where the thread that runs the application reads the request and writes the answer.
SAME_THREAD = {"gunicorn-sync", "gunicorn-gthread", "uwsgi", "uwsgi-unix", "wsgiref"}
# The server's answer to an exception comes after the application's end.
OTHER_TIME = {"raise-call", "raise-started", "raise-first", "raise-later", "raise-close", "bytes",
              "str"}


@pytest.fixture(scope="module", params=servers.KINDS)
def run(request, wsgiscope, pool):
    server = pool(request.param, "marked")
    sent = requests(REPEAT)
    uids = [each.uid for _, each in sent]
    with Tracer("--mode", "wire", "-p", server.pid) as wire, \
            Tracer("--mode", "marker", "-p", server.pid) as marker:
        responses = client.load(server.address, [each for _, each in sent], threads=2)
        for tracer in (wire, marker):
            tracer.wait(uids, 15)
            assert tracer.stop() == 0, tracer.stderr()
            assert not tracer.lost_requests(), tracer.stderr()
        everything = wire.records()
        return Run(server, sent, {uid_of(record): record for record in everything},
                   marker.by_uid(), {response.uid: response for response in responses},
                   everything)


def uid_of(record):
    return record["path"].rsplit("/", 1)[-1]


def of_case(run, label):
    """(what the wire said, what the marker said, what the client got) of each repetition."""
    uids = [each.uid for case, each in run.sent if case == label]
    missing = [uid for uid in uids if uid not in run.wire or uid not in run.marker]
    assert not missing, (label, missing)
    return [(run.wire[uid], run.marker[uid], run.responses[uid]) for uid in uids]


@pytest.mark.parametrize("label", CASES)
def test_what_was_asked_and_answered(run, label):
    for wire, marker, response in of_case(run, label):
        assert (wire["mode"], marker["mode"]) == ("wire", "marker")
        for key in ("method", "path", "path_group", "pid", "server", "wire_status"):
            assert wire[key] == marker[key], (key, wire, marker)
        # A front end may have another word for the client.
        if run.server.kind.direct:
            assert wire["status"] == response.status, wire
        for key in ("blocks", "bytes", "output_ms", "exception", "route"):
            assert wire[key] is None, (key, wire)


@pytest.mark.parametrize("label", CASES)
def test_bytes(run, label):
    for wire, marker, response in of_case(run, label):
        if not run.server.kind.direct:  # the go-ahead to httpd comes before the application
            assert wire["write_bytes"] >= (marker["write_bytes"] or 0), (wire, marker)
            continue
        assert (wire["write_bytes"] or 0) == len(response.raw), wire
        assert wire["request_bytes"] == len(response.request.encode()), wire
        for key in ("write_calls", "write_bytes"):
            assert (wire[key] or 0) == (marker[key] or 0), (key, wire, marker)
        assert wire["socket"] == run.server.kind.family, wire


@pytest.mark.parametrize("label", [label for label in CASES if label not in OTHER_TIME])
def test_times(run, label):
    """Within 1 ms or 2 %, where one thread does it all; the machine may delay one, not all. Of the
    others the wire's time is what the client had to wait."""
    differences = []
    for wire, marker, response in of_case(run, label):
        waited_ms = (response.done_ns - response.sent_ns) / 1e6
        if run.server.kind.direct and wire["application_ms"] is not None:
            assert wire["application_ms"] < waited_ms + 20, (wire, waited_ms)
        if run.server.kind.name not in SAME_THREAD:
            continue
        limit = max(1.0, 0.02 * marker["application_ms"])
        differences.append(abs(wire["application_ms"] - marker["application_ms"]) / limit)
    assert min(differences, default=0) < 1.0, differences


def test_counts(run):
    """As many records as requests, none twice, none of anything else."""
    assert len(run.everything) == len(run.sent)
    assert len({(record["pid"], record["id"]) for record in run.everything}) == len(run.sent)


@pytest.mark.parametrize("kind", servers.KINDS)
def test_both_make_one(kind, wsgiscope, pool):
    """The marker's record, with what the wire adds; one for each request."""
    server = pool(kind, "marked")
    sent = requests(1)
    with Tracer("--mode", "both", "-p", server.pid) as tracer:
        client.load(server.address, [each for _, each in sent], threads=2)
        tracer.wait([each.uid for _, each in sent])
        assert tracer.stop() == 0, tracer.stderr()
        everything = tracer.records()
        records = {uid_of(record): record for record in everything}
    assert len(everything) == len(records) == len(sent), tracer.stderr()
    for _, request in sent:
        record = records[request.uid]
        assert record["mode"] == "marker", record
        if server.kind.direct:
            assert record["request_bytes"] == len(request.encode()), record
