# SPDX-License-Identifier: BSD-2-Clause
"""Profiles of real servers: requests whose functions and waits are known, through each option of
flame, trace --stacks, record and replay. What a sample itself says is stack's to test."""
import collections
import json
import os
import re
import signal

import pytest

import client
import procs
from known_answers import StatesServer
from tracer import Tracer, run

pytestmark = pytest.mark.alone

HZ = 499


@pytest.fixture(scope="module", params=["gunicorn-gthread", "uwsgi"])
def server(request, wsgiscope):
    with StatesServer(request.param) as running:
        yield running


def ask(server, *ways):
    """One request after the other: (way, ms, [times])."""
    sent = []
    for way, ms, times in ways:
        for _ in range(times):
            each = client.Request(way, ms)
            assert client.fetch(server.address, each).status == 200, server.log()[-3000:]
            sent.append(each)
    return sent


def folded(text):
    """[(frames from the outermost on, microseconds)]"""
    found = []
    for line in text.splitlines():
        stack, weight = line.rsplit(" ", 1)
        found.append((stack.split(";"), int(weight)))
    return found


def name(frame):
    """Without its file."""
    return frame.split(" (")[0]


def inclusive(stacks):
    """{function: microseconds with it on the stack}"""
    sums = collections.Counter()
    for frames, weight in stacks:
        for function in {name(frame) for frame in frames}:
            sums[function] += weight
    return sums


def flame(server, ways, *options, verb="flame"):
    """What the verb prints of these requests, and what it says."""
    with Tracer("-p", server.pid, *options, verb=verb, json_lines=False) as tracer:
        sent = ask(server, *ways)
        assert tracer.stop() == 0, tracer.stderr()
        return tracer.stdout(), tracer.stderr(), sent


def test_where_it_runs(server):
    """Of the time of CPU that the application burns, all is in its own function, and as much as it
    burnt; what the route filter leaves out is not there."""
    text, said, _ = flame(server, [("spin", 40, 25), ("spin_sleep", 10, 5)], "-F", HZ,
                          "--format", "folded", "--path", "/spin/*")
    sums = inclusive(folded(text))
    total = sum(weight for _, weight in folded(text))
    assert "way_spin_sleep" not in sums, text
    assert sums["way_spin"] > 0.95 * total and sums["spin"] > 0.9 * total, sums
    assert 0.8 * 1e6 < total < 1.25 * 1e6, said  # 25 times 40 ms
    assert re.search(r"not shown: \d+ of requests that were filtered out", said), said


