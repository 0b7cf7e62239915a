# SPDX-License-Identifier: BSD-2-Clause
"""mod_wsgi-express, as PyPI has it, started by `wsgiscope run`, and left as it is and traced by the
wire. `make express` installs it: it is compiled, so not in CI."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

import client  # noqa: E402
import programs  # noqa: E402
import servers  # noqa: E402
from tracer import BINARY, Tracer  # noqa: E402

EXPRESS = os.environ["WSGISCOPE_EXPRESS"]
WAYS = ["list", "chunks", "gen", "write", "slow", "not_found"]


def command(folder):
    return [EXPRESS, "start-server", os.path.join(servers.APPS, "matrix.py"), "--host",
            "127.0.0.1", "--port", "PORT", "--server-root", str(folder), "--user", "www-data",
            "--group", "www-data", "--processes", "2", "--threads", "2", "--log-to-terminal"]


@pytest.mark.parametrize("prefix, mode", [([BINARY, "run", "--"], "marker"), ([], "wire")])
def test_requests_once(tmp_path_factory, prefix, mode):
    folder = tmp_path_factory.mktemp("express")
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)
    with programs.Program(prefix + command(folder)) as program:
        program.wait_ready(60)
        address = ("127.0.0.1", program.port)
        # Each of its processes loads the application with its first request.
        client.load(address, [client.Request("slow") for _ in range(20)], threads=8)
        sent = [client.Request(way, 2, 100) for way in WAYS for _ in range(3)]
        with Tracer("-p", program.pid) as tracer:
            answers = client.load(address, sent, threads=3)
            found = tracer.wait([request.uid for request in sent])
            assert tracer.stop() == 0
        assert found.keys() == {request.uid for request in sent}, tracer.stderr()
        assert len(tracer.records()) == len(sent), tracer.stderr()
        for answer in answers:
            record = found[answer.uid]
            assert (record["mode"], record["server"]) == (mode, "mod_wsgi"), record
            assert record["status"] == answer.status, record
            assert record["outcome"] == "ok", record
