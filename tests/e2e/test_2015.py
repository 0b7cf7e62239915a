# SPDX-License-Identifier: BSD-2-Clause
"""The experiments of 2015, with real servers: what a body costs to put out depends on how it is
cut up and on what the server writes it to. Writes the table, as Markdown, to $WSGISCOPE_TABLE."""
import os

import pytest

import client
import servers
from tracer import Tracer

SERVERS = ["gunicorn-sync", "mod_wsgi-embedded", "mod_wsgi-daemon", "uwsgi", "uwsgi-unix"]
BODY = 1_200_000
BLOCK = 128
BLOCKS = -(-servers.FILE_BYTES // BLOCK)

# What was returned: a text for the table, the request, blocks and bytes that it makes.
EXPERIMENTS = {
    "string": ("`bytes` of 1,200,000", dict(way="bytes", size=BODY), None, BODY),
    "list": ("list of one, 1,200,000 bytes", dict(way="list", count=1, size=BODY), 1, BODY),
    "blocks": ("2.5 MB file in 128-byte blocks", dict(way="file_blocks", size=BLOCK), BLOCKS,
               servers.FILE_BYTES),
    "wrapper": ("2.5 MB file, `wsgi.file_wrapper`", dict(way="file"), None, None),
}
COLUMNS = ["server", "returned", "status", "blocks", "bytes", "application ms", "output ms",
           "write calls", "write bytes", "socket"]


@pytest.fixture(scope="module")
def table():
    rows = {}
    yield rows
    if "WSGISCOPE_TABLE" in os.environ:
        with open(os.environ["WSGISCOPE_TABLE"], "w", encoding="utf-8") as stream:
            stream.write(markdown(rows))


def markdown(rows):
    lines = ["| " + " | ".join(COLUMNS) + " |",
             "|---|---|" + "---:|" * (len(COLUMNS) - 3) + "---|"]
    for experiment in EXPERIMENTS:
        for kind in SERVERS:
            if (experiment, kind) in rows:
                lines.append("| " + " | ".join(map(shown, rows[experiment, kind])) + " |")
    return "\n".join(lines) + "\n"


def shown(value):
    if value is None:
        return "–"
    if isinstance(value, float):
        return "%.2f" % value
    if isinstance(value, int):
        return format(value, ",")
    return value


def row(kind, text, record):
    return [kind, text] + [record[key] for key in
                           ("wire_status", "blocks", "bytes", "application_ms", "output_ms",
                            "write_calls", "write_bytes", "socket")]


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment(experiment, kind, wsgiscope, pool, table):
    text, arguments, blocks, size = EXPERIMENTS[experiment]
    server = pool(kind, "marked")
    request = client.Request(**arguments)
    with Tracer("-p", server.pid) as tracer:
        response = client.fetch(server.address, request)
        record = tracer.wait([request.uid], 15)[request.uid]
    table[experiment, kind] = row(kind, text, record)
    assert record["socket"] == server.kind.family
    if server.kind.direct:
        assert record["write_bytes"] == len(response.raw)
    if experiment == "string":
        check_string(server.kind, record, response)
        return
    if blocks is not None:
        assert (record["blocks"], record["bytes"]) == (blocks, size)
    assert len(response.body) == (size or servers.FILE_BYTES)
    if experiment == "blocks":
        assert 0 < record["output_ms"] < record["application_ms"]
        if server.kind.direct:
            assert record["write_calls"] >= BLOCKS
    if experiment == "wrapper":
        assert record["write_calls"] < BLOCKS / 10


def check_string(kind, record, response):
    """Only uWSGI takes bytes as a body; the others iterate over numbers and fail."""
    assert "returned_bytes" in record["notes"]
    if kind.record == "uwsgi":
        assert response.status == 200 and len(response.body) == BODY
    elif kind.record == "mod_wsgi":
        assert response.status == 500
    else:
        assert response.status == 200 and response.body == b""
