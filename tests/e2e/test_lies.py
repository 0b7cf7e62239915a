# SPDX-License-Identifier: BSD-2-Clause
"""A worker whose marks lie (apps/liar.py): the tracer survives, counts what it could not use,
keeps its memory bounded, passes no control character on, and goes on tracing honest requests."""
import os
import re
import subprocess

import pytest

import procs
from servers import APPS, PYTHON
from tracer import Tracer

LIES = ["bad_pointers", "gone_structs", "bad_strings", "lengths", "text_beside", "text_changes",
        "numbers", "versions", "reused_ids", "ends_without_start", "starts_without_end",
        "control_characters"]
# What a sanitizer keeps beside it is not the tracer's.
RSS_LIMIT_KB = 64 * 1024 * (8 if os.environ.get("WSGISCOPE_FINDINGS") else 1)


class Liar:
    """apps/liar.py, told what to say."""

    def __init__(self, marker):
        self.process = subprocess.Popen(
            [PYTHON, os.path.join(APPS, "liar.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env={"PYTHONPATH": marker, "PATH": "/usr/bin:/bin",
                 "PYTHONDONTWRITEBYTECODE": "1"})
        assert self.process.stdout.readline() == "ready\n"
        self.pid = self.process.pid
        self.gone = False  # who has ended it says so

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(timeout=20)
        status = self.process.returncode
        assert self.gone or status == 0, "the liar died: %d" % status

    def say(self, lie, *numbers):
        """How many requests it told of."""
        self.process.stdin.write(" ".join([lie, *map(str, numbers)]) + "\n")
        self.process.stdin.flush()
        said, _, told = self.process.stdout.readline().partition(" ")
        assert said == lie, "the liar died of " + lie
        return int(told)


@pytest.fixture(scope="module")
def liar(marker, wsgiscope):
    with Liar(marker) as liar:
        yield liar


def honest_records(tracer):
    return [record for record in tracer.records() if record["path"] == "/honest"]


@pytest.mark.parametrize("lie", LIES)
def test_survives(liar, lie):
    """Whatever is told of a request: it is one record, or one loss."""
    with Tracer("-p", liar.pid) as tracer:
        told = liar.say("honest")
        assert procs.until(lambda: len(honest_records(tracer)) == 1, 5)
        told += liar.say(lie) + liar.say(lie) + liar.say("honest")
        assert procs.until(lambda: len(honest_records(tracer)) == 2, 20), tracer.stderr()
        assert procs.memory_kb(tracer.pid, "VmHWM") < RSS_LIMIT_KB
        assert tracer.stop() == 0, tracer.stderr()
        assert len(tracer.records()) + tracer.lost_requests() == told, tracer.stderr()
        check_output(tracer)
        assert not tracer.left_behind()


@pytest.mark.parametrize("lie", LIES)
def test_text_is_clean(liar, lie):
    """The text output holds one line a request, printable."""
    with Tracer("-p", liar.pid, json_lines=False) as tracer:
        liar.say(lie)
        liar.say("honest")
        assert procs.until(lambda: "/honest" in tracer.stdout(), 10)
        assert tracer.stop() == 0
        check_output(tracer)


def check_output(tracer):
    """Nothing that could steer a terminal, on neither stream."""
    for text in (tracer.stdout(), tracer.stderr()):
        bad = re.search(r"[^\n\t\x20-\x7e\u00a0-\U0010ffff]|[\ud800-\udfff]", text)
        assert not bad, repr(text[max(0, bad.start() - 100):bad.end() + 20])


def test_lies_are_counted(liar):
    """What could not be used shows in the losses, by reason."""
    with Tracer("-p", liar.pid) as tracer:
        for lie in ("bad_pointers", "bad_strings", "versions", "ends_without_start",
                    "reused_ids", "honest"):
            liar.say(lie)
        assert procs.until(lambda: honest_records(tracer), 10)
        assert tracer.stop() == 0
        losses = tracer.losses()
    assert {"bad_mark", "bad_string", "marker_version", "no_start", "id_reused"} <= losses.keys()
    assert losses["no_start"] >= 100


def test_many_paths_all_arrive_or_are_counted(liar):
    with Tracer("-p", liar.pid) as tracer:
        before = procs.memory_kb(tracer.pid)
        liar.say("many_paths")
        liar.say("honest")
        procs.until(lambda: honest_records(tracer), 30, 0.5)
        after = procs.memory_kb(tracer.pid)
        assert tracer.stop() == 0
        seen = sum(record["path"].startswith("/many/") for record in tracer.records())
        assert seen + tracer.lost_requests() == 200_000, tracer.losses()
    assert after - before < 16 * 1024


def test_text_summary_of_many_paths_is_bounded(liar):
    """The table by path does not grow with the paths: past its bound they are `other`."""
    with Tracer("-p", liar.pid, json_lines=False) as tracer:
        liar.say("many_paths")
        liar.say("honest")
        procs.until(lambda: "/honest" in tracer.stdout()[-4096:], 30, 0.5)
        assert procs.memory_kb(tracer.pid, "VmHWM") < RSS_LIMIT_KB
        assert tracer.stop() == 0


def test_conflicting_tracers_on_a_liar(liar):
    """A second tracer on the same liar is told the same lies."""
    with Tracer("-p", liar.pid) as first, Tracer("-p", liar.pid) as second:
        for lie in ("bad_pointers", "lengths", "honest"):
            liar.say(lie)
        for tracer in (first, second):
            assert procs.until(lambda: honest_records(tracer), 10)
            assert tracer.stop() == 0