def test_lines_and_files_are_right(server):
    source = os.path.join(os.path.dirname(__file__), "apps", "states.py")
    with open(source, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    text, _, _ = flame(server, [("spin", 40, 10)], "-F", HZ, "--format", "folded", "--lines",
                       "--path", "/spin/*")
    frames = {frame for stack, _ in folded(text) for frame in stack if "states.py" in frame}
    assert frames
    seen = collections.defaultdict(set)
    for frame in frames:
        function, path, line = re.fullmatch(r"(\S+) \((.*):(\d+)\)", frame).groups()
        assert os.path.realpath(path) == os.path.realpath(source)
        seen[function].add(lines[int(line) - 1].strip())
    assert seen["spin"] <= {"while time.thread_time_ns() < end:", "pass",
                            "end = time.thread_time_ns() + int(ms * 1e6)"}
    assert "while time.thread_time_ns() < end:" in seen["spin"]
    assert "spin(a)" in seen["way_spin"] <= {"spin(a)", "with op(entry):"}


def test_where_it_waits(server):
    """The length of a wait is its weight: as long as it was asked to sleep, no longer."""
    text, _, _ = flame(server, [("sleep", 60, 10), ("spin", 20, 5)], "--off-cpu", "--format",
                       "folded")
    waits = [(frames, weight) for frames, weight in folded(text) if frames[-1] == "[sleep]"]
    assert waits and all("way_sleep" in map(name, frames) for frames, _ in waits), text
    total = sum(weight for _, weight in waits)
    assert 600e3 <= total < 660e3, text
    # A function that only burns CPU waits for one at most, or for the GIL.
    assert {frames[-1] for frames, _ in folded(text) if "spin" in map(name, frames)} <= {
        "[runnable]", "[gil]"}, text


def test_wall_is_both(server):
    text, _, _ = flame(server, [("sleep", 40, 10), ("spin", 40, 10)], "--wall", "-F", HZ,
                       "--format", "folded", "--by", "route")
    stacks = folded(text)
    by_route = collections.Counter()
    for frames, weight in stacks:
        if frames[-1] == "[runnable]":
            continue  # others use this machine too
        by_route[frames[0].split("/")[1] if "/" in frames[0] else frames[0]] += weight
    assert 0.4e6 <= by_route["sleep"] < 0.5e6, by_route
    assert 0.3e6 < by_route["spin"] < 0.6e6, by_route
    assert all("way_sleep" in map(name, frames) or frames[0].startswith("/sleep")
               for frames, _ in stacks if frames[-1] == "[sleep]")


def test_only_the_slow(server):
    text, said, _ = flame(server, [("sleep", 120, 3), ("sleep", 10, 20)], "--wall",
                          "--slower-than", "100", "--format", "folded")
    total = sum(weight for frames, weight in folded(text) if frames[-1] == "[sleep]")
    assert 360e3 <= total < 400e3, (text, said)
    assert "requests: 3" in re.search(r"samples: .*", said).group(), said


def test_outside(server):
    """An idle server waits outside of requests."""
    text, _, _ = flame(server, [("spin", 20, 5)], "--outside", "--wall", "--format", "folded")
    assert not {"way_spin", "spin"} & set(inclusive(folded(text))), text


def test_waits_outside_are_left_alone(server):
    """An idle server's waits are not sampled, and counted, unless somebody wants them."""
    untaken = r"not sampled: (\d+) waits outside of requests"
    _, said, sent = flame(server, [("sleep", 5, 10)], "--off-cpu", "--format", "folded")
    assert int(re.search(untaken, said).group(1)) >= len(sent) // 2, said
    assert not re.search(r"not shown: \d+ outside of requests", said), said
    text, said, _ = flame(server, [("sleep", 5, 10)], "--off-cpu", "--outside", "--format",
                          "folded")
    assert folded(text) and not re.search(untaken, said), (text, said)


def test_each_request_its_own(server, tmp_path):
    """trace --stacks: a line for each request, a file for each slow one."""
    directory = tmp_path / "slow"
    with Tracer("-p", server.pid, "--stacks", directory, "--slower-than", "80", "--format",
                "folded") as tracer:
        sent = ask(server, ("sleep", 100, 3), ("spin", 1, 5))
        assert len(tracer.wait([each.uid for each in sent])) == 8
        # The files come with the requests, not at the end.
        assert procs.until(lambda: len(list(directory.iterdir())) == 3, 5), tracer.stderr()
        assert tracer.stop() == 0, tracer.stderr()
    slow = {each.uid for each in sent if each.way == "sleep"}
    for path in directory.iterdir():
        method, way, _, _, uid, took, when, ending = path.name.split(".")
        assert (method, way, ending) == ("GET", "sleep", "txt") and uid in slow
        assert 100 <= int(took.removesuffix("ms")) < 200 and when.isdigit()
        sleeping = [weight for frames, weight in folded(path.read_text())
                    if frames[-1] == "[sleep]"]
        assert 100e3 <= sum(sleeping) < 120e3, path.read_text()
        slow.remove(uid)
    assert not slow
    assert "3 profiles written to" in tracer.stderr()


def test_record_and_replay_in_every_format(server, tmp_path):
    recording = tmp_path / "recording"
    with Tracer("-p", server.pid, "-o", recording, "--wall", "-F", HZ, verb="record",
                json_lines=False) as recorder:
        ask(server, ("spin", 30, 10), ("sleep", 30, 5))
        assert recorder.stop() == 0, recorder.stderr()
    text = run("replay", "--wall", "--format", "folded", recording)
    assert text.returncode == 0, text.stderr
    assert "way_spin" in inclusive(folded(text.stdout))
    # What was asked for later is the same as what is picked by hand.
    only = run("replay", "--wall", "--format", "folded", "--path", "/spin/*", recording).stdout
    assert inclusive(folded(only))["way_spin"] == inclusive(folded(text.stdout))["way_spin"]
    total = sum(weight for _, weight in folded(text.stdout))
    speedscope = json.loads(run("replay", "--wall", "--format", "speedscope", recording).stdout)
    assert speedscope["profiles"][0]["endValue"] / 1000 == pytest.approx(total, rel=0.001)
    for ending, magic in (("svg", b"<?xml"), ("pb.gz", b"\x1f\x8b"), ("prof", b"{(")):
        path = tmp_path / f"out.{ending}"
        assert run("replay", "--wall", "-o", path, recording).returncode == 0
        assert path.read_bytes().startswith(magic) and path.stat().st_size > 300
    lines = run("replay", recording)  # the lines are there as ever
    assert lines.returncode == 0 and "/spin/30" in lines.stdout


def test_diff_of_two_recordings(server, tmp_path):
    for which, ms in (("before", 10), ("after", 30)):
        with Tracer("-p", server.pid, "-o", tmp_path / which, "--samples", "-F", HZ,
                    verb="record", json_lines=False) as recorder:
            ask(server, ("spin", ms, 20))
            assert recorder.stop() == 0, recorder.stderr()
    diff = run("flame", "--diff", tmp_path / "before", tmp_path / "after")
    assert diff.returncode == 0, diff.stderr
    grown = {match[1]: float(match[0]) for match in
             re.findall(r"^ *([+-][\d.]+) +[\d.]+ +[\d.]+ +[+-][\d.]+  (\S+)", diff.stdout, re.M)}
    assert grown["spin"] == pytest.approx(20, abs=5), diff.stdout


def test_interrupted_and_terminated_runs_show_what_there_is(server, tmp_path):
    for how in signal.SIGINT, signal.SIGTERM:
        out = tmp_path / "out.svg"
        with Tracer("-p", server.pid, "-o", out, verb="flame", json_lines=False) as tracer:
            ask(server, ("spin", 50, 4))
            assert tracer.stop(how) == 0, tracer.stderr()
            assert tracer.left_behind() == {}
        assert "way_spin" in out.read_text()
        out.unlink()
